"""Elasticsearch: ``_search``, ``_async_search`` and ``_msearch``.

The texts are the ``query`` of ``match``, ``multi_match``, ``combined_fields``, ``query_string``
and ``simple_query_string`` (these two only without operators), ``semantic`` and
``sparse_vector``, the text of neural queries and of kNN with a model, and the parameter ``q``:
at the top, in compound queries, in retrievers and in rescoring. Filters, ``must_not``, phrases
and queries that complete a prefix stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .base import Part, QuerySpan, SearchRequest
from .expansion import WEIGHT, boosted_should, in_place, or_encoder
from .jsonspans import JsonValue, MalformedError, Path, allowance, read
from .layers import url_layer
from .operators import LUCENE, SIMPLE, QuerySyntax
from .search_api import SearchApi, is_json, is_past_first, json_span, param_span
from .urlencoded import Params, url_encoder

_MOST_LINES = 256  # of a multi-search
_LINES = ("application/x-ndjson", "application/ndjson", "application/vnd.elasticsearch+x-ndjson")

# Compound queries, and the keys of the queries in them: one each, or a list.
_INNER = {
    "bool": ("must", "should"),
    "boosting": ("positive",),
    "constant_score": ("filter",),
    "dis_max": ("queries",),
    "function_score": ("query",),
    "has_child": ("query",),
    "has_parent": ("query",),
    "hybrid": ("queries",),
    "nested": ("query",),
    "pinned": ("organic",),
    "rule": ("organic",),
    "rule_query": ("organic",),
    "script_score": ("query",),
}
# Queries with a text: those that have it below the name of a field, by the key of the text, and
# those that have it in ``query``.
_BY_FIELD = {
    "match": "query",
    "neural": "query_text",
    "neural_sparse": "query_text",
    "text_expansion": "model_text",
}
_DIRECT = frozenset(
    {"combined_fields", "multi_match", "query_string", "semantic"}
    | {"simple_query_string", "sparse_vector"}
)
_SYNTAXES: dict[str, QuerySyntax] = {"query_string": LUCENE, "simple_query_string": SIMPLE}
# Queries of which a copy can search for the added terms.
_EXPANDS = frozenset(
    {"combined_fields", "match", "multi_match", "query_string", "simple_query_string"}
)
# Keys that are not entered: they hold no query text, and may be large.
_CLOSED = frozenset(
    {"_source", "aggregations", "aggs", "collapse", "docvalue_fields", "ext", "fields"}
    | {"filter", "functions", "highlight", "ids", "indices_boost", "knn_filter", "must_not"}
    | {"negative", "post_filter", "query_vector", "runtime_mappings", "script"}
    | {"script_fields", "search_after", "sort", "stored_fields", "suggest", "term", "terms"}
    | {"vector"}
)


class ElasticsearchDialect(SearchApi):
    """Finds the texts of a search of Elasticsearch 7, 8 and 9.

    Unless ``paths`` name them, paths with another segment that begins with an underscore are no
    searches: ``/_plugins/…/_search`` searches other things, ``/i/_doc/_search`` writes a document.
    """

    name = "elasticsearch"
    paths: tuple[str, ...] = ("/**/_search", "/**/_async_search", "/**/_msearch")

    def searches(self, request: SearchRequest) -> bool:
        """Return whether a request searches indices."""
        if not super().searches(request):
            return False
        return self.renamed or not any(
            segment.startswith("_") and segment != "_all"
            for segment in request.path.rstrip("/").split("/")[:-1]
        )

    def reads(self, request: SearchRequest) -> bool:
        """Return whether a body is JSON, or lines of JSON for a multi-search."""
        return is_json(request.media_type) or (
            self._is_multi(request) and request.media_type in _LINES
        )

    def texts(self, request: SearchRequest, params: Params, body: bytes) -> Iterator[QuerySpan]:
        """Yield the spans in the parameters ``q`` and ``source``, and in the body."""
        if self._is_multi(request):
            if body:
                yield from _multi(body)
            return
        paged = is_past_first(params.get("from"))
        span = param_span(Part.QUERY_STRING, params, "q", paged=paged, syntax=LUCENE)
        raw = b"" if span is None else params.data[span.start : span.stop]
        # In version 7 and before, a semicolon ends a parameter.
        if span is not None and b";" not in raw:
            encode = or_encoder(LUCENE.neutralize, url_encoder(raw), f"^{WEIGHT}")
            span.expansion = in_place(span, encode)
            yield span
        if body:
            yield from _search(body, paged)
        elif (source := params.bounds("source")) is not None:
            layer = url_layer(params.data, *source)
            for inner in _search(layer.data, paged):
                yield layer.to_outer(inner, Part.QUERY_STRING)

    def _is_multi(self, request: SearchRequest) -> bool:
        return request.path.rstrip("/").endswith("/_msearch")


def _enter(path: Path) -> bool:
    if not path or path[-1] not in _CLOSED:
        return True
    # A field can have any name, also one of these.
    above = path[-2] if len(path) > 1 else ""
    return above in _BY_FIELD or (above == "constant_score" and path[-1] == "filter")


def _multi(body: bytes) -> Iterator[QuerySpan]:
    """Yield the spans of a multi-search: for each search a header line, maybe blank, and a body."""
    if not body.endswith(b"\n"):
        raise MalformedError("a multi-search ends with a newline")
    if body.count(b"\n") > _MOST_LINES:
        raise MalformedError("too many searches")
    allowed = allowance()
    start = 1 if body.startswith(b"\n") else 0  # the server skips this newline too
    lines = body[start:-1].split(b"\n")
    if len(lines) % 2:
        raise MalformedError("a header has no body")
    for position, line in enumerate(lines):
        if position % 2:
            for span in _search(line, False, allowed):
                yield _moved(span, start)
        elif line.strip():
            read(line, lambda path: not path, allowed)
        start += len(line) + 1


def _moved(span: QuerySpan, by: int) -> QuerySpan:
    expansion = span.expansion
    if expansion is not None:
        expansion = replace(expansion, start=expansion.start + by, stop=expansion.stop + by)
    return replace(span, start=span.start + by, stop=span.stop + by, expansion=expansion)


def _search(data: bytes, paged: bool, allowed: Iterator[int] | None = None) -> Iterator[QuerySpan]:
    """Yield the spans of one search's JSON; ``allowed`` is that of ``read``."""
    root = read(data, _enter, allowed)
    paged = (
        paged
        or is_past_first(root.get("from").value)
        or root.get("search_after").value is not None
        # The slices of a search are read in parallel, and must all have the same query.
        or root.get("slice").value is not None
    )
    finder = _Finder(data, paged)
    yield from finder.query(root.get("query"))
    for sub_search in root.get("sub_searches").items:
        yield from finder.query(sub_search.get("query"))
    for knn in _each(root.get("knn")):
        yield from finder.knn(knn)
    yield from finder.retriever(root.get("retriever"))
    yield from finder.rescore(root.get("rescore"))


def _each(value: JsonValue) -> tuple[JsonValue, ...]:
    """Return the items of an array; any other value is returned as the only item."""
    return value.items or (value,)


class _Finder:
    """Finds the texts in the queries of one search."""

    def __init__(self, data: bytes, paged: bool) -> None:
        self._data = data
        self._paged = paged

    def query(self, clause: JsonValue) -> Iterator[QuerySpan]:
        """Yield the texts of a query clause and of the clauses in it."""
        for kind, body in clause.named():
            if kind in _INNER:
                for key in _INNER[kind]:
                    for inner in _each(body.get(key)):
                        yield from self.query(inner)
            elif kind == "knn":
                yield from self.knn(body)
            elif kind in _DIRECT:
                if not _completes(body):
                    yield from self._leaf(kind, clause, body.get("query"))
            elif kind in _BY_FIELD:
                for name, field in body.named():
                    if not (_completes(field) or _is_exact(name)):
                        text = field if field.text is not None else field.get(_BY_FIELD[kind])
                        yield from self._leaf(kind, clause, text)

    def knn(self, body: JsonValue) -> Iterator[QuerySpan]:
        """Yield the text of which a model makes the query vector."""
        text = body.get("query_vector_builder").get("text_embedding").get("model_text")
        yield from self._leaf("knn", body, text)

    def retriever(self, body: JsonValue) -> Iterator[QuerySpan]:
        """Yield the texts of a retriever and of the retrievers in it."""
        for kind, inside in body.named():
            if kind == "knn":
                yield from self.knn(inside)
                continue
            finder = self
            if inside.get("search_after").value is not None:
                finder = _Finder(self._data, paged=True)
            query = inside.get("query")
            if query.text is not None:
                yield from finder._leaf("retriever", inside, query)
            else:
                yield from finder.query(query)
            yield from finder.retriever(inside.get("retriever"))
            for item in inside.get("retrievers").items:
                weighted = item.get("retriever")
                yield from finder.retriever(item if weighted.value is None else weighted)
            yield from finder.rescore(inside.get("rescore"))

    def rescore(self, stages: JsonValue) -> Iterator[QuerySpan]:
        """Yield the texts that rerank the best hits."""
        for stage in _each(stages):
            yield from self.query(stage.get("query").get("rescore_query"))

    def _leaf(self, kind: str, clause: JsonValue, text: JsonValue) -> Iterator[QuerySpan]:
        span = json_span(text, paged=self._paged, syntax=_SYNTAXES.get(kind))
        if span is None:
            return
        # A clause can only be copied if this is its only text.
        alone = len(clause.members) == 1 and (
            kind not in _BY_FIELD or all(len(body.members) == 1 for _, body in clause.members)
        )
        if kind in _EXPANDS and alone:
            span.expansion = boosted_should(self._data, (clause.start, clause.stop), span)
        yield span


def _is_exact(field: str) -> bool:
    """Return whether a field has a usual name of those whose whole values are matched."""
    return field.startswith("_") or field.endswith((".keyword", ".raw"))


def _completes(body: JsonValue) -> bool:
    """Return whether a query reads its text as a phrase, or its last word as a prefix."""
    kind = body.get("type").text or ""
    return "phrase" in kind or "prefix" in kind
