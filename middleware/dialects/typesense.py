"""Typesense: ``q`` of a search and of a multi-search.

``*`` (everything) stays, presets are applied by the server to what they do not find in
the request. Where a language model reads ``q`` (conversations, ``nl_query``), or it is
segmented already, it is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..core.outcome import Reason
from .base import Part, QuerySpan, SearchRequest
from .jsonspans import Path, read
from .search_api import SearchApi, is_later, json_slot, param_slot
from .urlencoded import Params

__all__ = ["TypesenseDialect"]

_MANY = "multi_search"
_OTHERWISE = ("conversation", "nl_query", "pre_segmented_query")


class TypesenseDialect(SearchApi):
    """Finds the texts of a search of Typesense; a body is JSON whatever it is labelled.

    The browser client labels it ``text/plain``, to be spared a pre-flight request.
    """

    name = "typesense"
    paths = ("/**/collections/*/documents/search", f"/**/{_MANY}")

    def reads(self, request: SearchRequest) -> bool:
        """Tell whether the request is a multi-search; a search has no body."""
        return request.method == "POST" and request.path.rstrip("/").endswith(f"/{_MANY}")

    def texts(self, request: SearchRequest, params: Params, body: bytes) -> Iterator[QuerySpan]:
        """Yield the slots of each search's ``q``, then of the one that all have in common."""
        if any(_is_on(params.get(name)) for name in _OTHERWISE):
            return
        later = is_later(params.get("page"), 1) or is_later(params.get("offset"))
        if body:
            for search in read(body, _enter).get("searches").items:
                if any(_is_on(search.get(name).value) for name in _OTHERWISE):
                    continue
                page, offset = search.get("page").value, search.get("offset").value
                own = later or is_later(page, 1) or is_later(offset)
                yield from _kept(json_slot(search.get("q"), later=own))
        yield from _kept(param_slot(Part.QUERY_STRING, params, "q", later=later))


def _enter(path: Path) -> bool:
    return not path or (path[0] == "searches" and len(path) < 3)


def _is_on(said: object) -> bool:
    return said is True or said == "true"


def _kept(span: QuerySpan | None) -> Iterator[QuerySpan]:
    if span is not None:
        yield replace(span, skip=Reason.SYNTAX) if span.text.strip() == "*" else span
