"""Faults on real processes and sockets."""
