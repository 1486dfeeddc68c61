"""Typesense: ``q`` of a search and of a multi-search.

``*`` (all documents) stays. A request is left alone if a language model reads ``q``
(conversations, ``nl_query``), or if ``q`` is already segmented.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..core.outcome import Reason
from .base import Part, QuerySpan, SearchRequest
from .jsonspans import Path, read
from .repeats import kept_by
from .search_api import SearchApi, Texts, about, is_past_first, is_zero, json_span, param_span
from .urlencoded import Params

_MULTI = "multi_search"
_SIZES = ("per_page", "limit")
_LEFT_ALONE = ("conversation", "nl_query", "pre_segmented_query")


class TypesenseDialect(SearchApi):
    """Finds the texts of a search of Typesense; a body is JSON whatever its ``Content-Type``.

    The browser client calls it ``text/plain``, to avoid a CORS preflight request.
    """

    name = "typesense"
    looks_for = ("q", "q")
    paths = ("/**/collections/*/documents/search", f"/**/{_MULTI}")

    def reads(self, request: SearchRequest) -> bool:
        """Return whether the request is a multi-search; a single search has no body."""
        return request.method == "POST" and request.path.rstrip("/").endswith(f"/{_MULTI}")

    def texts(
        self, request: SearchRequest, params: Params, body: bytes, repeated: Texts
    ) -> Iterator[QuerySpan]:
        """Yield the span of each search's ``q``, then that of the ``q`` shared by all."""
        if any(_is_on(params.get(name)) for name in _LEFT_ALONE):
            return
        shared, filters = params.get("query_by"), [params.get("filter_by")]
        paged = is_past_first(params.get("page"), 1) or is_past_first(params.get("offset"))
        collections: list[str | None] = []
        counts = any(is_zero(params.get(name)) for name in _SIZES)
        if body:
            for search in read(body, _enter).get("searches").items:
                if any(_is_on(search.get(name).value) for name in _LEFT_ALONE):
                    continue
                page, offset = search.get("page").value, search.get("offset").value
                own = paged or is_past_first(page, 1) or is_past_first(offset)
                filters.append(search.get("filter_by").text)
                if self._searches_prose(search.get("query_by").text or shared):
                    place = search.get("collection").text or params.get("collection")
                    collections.append(place)
                    sizes = [search.get(name).value for name in _SIZES]
                    none = counts if sizes == [None, None] else any(map(is_zero, sizes))
                    found = _unless_all(json_span(search.get("q"), paged=own))
                    yield from about(found, [place], counts=none)
        else:
            collections += request.path.rstrip("/").split("/")[-3:-2]
        if self._searches_prose(shared):
            found = _unless_all(param_span(Part.QUERY_STRING, params, "q", paged=paged))
            yield from about(found, collections, counts=counts)
        yield from kept_by(filters, repeated())

    def _searches_prose(self, query_by: str | None) -> bool:
        names = [name.strip() for name in (query_by or "").split(",") if name.strip()]
        return not names or any(map(self.fields.of(), names))


def _enter(path: Path) -> bool:
    return not path or (path[0] == "searches" and len(path) < 3)


def _is_on(value: object) -> bool:
    return value is True or value == "true"


def _unless_all(span: QuerySpan | None) -> Iterator[QuerySpan]:
    if span is not None:
        if span.text.strip() == "*":
            span.skip = Reason.SYNTAX
        yield span
