"""Solr: the ``q`` of the lucene, dismax and edismax parsers, in a URL, a form or the JSON API.

Local parameters, function queries and everything but ``q`` (``fq``, ``bq``, ``bf``,
``facet.*``, parameters that ``q`` refers to) stay. Where a request says its query in two
places, which one counts depends on the handler: it is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from .base import Part, QuerySpan, SearchRequest
from .expansion import WEIGHT, either, respelled
from .jsonspans import JsonValue, Path, read
from .operators import LUCENE
from .search_api import SearchApi, is_form, is_json, is_later, json_slot, param_slot
from .urlencoded import Params

__all__ = ["SolrDialect"]

_HANDLERS = ("select", "query", "browse")
_ROOTS = ("/solr", "/solr/*", "/api/*/*", "/v2/*/*")
_PARSERS = (None, "", "lucene", "dismax", "edismax")
_PATHS_OF_QT = (None, "", "/select", "/query", "/browse", "standard", "dismax", "edismax")
# Parsers by name in the JSON API, in which a query is an object too.
_OBJECTS = ("lucene", "dismax", "edismax")
_CLOSED = frozenset({"filter", "must_not"})


class SolrDialect(SearchApi):
    """Finds the text of a search of Solr 7 and later, below the usual names of handlers."""

    name = "solr"
    writes_by_get = True  # "/update?stream.body="
    paths = tuple(f"{root}/{handler}" for root in _ROOTS for handler in _HANDLERS)

    def reads(self, request: SearchRequest) -> bool:
        """Tell whether a body is a form or JSON."""
        return is_form(request) or is_json(request.media_type)

    def texts(self, request: SearchRequest, params: Params, body: bytes) -> Iterator[QuerySpan]:
        """Yield the slot of the one place where the query is said."""
        form = Params(body if is_form(request) else b"")
        if not _is_plain(params) or not _is_plain(form):
            return
        parser = form.get("defType") or params.get("defType")
        found = [
            span
            for part, source in ((Part.QUERY_STRING, params), (Part.BODY, form))
            if (span := _param(part, source, (params, form), parser)) is not None
        ]
        places = [[span] for span in found]
        if body and not is_form(request):
            places += filter(None, _document(body, params, parser))
        if len(places) == 1 and parser in _PARSERS:
            yield from places[0]


def _is_plain(params: Params) -> bool:
    """Tell whether a request is a client's, for a known handler, with parameters in UTF-8."""
    return (
        "isShard" not in params
        and "json" not in params
        and "json.query" not in params
        and params.get("qt") in _PATHS_OF_QT
        and (params.get("ie") or "utf-8").lower() == "utf-8"
    )


def _later(params: Params) -> bool:
    return (
        is_later(params.get("start"))
        or is_later(params.get("json.offset"))
        or params.get("cursorMark") not in (None, "*")
    )


def _param(
    part: Part, source: Params, all_params: tuple[Params, Params], parser: str | None
) -> QuerySpan | None:
    later = any(map(_later, all_params))
    span = param_slot(part, source, "q", later=later, language=LUCENE)
    plain = param_slot(part, source, "q", language=None)
    if span is None or plain is None:
        return None
    said = any(name in params for name in ("mm", "q.op") for params in all_params)
    if parser == "lucene":
        write = either(LUCENE.words, plain.encode, f"^{WEIGHT}")
    elif parser in ("dismax", "edismax") and not said:
        write = _with_mm(plain.encode, f"^{WEIGHT}" if parser == "edismax" else "")
    else:
        return span
    return replace(span, expansion=respelled(span, write))


def _with_mm(
    encode: Callable[[str], bytes], weight: str
) -> Callable[[str, tuple[str, ...]], bytes]:
    """Return the spelling that asks for as many of all words as the text alone has."""

    def write(text: str, added: tuple[str, ...]) -> bytes:
        words = [word for term in added for word in LUCENE.words(term).split()]
        terms = " ".join(f"{word}{weight}" for word in words if any(map(str.isalnum, word)))
        if not terms:
            return encode(LUCENE.words(text))
        return encode(f"{LUCENE.words(text)} {terms}") + b"&mm=%d" % max(1, len(text.split()))

    return write


def _document(body: bytes, params: Params, parser: str | None) -> list[list[QuerySpan]]:
    """Return the slots of a JSON request by where they are: in ``query``, and in ``params.q``."""
    root = read(body, _enter)
    inner = root.get("params")
    parsers = (parser, inner.get("defType").value)
    if any(name not in _PARSERS for name in parsers) or inner.get("qt").value is not None:
        return []
    mark = inner.get("cursorMark").value
    later = (
        _later(params)
        or is_later(root.get("offset").value)
        or is_later(inner.get("start").value)
        or mark not in (None, "*")
    )
    places = []
    for texts in ((inner.get("q"),), _queries(root.get("query"))):
        spans = (json_slot(text, later=later, language=LUCENE) for text in texts)
        places.append([span for span in spans if span is not None])
    return places


def _queries(value: JsonValue) -> Iterator[JsonValue]:
    """Yield the texts of a query: itself, or those in the objects that stand for parsers."""
    yield value
    for kind, inside in value.named():
        if kind in _OBJECTS:
            yield inside if inside.text is not None else inside.get("query")
        elif kind == "bool":
            for key in ("must", "should"):
                clauses = inside.get(key)
                for clause in clauses.items or (clauses,):
                    yield from _queries(clause)
        elif kind == "boost":
            yield from _queries(inside.get("query"))
        elif kind.startswith("#"):  # a tag, and the query that it names
            yield from _queries(inside)


def _enter(path: Path) -> bool:
    if not path or path[0] == "params":
        return len(path) < 2
    return path[0] == "query" and path[-1] not in _CLOSED
