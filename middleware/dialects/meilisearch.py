"""Meilisearch: ``q`` of a search, of a multi-search and of a federated search.

A ``q`` that is ``null`` or empty stays. Facet searches, similar documents and chats are no
searches by text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from .base import Part, QuerySpan, SearchRequest
from .expansion import in_place
from .jsonspans import JsonValue, Path, read
from .operators import WORDS
from .search_api import SearchApi, Texts, is_past_first, json_span, param_span
from .urlencoded import Params

_MULTI = "multi-search"


class MeilisearchDialect(SearchApi):
    """Finds the texts of a search of Meilisearch 1."""

    name = "meilisearch"
    paths = ("/**/indexes/*/search", f"/**/{_MULTI}")

    def texts(
        self, request: SearchRequest, params: Params, body: bytes, repeated: Texts
    ) -> Iterator[QuerySpan]:
        """Yield the spans of ``q``."""
        if request.path.rstrip("/").endswith(f"/{_MULTI}"):
            if body:
                root = read(body, _enter)
                federation = root.get("federation")
                for query in root.get("queries").items:
                    yield from _body(query, paged=_is_paged(partial(_value, federation)))
        elif request.method == "GET":
            span = param_span(Part.QUERY_STRING, params, "q", paged=_is_paged(params.get))
            if span is not None:
                yield _expanding(span, params.get("matchingStrategy"))
        elif body:
            yield from _body(read(body, lambda path: not path), paged=False)


def _enter(path: Path) -> bool:
    return len(path) < 3 and (not path or path[0] in ("queries", "federation"))


def _value(parent: JsonValue, name: str) -> object:
    return parent.get(name).value


def _is_paged(get: Callable[[str], object]) -> bool:
    return is_past_first(get("offset")) or is_past_first(get("page"), 1)


def _body(query: JsonValue, *, paged: bool) -> Iterator[QuerySpan]:
    span = json_span(query.get("q"), paged=paged or _is_paged(partial(_value, query)))
    if span is not None:
        yield _expanding(span, query.get("matchingStrategy").value)


def _expanding(span: QuerySpan, strategy: object) -> QuerySpan:
    encode = span.encode

    def encode_expanded(text: str, added: tuple[str, ...]) -> bytes:
        return encode(f"{text} {WORDS.neutralize(' '.join(added))}")

    if strategy in (None, "last"):
        span.expansion = in_place(span, encode_expanded)
    return span
