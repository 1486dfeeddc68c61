"""Questions and sentences to their keywords, by dropping function words only.

The rule is local and fixed so that a small model can learn it: every content word,
number, negation and identifier stays, in order, in its own case.
"""

from __future__ import annotations

from ...policy.terms import GRAMMAR, is_sentence
from .protection import NEGATIONS, core, is_protected

_QUESTION_STARTS_TEXT = (
    "what what's whats which who who's whos whom whose when where where's why how how's "
    "is are was were do does did can could should would will has have had am"
)
QUESTION_STARTS = frozenset(_QUESTION_STARTS_TEXT.split())
FUNCTION_WORDS = GRAMMAR
# Fronts of two words that go together; the second alone would be kept.
_PAIRS = frozenset({("how", "many"), ("how", "much"), ("how", "come"), ("what", "kind"),
                    ("what", "kinds"), ("what", "type"), ("what", "types")})  # fmt: skip


def is_question(text: str) -> bool:
    """Tell whether a text has the form of a question: its first word, or a mark at its end."""
    tokens = text.split()
    return bool(tokens) and (tokens[0].lower() in QUESTION_STARTS or text.rstrip().endswith("?"))


def _shouts(tokens: list[str]) -> bool:
    return all(token.upper() == token for token in tokens)


def keywords(text: str) -> str:
    """Drop the function words of a text and its closing marks; keep all else in order.

    A capitalised function word inside the text stays with its capitals (``US``, ``WHO``),
    and a text made of function words alone comes back whole.
    """
    tokens = text.split()
    shouting = _shouts(tokens)
    kept: list[str] = []
    previous = ""
    for index, token in enumerate(tokens):
        word = core(token)
        lower = word.lower()
        if not word:
            continue
        acronym = is_protected(token) and len(word) > 1 and not shouting and word.isupper()
        paired = (previous, lower) in _PAIRS
        previous = lower
        if not acronym and lower not in NEGATIONS and (lower in FUNCTION_WORDS or paired):
            continue
        last = index == len(tokens) - 1
        kept.append(token.rstrip("?!.,;:") or token if last else token.rstrip("?!,;:") or token)
    return " ".join(kept) if kept else text.strip().rstrip("?").strip()


def clean(text: str) -> str:
    """Give a query its clean form: questions and sentences become keywords, the rest stays."""
    return keywords(text) if is_question(text) or is_sentence(text.split()) else text
