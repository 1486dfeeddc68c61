"""Check that a rewrite keeps the terms that must not change, independently of acceptance.

An audit that used the code of acceptance could not find its errors. Here, protected terms are
recognized by shape and by short lists of words, in the clean query.
"""

from __future__ import annotations

import re

_EDGES = "\"'`“”‘’«»()[]{}<>,;:!?…"
_NEGATION = re.compile(
    r"no|not|never|none|nor|neither|without|except|excluding|cannot|[a-z]+n['’]t|non-.+|.+-free",
    re.IGNORECASE,
)
_UNIT = re.compile(
    r"[munpk]?(?:m|g|l|v|w|a|hz|b|s|pa)|cm|mm|km|in|inch(?:es)?|f(?:oo|ee)?t|yards?|miles?|kg|oz"
    r"|ounces?|lbs?|pounds?|ml|lit(?:er|re)s?|gal(?:lons?)?|[mk]?watts?|volts?|amps?|[gmk]hz|[gmkt]b"
    r"|percent|%|°[cf]?|degrees?|usd|eur|dollars?|euros?|days?|hours?|minutes?|months?|years?|weeks?",
    re.IGNORECASE,
)
_SIGN = re.compile(r"[\w.]+(?:[+#]+|[_/@&\\][\w.]+)|\.\w+")
_I = re.compile(r"I(?:['’]\w+)?")
_CODE = re.compile(r"[a-z]+[A-Z]\w*|[A-Z]{2,}\w*")


def lost_terms(clean: str, typed: str, sent: str) -> list[str]:
    """Return the protected terms of ``clean`` that are in ``typed`` and not in ``sent``.

    Protected are whole tokens: those with a digit, units after a number, negations, names with
    capitals inside the text, acronyms, and code. Case does not matter. A term that is not in
    the typed text was lost by the user, not by the rewrite.
    """
    before, after = set(_tokens(typed.lower())), set(_tokens(sent.lower()))
    terms = [term.lower() for term in _protected_terms(clean)]
    return [term for term in dict.fromkeys(terms) if term in before and term not in after]


def _protected_terms(clean: str) -> list[str]:
    found = []
    pieces = [piece for piece in clean.split() if _trimmed(piece)]
    tokens = [_trimmed(piece) for piece in pieces]
    capitals = sum(token[0].isupper() for token in tokens)
    # In a headline, capitals do not mark names.
    headline = 2 * capitals > len(tokens) and tokens[0][0].isupper()
    for index, token in enumerate(tokens):
        starts_sentence = index == 0 or pieces[index - 1].rstrip("\"'”’)").endswith(
            (".", "!", "?", ":")
        )
        is_name = (
            token[0].isupper() and not starts_sentence and not headline and not _I.fullmatch(token)
        )
        after_number = index > 0 and any(c.isdigit() for c in tokens[index - 1])
        if (
            any(char.isdigit() for char in token)
            or _NEGATION.fullmatch(token)
            or _SIGN.fullmatch(token)
            or (_CODE.fullmatch(token) and not clean.isupper())
            or (after_number and _UNIT.fullmatch(token))
            or is_name
        ):
            found.append(token)
    return found


def _tokens(text: str) -> list[str]:
    return [token for piece in text.split() if (token := _trimmed(piece))]


def _trimmed(piece: str) -> str:
    """Return a token without the punctuation around it; the dots of "u.s." stay."""
    token = piece.strip(_EDGES)
    if "." not in token.rstrip("."):
        token = token.rstrip(".").rstrip(_EDGES)
    return token
