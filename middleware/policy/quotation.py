"""Quotations in a text: the parts between pairs of quotation marks."""

from __future__ import annotations

import re

from ..core.text import tokens

# A mark behind a digit is an inch or a second, and does not open. No quotation holds its own
# opening mark: a run of these would be read once for each.
_QUOTATION = re.compile(r"""(?<![\d\w])"[^"]*"|“[^“”]*”|„[^„“”]*[“”]|«[^«»]*»""")


# The same, and marks that only open: one behind a digit is an inch or a second, and one inside a
# word opens nothing.
_QUOTED = re.compile(
    r"""(?<![^\s(+\-\[])"(?=\S)|(?<![\d\s])"[^"]*"|“[^“”]*”|„[^„“”]*[“”]|«[^«»]*»"""
)
# With so many words beside its quotations, a text is prose that quotes.
_PROSE = 8


def asks_for_a_phrase(text: str) -> bool:
    """Return whether a text asks for an exact phrase in quotation marks.

    A long text that quotes is prose, not a search for a phrase; acceptance keeps its quotations.
    """
    if not _QUOTED.search(text):
        return False
    outside = _QUOTATION.sub(" ", text)
    return bool(_QUOTED.search(outside)) or len(tokens(outside)) < _PROSE


def count_marks(text: str) -> int:
    """Return how many double quotation marks of any kind a text has."""
    return sum(text.count(mark) for mark in '"“”„«»')


def quotations(text: str) -> list[str]:
    """Return the quotations of a text with their marks, in order."""
    return _QUOTATION.findall(text)


def quoted_pieces(text: str) -> list[bool]:
    """Return for each white-space separated piece of a text whether a quotation touches it."""
    spans = [found.span() for found in _QUOTATION.finditer(text)]
    return [
        any(start < piece.end() and piece.start() < end for start, end in spans)
        for piece in re.finditer(r"\S+", text)
    ]
