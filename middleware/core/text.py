"""The normal form of a text, its tokens and its words."""

from __future__ import annotations

import unicodedata

from .quoted import collapsed

PUNCTUATION = "\"'`“”‘’«»„()[]{}<>,;:!?…。，、"
"""Characters that are stripped from both ends of a token."""


_MOST_MARKS = 30  # combining marks in a row; no language has more (UAX #15, stream-safe text)


def normalize(text: str) -> str:
    """Return the text in NFC with white space collapsed; case, accents and quotes stay.

    White space within quotations stays too, as it is part of an exact phrase. The memo's keys and
    the model's input are normalized, as equal forms are one request.
    """
    composed = text if text.isascii() else unicodedata.normalize("NFC", text)
    plain = " ".join(composed.split())
    # Most texts have nothing to collapse, and are not searched for quotations.
    return plain if plain == composed else collapsed(composed.strip(), plain)


def stacks_marks(text: str) -> bool:
    """Return whether a text has so many combining marks in a row that it is none.

    ``normalize`` sorts each row in quadratic time.
    """
    if text.isascii() or len(text) <= _MOST_MARKS:
        return False
    row = 0
    for mark in map(unicodedata.combining, text):
        row = row + 1 if mark else 0
        if row > _MOST_MARKS:
            return True
    return False


def tokens(text: str) -> list[str]:
    """Return the white-space separated tokens of a text without punctuation around them."""
    found = []
    for raw in text.split():
        token = raw.strip(PUNCTUATION)
        if len(token) > 1 and token[-1] == "." and (token.count(".") == 1 or token[-2] == "."):
            token = token.rstrip(".").rstrip(PUNCTUATION)  # an end of sentence, not of "u.s."
        if token:
            found.append(token)
    return found


def words(text: str) -> list[str]:
    """Return the tokens of a text that have a letter or a digit."""
    return [token for token in tokens(text) if holds_word(token)]


def holds_word(piece: str) -> bool:
    """Return whether a piece of a text has a letter or a digit."""
    return any(map(str.isalnum, piece))
