"""How each API says a text with further terms of lower weight (``expand`` mode).

==================  ===========================================================  ==============
API                 what is sent for a text and its added terms                  replaced where
==================  ===========================================================  ==============
plain               the text and the terms after it, of equal weight             never
Elasticsearch and   ``bool.should`` of the clause as it came and of its copy     semantic, neural
OpenSearch DSL      for the added terms, boosted by ``WEIGHT``               and kNN texts;
                                                                                 ``rrf`` texts
Elasticsearch and   ``(text) OR (terms)^0.3``                                    never
OpenSearch ``q=``
Solr                lucene: ``(text) OR (terms)^0.3``; edismax and dismax: the   ``defType`` is
                    terms after the text (edismax: ``^0.3``), ``mm`` the number  not said; ``mm``
                    of words in the text                                         or ``q.op`` is;
                                                                                 the JSON API
Meilisearch         the terms after the text: with the matching strategy         any other
                    ``last`` they are the first to be optional                   strategy
Typesense           (extra words narrow a search)                                always
Algolia             the terms after the text, and in ``optionalWords``           ``optionalWords``
                                                                                 are said
Groonga             ``(text) OR (terms)``                                        never
==================  ===========================================================  ==============

"Replaced" means that the slot has no expansion, so that the rewrite takes the text's
place under the rules of ``replace`` mode.
"""

from __future__ import annotations

from collections.abc import Callable

from .base import Expansion, QuerySpan

__all__ = ["WEIGHT", "boosted_should", "either", "respelled"]

WEIGHT = "0.3"
"""Weight of added terms beside the text's own 1, where an API can say one."""


def respelled(span: QuerySpan, write: Callable[[str, tuple[str, ...]], bytes]) -> Expansion:
    """Return an expansion in the slot's own place."""
    return Expansion(span.start, span.stop, write)


def either(
    words: Callable[[str], str], encode: Callable[[str], bytes], weight: str = ""
) -> Callable[[str, tuple[str, ...]], bytes]:
    """Return the spelling of ``(text) OR (terms)``; ``words`` neutralizes each side."""

    def write(text: str, added: tuple[str, ...]) -> bytes:
        terms = words(" ".join(added))
        if not any(map(str.isalnum, terms)):
            return encode(words(text))
        return encode(f"({words(text)}) OR ({terms}){weight}")

    return write


def boosted_should(data: bytes, clause: tuple[int, int], span: QuerySpan) -> Expansion:
    """Return the expansion of a query clause of Elasticsearch that holds the slot's text.

    The clause stands first as it came; a copy of it asks for the added terms.
    """
    start, stop = clause
    whole, before, after = data[start:stop], data[start : span.start], data[span.stop : stop]
    encode = span.encode

    def write(_: str, added: tuple[str, ...]) -> bytes:
        copy = before + encode(" ".join(added)) + after
        return b'{"bool":{"should":[%s,{"bool":{"must":[%s],"boost":%s}}]}}' % (
            whole,
            copy,
            WEIGHT.encode(),
        )

    return Expansion(start, stop, write)
