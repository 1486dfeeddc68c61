"""Querylift: search queries rewritten with a T5 model, inside a latency budget."""
