"""Solr: the ``q`` of the lucene, dismax and edismax parsers, in a URL, a form or the JSON API.

Local parameters and function queries stay. Other queries (``fq``, ``bq``, ``facet.query``, ``hl.q``
and parameters that are referred to) follow where they repeat ``q``. A request with a query in two
places is left alone, because the handler decides which one counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from urllib.parse import quote

from .base import MAX_TEXT, Part, QuerySpan, SearchRequest
from .comparisons import Comparisons
from .expansion import WEIGHT, in_place, or_encoder
from .fields.names import looks_exact
from .fields.schemas import Place
from .fields.solr import looks_dynamic
from .jsonspans import MISSING, JsonValue, Path, Reader, encode_json
from .layers import Layer, json_layer, url_layer
from .operators import LUCENE
from .repeats import following, kept, occurrences
from .search_api import (
    SearchApi,
    Texts,
    about,
    is_form,
    is_json,
    is_past_first,
    is_zero,
    json_span,
    param_span,
)
from .urlencoded import Params, decode_value, url_encoder

_HANDLERS = ("select", "query", "browse")
_ROOTS = ("/solr", "/solr/*", "/api/*/*", "/v2/*/*")
_PARSERS = (None, "", "lucene", "dismax", "edismax")
_PATHS_OF_QT = (None, "", "/select", "/query", "/browse", "standard", "dismax", "edismax")
# Parsers of the JSON API, in which a query may be an object.
_OBJECTS = ("lucene", "dismax", "edismax")
_CLOSED = frozenset({"filter", "must_not"})
# Parameters that hold queries, and those of them that exclude hits.
_QUERIES = frozenset(
    {"bq", "facet.query", "fq", "group.query", "hl.q", "rqq", "spellcheck.q", "suggest.q", "uq"}
)
_RESTRICTING = frozenset({"fq", "filter", "must_not"})
_JSON_QUERIES = frozenset({"facet", "filter", "params", "queries", "query"})
_LONGEST = 512  # characters of a path whose fields are asked for
_REFERENCE = re.compile(rb"\$([\w.]{1,64})")
_WEIGHT = re.compile(r"[\^~]")


class SolrDialect(SearchApi):
    """Finds the text of a search of Solr 7 and later, at the handlers' usual paths."""

    name = "solr"
    looks_for = ("q", "q, query or params.q")
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
        reader = Reader(body, _enter) if body and not is_form(request) else None
        root = MISSING if reader is None else reader.document
        if reader is not None:
            places += filter(None, _document(root, params, parser))
        holds_prose = self.fields.of(_place(request), _looks_exact)
        named = _fields_of((params, form), root, parser)
        searched = not named or any(map(holds_prose, named))
        if len(places) != 1 or parser not in _PARSERS or not searched:
            return
        path = request.path.rstrip("/").rpartition("/")[0]
        yield from about(places[0], [path], counts=_counts((params, form), root))
        texts = repeated()
        for part, source in ((Part.QUERY_STRING, params), (Part.BODY, form)):
            yield from _repeated(part, source, texts, holds_prose)
        if reader is not None and texts:
            yield from _repeated_json(reader, texts, holds_prose, {s.start for s in places[0]})


def _place(request: SearchRequest) -> Place | None:
    """Return the collection that a request searches."""
    path = request.path.rstrip("/").rpartition("/")[0]
    return Place("solr", quote(path, safe="/")) if 0 < len(path) <= _LONGEST else None


def _looks_exact(name: str) -> bool:
    return looks_exact(name) or looks_dynamic(name)


def _fields_of(sources: tuple[Params, ...], root: JsonValue, parser: object) -> list[str]:
    """Return the fields that a request names; none if the handler's own are searched."""
    inner = root.get("params")
    parser = inner.get("defType").value or parser
    objects = [inside for kind, inside in root.get("query").named() if kind in _OBJECTS]
    wanted = "qf" if objects or parser in ("dismax", "edismax") else "df"
    found = [each.get(wanted) for each in sources]
    found += [each.get(wanted).text for each in (inner, *objects)]
    fields = " ".join(value for value in found if value is not None)
    return [field for each in fields.split() if (field := _WEIGHT.split(each)[0])]


def _repeated(
    part: Part, params: Params, texts: frozenset[str], holds_prose: Callable[[str], bool]
) -> Iterator[QuerySpan]:
    """Yield the places in other parameters that repeat a text."""
    compared = Comparisons()
    referred = set(_REFERENCE.findall(params.data.replace(b"%24", b"$"))) if texts else ()
    for name, start, stop in params.named() if texts else ():
        if name == "q" or not (name in _QUERIES or name.encode() in referred):
            continue
        if stop - start > MAX_TEXT:
            yield from map(kept, texts if name in _RESTRICTING else ())
            continue
        value = decode_value(params.data[start:stop]) or ""
        for text in texts:
            if found := list(occurrences(value, text, holds_prose, compared)):
                layer = url_layer(params.data, start, stop)
                yield from _places(part, layer, value, text, found, name in _RESTRICTING)


def _repeated_json(
    reader: Reader,
    texts: frozenset[str],
    holds_prose: Callable[[str], bool],
    decided: set[int],
) -> Iterator[QuerySpan]:
    """Yield the places in a JSON request that repeat a text."""
    in_parts, compared = Comparisons(), Comparisons()
    written = [encode_json(text)[1:-1].decode("latin-1") for text in texts]

    def may_hold(part: str) -> bool:
        return "\\" in part or any(in_parts.may_hold(part, each) for each in written)

    for path, value in _strings(reader, reader.document, (), may_hold):
        string = value.text or ""
        if value.start in decided or (path[0] == "params" and path[-1] not in _QUERIES):
            continue
        for text in texts:
            if found := list(occurrences(string, text, holds_prose, compared)):
                restricts = not _RESTRICTING.isdisjoint(path)
                layer = json_layer(reader.data, value)
                yield from _places(Part.BODY, layer, string, text, found, restricts)


def _places(
    part: Part,
    layer: Layer,
    value: str,
    text: str,
    found: Iterable[tuple[int, int] | None],
    restricts: bool,
) -> Iterator[QuerySpan]:
    for bounds in found:
        if bounds is not None:
            yield following(part, layer, text, bounds, value)
        elif restricts:
            yield kept(text)


def _strings(
    reader: Reader, value: JsonValue, path: Path, may_hold: Callable[[str], bool]
) -> Iterator[tuple[Path, JsonValue]]:
    """Yield the strings that may be queries, with their paths."""
    if path and value.text is not None and len(value.text) <= MAX_TEXT:
        yield path, value
    opened = reader.open(value, lambda inner: True, may_hold)
    for item in opened.items:
        yield from _strings(reader, item, path, may_hold)
    for key, member in opened.members:
        if path or key in _JSON_QUERIES:
            yield from _strings(reader, member, (*path, key), may_hold)


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


def _counts(sources: tuple[Params, ...], root: JsonValue) -> bool:
    """Return whether a request asks for no documents."""
    wanted = [source.get(name) for source in sources for name in ("rows", "json.limit")]
    return any(
        map(is_zero, (*wanted, root.get("limit").value, root.get("params").get("rows").value))
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


def _document(root: JsonValue, params: Params, parser: str | None) -> list[list[QuerySpan]]:
    """Return the spans of a JSON request by place: those in ``params.q``, those in ``query``."""
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
