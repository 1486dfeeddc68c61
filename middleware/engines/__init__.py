"""Engines: what turns a text into a reformulation; see :mod:`.base` for the contract."""
