"""Queries that nothing in admission or acceptance minds."""

from __future__ import annotations

from itertools import islice, product

_KINDS = (
    "red green blue small large heavy light quiet strong cheap modern wooden round folding "
    "soft warm dark bright narrow simple"
).split()
_THINGS = "garden kitchen bicycle window table chair mirror blanket pillow basket".split()


def distinct(count: int, behind: str = "lamp") -> list[str]:
    """Return different three-word queries, at most 200 of them."""
    found = [f"{kind} {thing} {behind}" for kind, thing in islice(product(_KINDS, _THINGS), count)]
    assert len(set(found)) == count
    return found
