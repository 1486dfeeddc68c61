"""Engines, which turn texts into rewrites; ``base`` has the contract that they fulfil."""
