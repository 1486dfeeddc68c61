"""Meilisearch: ``q`` of a search, of a multi-search and of a federated one.

``null`` is no text and stays, so does an empty one. Facet searches, similar documents and
chats are no searches by text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from .base import Part, QuerySpan, SearchRequest
from .expansion import respelled
from .jsonspans import JsonValue, Path, read
from .operators import WORDS
from .search_api import SearchApi, is_later, json_slot, param_slot
from .urlencoded import Params

__all__ = ["MeilisearchDialect"]

_MANY = "multi-search"


class MeilisearchDialect(SearchApi):
    """Finds the texts of a search of Meilisearch 1."""

    name = "meilisearch"
    paths = ("/**/indexes/*/search", f"/**/{_MANY}")

    def texts(self, request: SearchRequest, params: Params, body: bytes) -> Iterator[QuerySpan]:
        """Yield the slots of ``q``."""
        if request.path.rstrip("/").endswith(f"/{_MANY}"):
            if body:
                root = read(body, _enter)
                federation = root.get("federation")
                for query in root.get("queries").items:
                    yield from _body(query, later=_later(federation.get))
        elif request.method == "GET":
            later = _later(lambda name: _param(params, name))
            span = param_slot(Part.QUERY_STRING, params, "q", later=later)
            if span is not None:
                yield _expanding(span, params.get("matchingStrategy"))
        elif body:
            yield from _body(read(body, lambda path: not path), later=False)


def _enter(path: Path) -> bool:
    return len(path) < 3 and (not path or path[0] in ("queries", "federation"))


def _param(params: Params, name: str) -> JsonValue:
    return JsonValue(0, 0, params.get(name))


def _later(get: Callable[[str], JsonValue]) -> bool:
    return is_later(get("offset").value) or is_later(get("page").value, 1)


def _body(query: JsonValue, *, later: bool) -> Iterator[QuerySpan]:
    span = json_slot(query.get("q"), later=later or _later(query.get))
    if span is not None:
        yield _expanding(span, query.get("matchingStrategy").value)


def _expanding(span: QuerySpan, strategy: object) -> QuerySpan:
    if strategy not in (None, "last"):
        return span
    encode = span.encode

    def write(text: str, added: tuple[str, ...]) -> bytes:
        return encode(f"{text} {WORDS.words(' '.join(added))}")

    return replace(span, expansion=respelled(span, write))
