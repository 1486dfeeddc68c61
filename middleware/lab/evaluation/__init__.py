"""Measures whether rewriting helps a search: systems side by side on a judged collection."""
