"""How names are taken apart, so that people find ``JSONDecoder`` under "json decoder".

The full-text tokenizer splits at everything that is neither letter nor digit, which
serves dotted and underscored names; it knows nothing of camelCase and drops the signs
of ``C++`` and ``C#``. What it misses is added here, to documents and to queries alike.
"""

from __future__ import annotations

import re

__all__ = ["extra_names", "match_expression", "name_parts"]

_CAMEL = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_A-Za-z]+")
_MIXED = re.compile(r"[A-Za-z]*(?:[a-z][A-Z]|[A-Z]{2}[a-z])[A-Za-z0-9]*")
_SIGNED = re.compile(r"(?<!\w)(\w+)(\+\+|#)(?![\w+#])")
_WORD = re.compile(r"[^\W_]+")
_SIGN_NAMES = {"++": "plusplus", "#": "sharp"}

_MOST_TERMS = 64  # a query beyond this says nothing more, and each term costs a look-up


def name_parts(name: str) -> list[str]:
    """Return the words of a dotted, underscored or camelCase name, in lower case."""
    return [part.lower() for word in _WORD.findall(name) for part in _CAMEL.findall(word)]


def extra_names(text: str) -> str:
    """Return what else the text is to be found under: parts of its mixed-case names, signed names.

    Each name counts once, however often it stands in the text.
    """
    found = dict.fromkeys(name.lower() + _SIGN_NAMES[sign] for name, sign in _SIGNED.findall(text))
    for name in dict.fromkeys(_MIXED.findall(text)):
        found.update(dict.fromkeys(name_parts(name)))
    return " ".join(found)


def match_expression(query: str) -> str:
    """Return an FTS5 expression that matches documents with any of the query's words.

    What stands between spaces is one term, quoted, so that nothing in it is syntax; a
    term of several tokens is a phrase. The parts of a name are further terms, and so a
    document with the whole name ranks above one with a part. Empty where there is no word.
    """
    terms: dict[str, None] = {}
    for chunk in query.split():
        if len(terms) >= _MOST_TERMS:
            break
        if _WORD.search(chunk):
            terms[_quoted(chunk.lower())] = None
        words = _WORD.findall(chunk)
        if len(words) > 1 and "'" not in chunk and "’" not in chunk:
            terms.update(dict.fromkeys(_quoted(word.lower()) for word in words))
        extra = extra_names(chunk)
        terms.update(dict.fromkeys(_quoted(name) for name in extra.split()))
    return " OR ".join(list(terms)[:_MOST_TERMS])


def _quoted(term: str) -> str:
    return '"' + term.replace('"', '""').replace("\0", " ") + '"'
