"""Split names into words, so that "json decoder" finds ``JSONDecoder``.

The full-text tokenizer splits at everything but letters and digits, such as dots and
underscores. It does not split camelCase, and drops the symbols of ``C++`` and ``C#``. This
module adds the missing terms to documents and queries.
"""

from __future__ import annotations

import re

_CAMEL = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_A-Za-z]+")
_MIXED = re.compile(r"[A-Za-z]*(?:[a-z][A-Z]|[A-Z]{2}[a-z])[A-Za-z0-9]*")
_SIGNED = re.compile(r"(?<!\w)(\w+)(\+\+|#)(?![\w+#])")
_WORD = re.compile(r"[^\W_]+")
_SIGN_NAMES = {"++": "plusplus", "#": "sharp"}

_MOST_TERMS = 64  # per query, as each term costs a look-up


def name_parts(name: str) -> list[str]:
    """Return the words of a dotted, underscored or camelCase name, in lower case."""
    return [part.lower() for word in _WORD.findall(name) for part in _CAMEL.findall(word)]


def extra_names(text: str) -> str:
    """Return further terms of a text: parts of mixed-case names, and names with symbols.

    Each term is there once.
    """
    found = dict.fromkeys(name.lower() + _SIGN_NAMES[sign] for name, sign in _SIGNED.findall(text))
    for name in dict.fromkeys(_MIXED.findall(text)):
        found.update(dict.fromkeys(name_parts(name)))
    return " ".join(found)


def match_expression(query: str) -> str:
    """Return an FTS5 expression that matches documents with any of the query's words.

    Each part between spaces is a quoted term, so that it has no syntax; several tokens in it
    form a phrase. The parts of a name are further terms, so that a document with the whole name
    ranks above one with a part. Returns an empty text if there is no word.
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
