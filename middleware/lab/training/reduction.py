"""Reduce questions and sentences to keywords, by dropping function words only.

The rule is simple enough for a small model: every content word, number, negation and
identifier stays, in order and with its case.
"""

from __future__ import annotations

from ...policy.terms import GRAMMAR, is_sentence
from .protection import NEGATIONS, bare_word, is_protected

_QUESTION_STARTS_TEXT = (
    "what what's whats which who who's whos whom whose when where where's why how how's "
    "is are was were do does did can could should would will has have had am"
)
QUESTION_STARTS = frozenset(_QUESTION_STARTS_TEXT.split())
FUNCTION_WORDS = GRAMMAR
# Question words of two words; the second alone would stay.
_PAIRS = frozenset({("how", "many"), ("how", "much"), ("how", "come"), ("what", "kind"),
                    ("what", "kinds"), ("what", "type"), ("what", "types")})  # fmt: skip


def is_question(text: str) -> bool:
    """Tell whether a text is a question, by its first word or a question mark at its end."""
    tokens = text.split()
    return bool(tokens) and (tokens[0].lower() in QUESTION_STARTS or text.rstrip().endswith("?"))


def _all_capitals(tokens: list[str]) -> bool:
    return all(token.upper() == token for token in tokens)


def keywords(text: str) -> str:
    """Return a text without its function words and closing marks.

    A function word in capitals stays (``US``, ``WHO``), unless the whole text is in capitals. A
    text of function words only is returned whole.
    """
    tokens = text.split()
    all_capitals = _all_capitals(tokens)
    remaining: list[str] = []
    previous = ""
    for index, token in enumerate(tokens):
        word = bare_word(token)
        lower = word.lower()
        if not word:
            continue
        acronym = is_protected(token) and len(word) > 1 and not all_capitals and word.isupper()
        paired = (previous, lower) in _PAIRS
        previous = lower
        if not acronym and lower not in NEGATIONS and (lower in FUNCTION_WORDS or paired):
            continue
        last = index == len(tokens) - 1
        remaining.append(
            token.rstrip("?!.,;:") or token if last else token.rstrip("?!,;:") or token
        )
    return " ".join(remaining) if remaining else text.strip().rstrip("?").strip()


def clean(text: str) -> str:
    """Return the keywords of a question or sentence; return any other query unchanged."""
    return keywords(text) if is_question(text) or is_sentence(text.split()) else text
