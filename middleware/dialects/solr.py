"""Solr: the ``q`` of the lucene, dismax and edismax parsers, in a URL, a form or the JSON API.

Local parameters, function queries and everything but ``q`` (``fq``, ``bq``, ``bf``, ``facet.*``,
parameters that ``q`` refers to) stay. A request with a query in two places is left alone, because
the handler decides which one counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from .base import Part, QuerySpan, SearchRequest
from .expansion import WEIGHT, in_place, or_encoder
from .jsonspans import JsonValue, Path, read
from .operators import LUCENE
from .search_api import SearchApi, Texts, is_form, is_json, is_past_first, json_span, param_span
from .urlencoded import Params, url_encoder

_HANDLERS = ("select", "query", "browse")
_ROOTS = ("/solr", "/solr/*", "/api/*/*", "/v2/*/*")
_PARSERS = (None, "", "lucene", "dismax", "edismax")
_PATHS_OF_QT = (None, "", "/select", "/query", "/browse", "standard", "dismax", "edismax")
# Parsers of the JSON API, in which a query may be an object.
_OBJECTS = ("lucene", "dismax", "edismax")
_CLOSED = frozenset({"filter", "must_not"})


class SolrDialect(SearchApi):
    """Finds the text of a search of Solr 7 and later, at the handlers' usual paths."""

    name = "solr"
    writes_by_get = True  # "/update?stream.body="
    paths = tuple(f"{root}/{handler}" for root in _ROOTS for handler in _HANDLERS)

    def reads(self, request: SearchRequest) -> bool:
        """Return whether a body is a form or JSON."""
        return is_form(request) or is_json(request.media_type)

    def texts(
        self, request: SearchRequest, params: Params, body: bytes, repeated: Texts
    ) -> Iterator[QuerySpan]:
        """Yield the spans of the only place that holds the query; none if there are two places."""
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
        if len(places) != 1 or parser not in _PARSERS or not self._searches_prose(request, params, form, body):
            return
        yield from places[0]
        for text in repeated():
            for part, source in ((Part.QUERY_STRING, params), (Part.BODY, form)):
                yield from repeats(part, source, text)
            if body and not is_form(request):
                yield from json_repeats(body, text)


def _is_plain(params: Params) -> bool:
    """Return whether a client sent the request to a known handler, with parameters in UTF-8."""
    return (
        "isShard" not in params
        and "json" not in params
        and "json.query" not in params
        and params.get("qt") in _PATHS_OF_QT
        and (params.get("ie") or "utf-8").lower() == "utf-8"
    )


def _is_paged(params: Params) -> bool:
    return (
        is_past_first(params.get("start"))
        or is_past_first(params.get("json.offset"))
        or params.get("cursorMark") not in (None, "*")
    )


def _param(
    part: Part, source: Params, all_params: tuple[Params, Params], parser: str | None
) -> QuerySpan | None:
    paged = any(map(_is_paged, all_params))
    span = param_span(part, source, "q", paged=paged, syntax=LUCENE)
    if span is None:
        return None
    encode = url_encoder(source.data[span.start : span.stop])
    if parser == "lucene":
        span.expansion = in_place(span, or_encoder(LUCENE.neutralize, encode, f"^{WEIGHT}"))
    elif parser in ("dismax", "edismax") and not any(
        name in params for name in ("mm", "q.op") for params in all_params
    ):
        weight = f"^{WEIGHT}" if parser == "edismax" else ""
        span.expansion = in_place(span, partial(_with_mm, encode, weight))
    return span


def _with_mm(
    encode: Callable[[str], bytes], weight: str, text: str, added: tuple[str, ...]
) -> bytes:
    """Return text and terms, with ``mm`` requiring as many words as the text has."""
    neutral = LUCENE.neutralize(text)
    words = [word for term in added for word in LUCENE.neutralize(term).split()]
    terms = " ".join(f"{word}{weight}" for word in words if any(map(str.isalnum, word)))
    if not terms:
        return encode(neutral)
    return encode(f"{neutral} {terms}") + b"&mm=%d" % max(1, len(text.split()))


def _document(body: bytes, params: Params, parser: str | None) -> list[list[QuerySpan]]:
    """Return the spans of a JSON request by place: those in ``params.q``, those in ``query``."""
    root = read(body, _enter)
    inner = root.get("params")
    parsers = (parser, inner.get("defType").value)
    if any(name not in _PARSERS for name in parsers) or inner.get("qt").value is not None:
        return []
    paged = (
        _is_paged(params)
        or is_past_first(root.get("offset").value)
        or is_past_first(inner.get("start").value)
        or inner.get("cursorMark").value not in (None, "*")
    )
    places = []
    for texts in ((inner.get("q"),), _queries(root.get("query"))):
        spans = (json_span(text, paged=paged, syntax=LUCENE) for text in texts)
        places.append([span for span in spans if span is not None])
    return places


def _queries(value: JsonValue) -> Iterator[JsonValue]:
    """Yield the query, which may be the text, and the texts in objects that name a parser."""
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
        elif kind.startswith("#"):  # a tag with the query that it marks
            yield from _queries(inside)


def _enter(path: Path) -> bool:
    if not path or path[0] == "params":
        return len(path) < 2
    return path[0] == "query" and path[-1] not in _CLOSED
