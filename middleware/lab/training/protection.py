"""Recognize the words of a query that a rewrite must keep as typed."""

from __future__ import annotations

import re

_NEGATIONS_TEXT = (
    "no not non nor none never neither without except excluding minus cannot cant can't "
    "don't doesn't didn't won't isn't aren't wasn't weren't shouldn't wouldn't couldn't "
    "hasn't haven't hadn't dont doesnt didnt wont isnt arent unlike against"
)
NEGATIONS = frozenset(_NEGATIONS_TEXT.split())
_UNITS_TEXT = (
    "mm cm m km in inch inches ft foot feet yd mile miles mg g kg lb lbs oz ml l liter "
    "litre gal kb mb gb tb mhz ghz hz v volt volts w watt watts kw mah amp amps ohm "
    "ohms psi rpm kmh mph c f k usd eur gbp px dpi fps bit bits byte bytes ms sec min "
    "hr nm um ppm"
)
UNITS = frozenset(_UNITS_TEXT.split())
_PLAIN_WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)?")


def bare_word(token: str) -> str:
    """Return a token without the punctuation around it, but with symbols of its own (``c++``)."""
    # A leading dot belongs to the word: ".net".
    return token.lstrip('?!,;:("“”‘’').rstrip('?!.,;:)"“”‘’')


def is_protected(token: str) -> bool:
    """Tell whether a token is a number, unit, negation, acronym or identifier.

    Everything but a plain Latin word counts as an identifier, and so does a word with capitals
    after its first letter (``iPhone``, ``NASA``, ``getItem``).
    """
    word = bare_word(token)
    if "()" in token or not word or not _PLAIN_WORD.fullmatch(word):
        return True
    lower = word.lower()
    if lower in NEGATIONS or lower in UNITS:
        return True
    return any(letter.isupper() for letter in word[1:])
