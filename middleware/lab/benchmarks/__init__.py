"""Benchmarks that users run: ``querylift bench``; each compares within one run."""
