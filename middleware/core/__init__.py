"""The pure part of the decision path: no I/O, threads, clock reads or torch."""
