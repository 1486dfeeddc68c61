"""The benchmarks of ``querylift bench``; each compares alternatives within one run."""
