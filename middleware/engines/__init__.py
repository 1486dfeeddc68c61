"""Engines: what turns a text into a reformulation; see ``base`` for the contract."""
