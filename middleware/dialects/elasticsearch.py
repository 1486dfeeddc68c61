"""Elasticsearch: ``_search``, ``_async_search`` and ``_msearch``.

A text is the ``query`` of ``match``, ``multi_match``, ``combined_fields``,
``query_string`` and ``simple_query_string`` (these two without syntax), ``semantic`` and
``sparse_vector``, the text of neural queries and of kNN with a model, in compound queries
and retrievers, in rescoring, and the parameter ``q``. What restricts (``filter``,
``must_not``), phrases, and queries that complete a prefix stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from .base import Part, QuerySpan, SearchRequest
from .expansion import WEIGHT, boosted_should, either, respelled
from .jsonspans import JsonValue, MalformedError, Path, read
from .layers import url_layer
from .operators import LUCENE, SIMPLE, Language
from .search_api import SearchApi, is_json, is_later, json_slot, param_slot
from .urlencoded import Params

__all__ = ["ElasticsearchDialect"]

_LINES = ("application/x-ndjson", "application/ndjson", "application/vnd.elasticsearch+x-ndjson")

# Compound queries, and where their own queries are: one, or a list.
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
# Queries with a text: where it is below the name of a field, and where right below the query's.
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
_LANGUAGES: dict[str, Language] = {"query_string": LUCENE, "simple_query_string": SIMPLE}
# Of these a copy for the added terms alone means something.
_EXPANDS = frozenset(
    {"combined_fields", "match", "multi_match", "query_string", "simple_query_string"}
)
# Passed over: what holds no text of a query, and may be large.
_CLOSED = frozenset(
    {"_source", "aggregations", "aggs", "collapse", "docvalue_fields", "ext", "fields"}
    | {"filter", "functions", "highlight", "ids", "indices_boost", "knn_filter", "must_not"}
    | {"negative", "post_filter", "query_vector", "runtime_mappings", "script"}
    | {"script_fields", "search_after", "sort", "stored_fields", "suggest", "term", "terms"}
    | {"vector"}
)


class ElasticsearchDialect(SearchApi):
    """Finds the texts of a search of Elasticsearch 7, 8 and 9.

    Searches of other things below a name with an underscore (``/_plugins/…/_search``,
    ``/i/_doc/_search``, which writes a document) are none, unless ``paths`` name them.
    """

    name = "elasticsearch"
    paths: tuple[str, ...] = ("/**/_search", "/**/_async_search", "/**/_msearch")

    def searches(self, request: SearchRequest) -> bool:
        """Tell whether a request is a search of indices."""
        if not super().searches(request):
            return False
        return self.renamed or not any(
            segment.startswith("_") and segment != "_all"
            for segment in request.path.rstrip("/").split("/")[:-1]
        )

    def reads(self, request: SearchRequest) -> bool:
        """Tell whether a body is JSON or lines of it."""
        return is_json(request.media_type) or (
            self._is_many(request) and request.media_type in _LINES
        )

    def texts(self, request: SearchRequest, params: Params, body: bytes) -> Iterator[QuerySpan]:
        """Yield the slots of the parameters ``q`` and ``source``, and of the body."""
        if self._is_many(request):
            if body:
                yield from _many(body)
            return
        later = is_later(params.get("from"))
        uri = param_slot(Part.QUERY_STRING, params, "q", later=later, language=LUCENE)
        # Version 7 and before take a semicolon for the end of a parameter.
        if uri is not None and b";" not in params.data[uri.start : uri.stop]:
            spelling = either(LUCENE.words, _plain_encode(params, uri), f"^{WEIGHT}")
            yield replace(uri, expansion=respelled(uri, spelling))
        if body:
            yield from _search(body, later)
        elif (source := params.span("source")) is not None:
            layer = url_layer(params.data, *source)
            for span in _search(layer.data, later):
                yield layer.to_outer(span, Part.QUERY_STRING)

    def _is_many(self, request: SearchRequest) -> bool:
        return request.path.rstrip("/").endswith("/_msearch")


def _plain_encode(params: Params, span: QuerySpan) -> Callable[[str], bytes]:
    plain = param_slot(Part.QUERY_STRING, params, "q", language=None)
    return span.encode if plain is None else plain.encode


def _enter(path: Path) -> bool:
    if not path or path[-1] not in _CLOSED:
        return True
    # The name of a field can be any word.
    above = path[-2] if len(path) > 1 else ""
    return above in _BY_FIELD or (above == "constant_score" and path[-1] == "filter")


def _many(body: bytes) -> Iterator[QuerySpan]:
    """Yield the slots of the lines of a multi-search: a header, which may be blank, and a body."""
    if not body.endswith(b"\n"):
        raise MalformedError("a multi-search ends with a newline")
    start = 1 if body.startswith(b"\n") else 0  # as the server does
    lines = body[start:-1].split(b"\n")
    if len(lines) % 2:
        raise MalformedError("a header has no body")
    for position, line in enumerate(lines):
        if position % 2:
            for span in _search(line, later=False):
                yield _moved(span, start)
        elif line.strip():
            read(line, lambda path: not path)
        start += len(line) + 1


def _moved(span: QuerySpan, by: int) -> QuerySpan:
    expansion = span.expansion
    if expansion is not None:
        expansion = replace(expansion, start=expansion.start + by, stop=expansion.stop + by)
    return replace(span, start=span.start + by, stop=span.stop + by, expansion=expansion)


def _search(data: bytes, later: bool) -> Iterator[QuerySpan]:
    """Yield the slots of one search's JSON."""
    root = read(data, _enter)
    later = (
        later
        or is_later(root.get("from").value)
        or root.get("search_after").value is not None
        # The slices of a search are read side by side, and have to ask for the same.
        or root.get("slice").value is not None
    )
    finder = _Finder(data, later)
    yield from finder.query(root.get("query"))
    for sub_search in root.get("sub_searches").items:
        yield from finder.query(sub_search.get("query"))
    for knn in _each(root.get("knn")):
        yield from finder.knn(knn)
    yield from finder.retriever(root.get("retriever"))
    yield from finder.rescore(root.get("rescore"))


def _each(value: JsonValue) -> tuple[JsonValue, ...]:
    """Return the items of an array, or a value that stands for an array of one."""
    return value.items or (value,)


class _Finder:
    """Walks the queries of one search."""

    def __init__(self, data: bytes, later: bool) -> None:
        self._data = data
        self._later = later

    def query(self, clause: JsonValue) -> Iterator[QuerySpan]:
        """Yield the texts of a query clause and of those in it."""
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
        """Yield the text that a model makes a vector of."""
        text = body.get("query_vector_builder").get("text_embedding").get("model_text")
        yield from self._leaf("knn", body, text)

    def retriever(self, body: JsonValue) -> Iterator[QuerySpan]:
        """Yield the texts of a retriever and of those in it."""
        for kind, inside in body.named():
            if kind == "knn":
                yield from self.knn(inside)
                continue
            finder = self
            if inside.get("search_after").value is not None:
                finder = _Finder(self._data, later=True)
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
        """Yield the texts by which the best hits are ranked anew."""
        for stage in _each(stages):
            yield from self.query(stage.get("query").get("rescore_query"))

    def _leaf(self, kind: str, clause: JsonValue, text: JsonValue) -> Iterator[QuerySpan]:
        language = _LANGUAGES.get(kind)
        span = json_slot(text, later=self._later, language=language)
        if span is None:
            return
        # A copy of a clause has room for one text.
        alone = len(clause.members) == 1 and (kind not in _BY_FIELD or _is_one(clause))
        if kind in _EXPANDS and alone:
            whole = (clause.start, clause.stop)
            span = replace(span, expansion=boosted_should(self._data, whole, span))
        yield span


def _is_one(clause: JsonValue) -> bool:
    return all(len(body.members) == 1 for _, body in clause.members)


def _is_exact(field: str) -> bool:
    """Tell whether a field's values are matched as they are: the usual names of such."""
    return field.startswith("_") or field.endswith((".keyword", ".raw"))


def _completes(body: JsonValue) -> bool:
    """Tell whether a query takes its text as a phrase, or its last word as a prefix."""
    kind = body.get("type").text or ""
    return "phrase" in kind or "prefix" in kind
