"""Variants of a query: as it is, with typos, or inside a request."""

from __future__ import annotations

import random

from .request_templates import CHATTY_TEMPLATES, RAMBLING_TEMPLATES, as_request
from .typos import misspelled

__all__ = ["CLEAN", "VARIANTS", "variant"]

CLEAN = "clean"
VARIANTS = (CLEAN, "typo1", "typo2", "chatty", "chatty+typo1", "rambling")
"""All variants. The figures of the others are compared with those of ``clean``."""

_TEMPLATES = {"chatty": CHATTY_TEMPLATES, "rambling": RAMBLING_TEMPLATES}


def variant(name: str, query_id: str, text: str, seed: int) -> str:
    """Return a query's text in a variant; equal arguments give equal text on any machine.

    ``chatty+typo1`` has the typo of ``typo1`` inside the request of ``chatty``, so that its
    cost can be compared with the cost of each.
    """
    request, _, typos = name.rpartition("+") if "+" in name else (name, "", name)
    if typos in ("typo1", "typo2"):
        text = misspelled(text, int(typos[-1]), random.Random(f"{seed}:{typos}:{query_id}"))
    if request in _TEMPLATES:
        rng = random.Random(f"{seed}:{request}:{query_id}")
        text = as_request(text, rng, _TEMPLATES[request])
    return text
