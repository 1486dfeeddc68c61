"""Meilisearch: ``q`` of a search, a multi-search, a federated search and a facet search.

A ``q`` that is ``null`` or empty stays, and so does the part of a facet's value that somebody
searches for. Similar documents and chats are no searches by text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from .base import Part, QuerySpan, SearchRequest
from .expansion import in_place
from .jsonspans import JsonValue, Path, read
from .operators import WORDS
from .repeats import kept_by, spelled
from .search_api import SearchApi, Texts, about, is_past_first, is_zero, json_span, param_span
from .urlencoded import Params

_MULTI, _FACETS = "multi-search", "facet-search"


class MeilisearchDialect(SearchApi):
    """Finds the texts of a search of Meilisearch 1."""

    name = "meilisearch"
    looks_for = ("q", "q")
    paths = ("/**/indexes/*/search", "/**/indexes/*/facet-search", f"/**/{_MULTI}")

    def texts(
        self, request: SearchRequest, params: Params, body: bytes, repeated: Texts
    ) -> Iterator[QuerySpan]:
        """Yield the spans of ``q``."""
        filters: list[str | None] = []
        *_, index, last = ("", *request.path.rstrip("/").split("/"))
        if last == _MULTI:
            if body:
                root = read(body, _enter)
                federation = partial(_value, root.get("federation"))
                paged, counts = _is_paged(federation), _counts(federation)
                for query in root.get("queries").items:
                    filters.append(spelled(body, query.get("filter")))
                    index = query.get("indexUid").text or ""
                    yield from self._body(query, index, paged=paged, counts=counts)
        elif request.method == "GET" and last != _FACETS:
            span = param_span(Part.QUERY_STRING, params, "q", paged=_is_paged(params.get))
            filters.append(params.get("filter"))
            if span is not None and self._searches_prose(params.get("attributesToSearchOn")):
                found = [_expanding(span, params.get("matchingStrategy"))]
                yield from about(found, [index], counts=_counts(params.get))
        elif body:
            query = read(body, _enter_search)
            filters.append(spelled(body, query.get("filter")))
            yield from self._body(query, index, paged=False, counts=last == _FACETS)
        yield from kept_by(filters, repeated())

    def _body(
        self, query: JsonValue, index: str, *, paged: bool, counts: bool
    ) -> Iterator[QuerySpan]:
        value = partial(_value, query)
        span = json_span(query.get("q"), paged=paged or _is_paged(value))
        names = query.get("attributesToSearchOn").items
        if span is not None and self._searches_prose(",".join(name.text or "" for name in names)):
            found = [_expanding(span, query.get("matchingStrategy").value)]
            yield from about(found, [index], counts=counts or _counts(value))

    def _searches_prose(self, attributes: str | None) -> bool:
        names = [name for name in (attributes or "").split(",") if name not in ("", "*")]
        return not names or any(map(self.fields.of(), names))


def _enter(path: Path) -> bool:
    if not path or path[0] == "federation":
        return len(path) < 2
    return path[0] == "queries" and (len(path) < 3 or path[2:] == ("attributesToSearchOn",))


def _enter_search(path: Path) -> bool:
    return path in ((), ("attributesToSearchOn",))


def _value(parent: JsonValue, name: str) -> object:
    return parent.get(name).value


def _is_paged(get: Callable[[str], object]) -> bool:
    return is_past_first(get("offset")) or is_past_first(get("page"), 1)


def _counts(get: Callable[[str], object]) -> bool:
    return is_zero(get("limit")) or is_zero(get("hitsPerPage"))


def _expanding(span: QuerySpan, strategy: object) -> QuerySpan:
    encode = span.encode

    def encode_expanded(text: str, added: tuple[str, ...]) -> bytes:
        return encode(f"{text} {WORDS.neutralize(' '.join(added))}")

    if strategy in (None, "last"):
        span.expansion = in_place(span, encode_expanded)
    return span
