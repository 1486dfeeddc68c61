"""The texts in one search body of Elasticsearch and OpenSearch, in each of its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .base import QuerySpan
from .jsonspans import JsonValue, Path, Reader, items_of
from .querydsl import BY_FIELD, DIRECT, Finder, optional
from .repeated import NEVER_ENTERED, Repeated
from .search_api import is_past_first, is_zero

# Keys that are entered only to see what they repeat.
_REPEATING = frozenset(
    {"aggregations", "aggs", "collapse", "ext", "filter", "functions", "highlight", "inner_hits"}
    | {"knn_filter", "must_not", "negative", "post_filter", "suggest", "term", "terms"}
)
_COMMON = frozenset({"query", "size", "from", "_source", "sort", "track_total_hits"})
_SHORT = 4096  # bytes of a search that is looked through before it is walked through again
_AGGREGATIONS = ("aggs", "aggregations")


class SearchBody:
    """One search's JSON. Errors: ``MalformedError``, from all methods.

    ``paged`` tells that the URL asks for a later page, ``holds_prose`` whether a field holds prose.
    ``allowed`` is that of ``Reader``. ``counts`` tells whether no hits are asked for; by
    default, the body does.
    """

    def __init__(
        self,
        data: bytes,
        paged: bool,
        holds_prose: Callable[[str], bool],
        allowed: Iterator[int] | None = None,
        *,
        counts: bool | None = None,
    ) -> None:
        reader = Reader(data, _enter, allowed)
        self._data = data
        self._decided: list[tuple[int, int]] = []
        self._root = root = reader.document
        paged = (
            paged
            or is_past_first(root.get("from").value)
            or root.get("search_after").value is not None
            # The slices of a search are read in parallel, and must all have the same query.
            or root.get("slice").value is not None
        )
        self.counts = is_zero(root.get("size").value) if counts is None else counts
        self._finder = Finder(reader, paged, holds_prose, counts=self.counts)

    def deciding(self) -> Iterator[QuerySpan]:
        """Yield the spans of the texts to decide about."""
        for span in _texts(self._root, self._finder):
            self._decided.append((span.start, span.stop))
            yield span

    def repeating(self, repeated: Repeated) -> Iterator[QuerySpan]:
        """Yield the spans of the places that repeat a text; to be called after ``deciding``."""
        if len(self._data) < _SHORT and repeated.holds_only(self._data, self._decided):
            return
        finder = self._finder.variant(repeated=repeated)
        for each in (_texts(self._root, finder), _beside(self._root, finder)):
            yield from (span for span in each if span.follows)


def _enter(path: Path) -> bool:
    if not path or not (path[-1] in NEVER_ENTERED or path[-1] in _REPEATING):
        return True
    above = path[-2] if len(path) > 1 else ""
    # A field can have any name, also one of these.
    return above in BY_FIELD or (above in DIRECT and path[-1] == "fields")


def _texts(root: JsonValue, finder: Finder) -> Iterator[QuerySpan]:
    yield from finder.query(root.get("query"))
    if all(name in _COMMON for name, _ in root.members):
        return
    for sub_search in root.get("sub_searches").items:
        yield from finder.query(sub_search.get("query"))
    for knn in items_of(root.get("knn")):
        yield from finder.knn(knn)
    yield from _retriever(root.get("retriever"), finder)
    yield from _rescore(root.get("rescore"), finder)


def _retriever(body: JsonValue, finder: Finder) -> Iterator[QuerySpan]:
    """Yield the texts of a retriever and of the retrievers in it."""
    for kind, inside in body.named():
        if kind == "knn":
            yield from finder.knn(inside)
            continue
        if inside.get("search_after").value is not None:
            finder = finder.variant(paged=True)
        query = inside.get("query")
        yield from finder.text(inside, query) if query.text is not None else finder.query(query)
        yield from _retriever(inside.get("retriever"), finder)
        for item in inside.get("retrievers").items:
            weighted = item.get("retriever")
            yield from _retriever(item if weighted.value is None else weighted, finder)
        yield from _rescore(inside.get("rescore"), finder)
        if finder.repeats:
            yield from finder.repeated(inside.get("inference_text"))
            yield from finder.queries(inside.get("filter"), False)


def _rescore(stages: JsonValue, finder: Finder) -> Iterator[QuerySpan]:
    """Yield the texts that rerank the best hits."""
    for stage in items_of(stages):
        yield from finder.query(stage.get("query").get("rescore_query"))


def _beside(root: JsonValue, finder: Finder) -> Iterator[QuerySpan]:
    """Yield the texts that are shown, counted or suggested beside the hits."""
    yield from finder.queries(root.get("post_filter"), False)
    yield from finder.highlight(root.get("highlight"))
    yield from _suggest(finder.opened(root.get("suggest")), finder)
    for name in _AGGREGATIONS:
        yield from optional(_aggregations(finder.opened(root.get(name)), finder))
    for hits in items_of(finder.opened(root.get("collapse")).get("inner_hits")):
        yield from finder.highlight(hits.get("highlight"))
    reranked = finder.opened(root.get("ext")).get("rerank").get("query_context")
    yield from finder.repeated(reranked.get("query_text"))


def _suggest(body: JsonValue, finder: Finder) -> Iterator[QuerySpan]:
    yield from finder.repeated(body.get("text"))
    for name, suggester in body.named():
        if name != "text":
            yield from finder.repeated(suggester.get("text"))
            yield from finder.repeated(suggester.get("prefix"))


def _aggregations(body: JsonValue, finder: Finder) -> Iterator[QuerySpan]:
    for _, aggregation in body.named():
        for kind, inside in aggregation.named():
            if kind in _AGGREGATIONS:
                yield from _aggregations(inside, finder)
            elif kind == "filter":
                yield from finder.query(inside, False)
            elif kind in ("filters", "adjacency_matrix"):
                filters = inside.get("filters")
                for query in (*filters.items, *(query for _, query in filters.named())):
                    yield from finder.query(query, False)
            else:
                yield from finder.query(inside.get("background_filter"), False)
                yield from finder.highlight(inside.get("highlight"))
