"""The same query typed in other ways: with typing errors, or inside a request."""

from __future__ import annotations

import random

from .rambling_templates import RAMBLING_REQUESTS
from .request_templates import chatty
from .typos import misspelled

__all__ = ["CLEAN", "VARIANTS", "variant"]

CLEAN = "clean"
VARIANTS = (CLEAN, "typo1", "typo2", "chatty", "chatty+typo1", "rambling")
"""Every variant, ``clean`` first: the others are held against it."""


def variant(name: str, query_id: str, text: str, seed: int) -> str:
    """Return a query's text in a variant; the same for the same arguments, on any machine.

    The error of ``chatty+typo1`` is that of ``typo1`` and lies in the query, and its request
    is that of ``chatty``, so that what the two cost together can be told from each alone.
    """
    wrapped, _, typos = name.rpartition("+") if "+" in name else (name, "", name)
    if typos in ("typo1", "typo2"):
        text = misspelled(text, int(typos[-1]), random.Random(f"{seed}:{typos}:{query_id}"))
    if wrapped == "chatty":
        text = chatty(text, random.Random(f"{seed}:chatty:{query_id}"))
    elif wrapped == "rambling":
        text = chatty(text, random.Random(f"{seed}:rambling:{query_id}"), RAMBLING_REQUESTS)
    return text
