"""Quotations in a text: what stands between a pair of quotation marks."""

from __future__ import annotations

import re

__all__ = ["QUOTATION", "quotations", "quoted_pieces"]

# A mark behind a digit is an inch or a second, and does not open.
QUOTATION = re.compile(r"""(?<![\d\w])"[^"]*"|“[^“”]*”|„[^“”]*[“”]|«[^»]*»""")


def quotations(text: str) -> list[str]:
    """Return the quotations of a text with their marks, in order."""
    return QUOTATION.findall(text)


def quoted_pieces(text: str) -> list[bool]:
    """Tell of each white-space separated piece of a text whether a quotation touches it."""
    spans = [found.span() for found in QUOTATION.finditer(text)]
    return [
        any(start < piece.end() and piece.start() < end for start, end in spans)
        for piece in re.finditer(r"\S+", text)
    ]
