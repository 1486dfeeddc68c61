"""Generated and mutated requests through the proxy; see ``python -m tests.fuzz --help``."""
