"""Variants of a query: as it is, with typos, or inside a request.

The templates of requests in ``chatty.txt`` and ``rambling.txt``, one a line, are whole sentences
that were written for measuring; ``{}`` stands for the query. A test checks that none can be put
together from the phrases that training data are made of. The rambling ones have reasons,
relatives, asides and second sentences. They were written without looking at the rules by which
the package tells a request from a query, and most of their words occur in no other request.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from importlib.resources import files

from .typos import misspelled

CLEAN = "clean"
VARIANTS = (CLEAN, "typo1", "typo2", "chatty", "chatty+typo1", "rambling")
"""All variants. The figures of the others are compared with those of ``clean``."""

TEMPLATES = {
    name: files(__package__).joinpath(f"{name}.txt").read_text("utf-8").splitlines()
    for name in ("chatty", "rambling")
}
"""The templates of each kind of request."""


def as_request(text: str, rng: random.Random, templates: Sequence[str]) -> str:
    """Return a random request for a text; only the text's closing dots and marks are removed."""
    return rng.choice(templates).format(text.rstrip(" .?!") or text)


def variant(name: str, query_id: str, text: str, seed: int) -> str:
    """Return a query's text in a variant; equal arguments give equal text on any machine.

    ``chatty+typo1`` has the typo of ``typo1`` inside the request of ``chatty``, so that its
    cost can be compared with the cost of each.
    """
    request, _, typos = name.rpartition("+") if "+" in name else (name, "", name)
    if typos in ("typo1", "typo2"):
        text = misspelled(text, int(typos[-1]), random.Random(f"{seed}:{typos}:{query_id}"))
    if request in TEMPLATES:
        rng = random.Random(f"{seed}:{request}:{query_id}")
        text = as_request(text, rng, TEMPLATES[request])
    return text
