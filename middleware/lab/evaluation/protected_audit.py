"""Whether a rewrite left alone what must not be altered, told apart from acceptance itself.

Acceptance has its own idea of what to protect; an audit that asked the same code would
never find it wrong. The kinds here are told by shape and by short lists, on the clean query.
"""

from __future__ import annotations

import re

__all__ = ["altered"]

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


def altered(clean: str, typed: str, sent: str) -> list[str]:
    """Return the terms of ``clean`` that were typed and are not in what is sent.

    Terms are whole tokens: what holds a digit, units after a number, negations, names spelled
    with capitals inside the text, acronyms, and code. Case does not matter. A term that
    the typed text already lacks was lost by whoever typed it.
    """
    there, kept = set(_tokens(typed.lower())), set(_tokens(sent.lower()))
    terms = [term.lower() for term in _terms(clean)]
    return [term for term in dict.fromkeys(terms) if term in there and term not in kept]


def _terms(clean: str) -> list[str]:
    found = []
    raws = [raw for raw in clean.split() if _trimmed(raw)]
    tokens = [_trimmed(raw) for raw in raws]
    capitals = sum(token[0].isupper() for token in tokens)
    # Capitals say nothing where most words have one, the first among them.
    headline = 2 * capitals > len(tokens) and tokens[0][0].isupper()
    for index, token in enumerate(tokens):
        starts = index == 0 or raws[index - 1].rstrip("\"'”’)").endswith((".", "!", "?", ":"))
        named = token[0].isupper() and not starts and not headline and not _I.fullmatch(token)
        after_number = index > 0 and any(c.isdigit() for c in tokens[index - 1])
        if (
            any(char.isdigit() for char in token)
            or _NEGATION.fullmatch(token)
            or _SIGN.fullmatch(token)
            or (_CODE.fullmatch(token) and not clean.isupper())
            or (after_number and _UNIT.fullmatch(token))
            or named
        ):
            found.append(token)
    return found


def _tokens(text: str) -> list[str]:
    return [token for raw in text.split() if (token := _trimmed(raw))]


def _trimmed(raw: str) -> str:
    """Return a token without the punctuation around it; the dots of "u.s." stay."""
    token = raw.strip(_EDGES)
    if "." not in token.rstrip("."):
        token = token.rstrip(".").rstrip(_EDGES)
    return token
