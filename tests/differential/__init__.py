"""Odd requests and answers through ``querylift serve`` and through nginx, compared."""
