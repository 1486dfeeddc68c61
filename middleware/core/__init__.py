"""The values and state of the decision path: no I/O, no threads, no clock, no torch."""
