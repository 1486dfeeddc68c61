"""The normal form of a text, its tokens and its words."""

from __future__ import annotations

import unicodedata

PUNCTUATION = "\"'`“”‘’«»„()[]{}<>,;:!?…。，、"
"""Characters that are stripped from both ends of a token."""


def normalize(text: str) -> str:
    """Return the text in NFC with white space collapsed; case, accents and quotes stay.

    The memo's keys and the model's input are normalized, as equal forms are one request.
    """
    return " ".join((text if text.isascii() else unicodedata.normalize("NFC", text)).split())


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
