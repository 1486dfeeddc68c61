"""How each API expresses a text together with terms of lower weight (``expand`` mode).

==================  ===========================================================  ==============
API                 what is sent for a text and its added terms                  replaced if
==================  ===========================================================  ==============
plain               the text and the terms after it, of equal weight             never
Elasticsearch and   ``bool.should`` of the original clause and its copy for      semantic, neural
OpenSearch DSL      the added terms, boosted by ``WEIGHT``                       and kNN texts;
                                                                                 ``rrf`` texts
Elasticsearch and   ``(text) OR (terms)^0.3``                                    never
OpenSearch ``q=``
Solr                lucene: ``(text) OR (terms)^0.3``; edismax and dismax: the   no ``defType``;
                    terms after the text (edismax: ``^0.3``), ``mm`` the number  ``mm`` or ``q.op``
                    of words in the text                                         is set; JSON API
Meilisearch         the terms after the text: the matching strategy ``last``     any other
                    drops them first                                             strategy
Typesense           (extra words narrow a search)                                always
Algolia             the terms after the text, and in ``optionalWords``           ``optionalWords``
                                                                                 is set
Groonga             ``(text) OR (terms)``                                        never
==================  ===========================================================  ==============

"Replaced" means that the span has no expansion: the rewrite replaces the text, under the rules
of ``replace`` mode.
"""

from __future__ import annotations

from collections.abc import Callable

from .base import Expansion, QuerySpan

WEIGHT = "0.3"
"""Weight of added terms if the API has weights; the text itself has weight 1."""


def in_place(span: QuerySpan, encode: Callable[[str, tuple[str, ...]], bytes]) -> Expansion:
    """Return an expansion that re-encodes the same span."""
    return Expansion(span.start, span.stop, encode)


def or_encoder(
    neutralize: Callable[[str], str], encode: Callable[[str], bytes], weight: str = ""
) -> Callable[[str, tuple[str, ...]], bytes]:
    """Return an encoder of ``(text) OR (terms)``, with both sides neutralized."""

    def encode_expanded(text: str, added: tuple[str, ...]) -> bytes:
        terms = neutralize(" ".join(added))
        if not any(map(str.isalnum, terms)):
            return encode(neutralize(text))
        return encode(f"({neutralize(text)}) OR ({terms}){weight}")

    return encode_expanded


def boosted_should(data: bytes, clause: tuple[int, int], span: QuerySpan) -> Expansion:
    """Return the expansion of the Elasticsearch query clause that contains the span.

    The original clause comes first, then a copy of it that searches for the added terms.
    """
    start, stop = clause
    whole, before, after = data[start:stop], data[start : span.start], data[span.stop : stop]
    encode = span.encode

    def encode_expanded(_: str, added: tuple[str, ...]) -> bytes:
        copy = before + encode(" ".join(added)) + after
        return b'{"bool":{"should":[%s,{"bool":{"must":[%s],"boost":%s}}]}}' % (
            whole,
            copy,
            WEIGHT.encode(),
        )

    return Expansion(start, stop, encode_expanded)
