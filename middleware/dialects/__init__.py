"""Dialects: where each search API keeps the text of a query; see ``base``."""
