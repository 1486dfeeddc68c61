"""The T5 engine."""
