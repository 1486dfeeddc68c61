"""Elasticsearch: ``_search``, ``_async_search``, ``_msearch`` and ``_count``.

The texts are the ``query`` of ``match``, ``multi_match``, ``combined_fields``, ``query_string``
and ``simple_query_string`` (these two only without operators), ``semantic`` and
``sparse_vector``, the text of neural queries and of kNN with a model, and the parameter ``q``:
at the top, in compound queries, in retrievers and in rescoring, if a field is searched that holds
prose. Filters, ``must_not``, phrases and queries that complete a prefix only repeat such a text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import quote

from ..core.outcome import Reason
from .base import Part, QuerySpan, SearchRequest
from .expansion import WEIGHT, in_place, or_encoder
from .fields.schemas import Place
from .jsonspans import MalformedError, allowance, items_of, read
from .layers import url_layer
from .operators import LUCENE
from .repeated import Repeated
from .repeats import kept
from .search_api import SearchApi, Texts, about, is_json, is_past_first, is_zero, param_span
from .searchbody import SearchBody
from .urlencoded import Params, url_encoder

_MOST_LINES = 256  # of a multi-search
_LONGEST = 512  # characters of a path whose fields are asked for
_LINES = ("application/x-ndjson", "application/ndjson", "application/vnd.elasticsearch+x-ndjson")


class ElasticsearchDialect(SearchApi):
    """Finds the texts of a search of Elasticsearch 7, 8 and 9.

    Unless ``paths`` name them, paths with another segment that begins with an underscore are no
    searches: ``/_plugins/…/_search`` searches other things, ``/i/_doc/_search`` writes a document.
    """

    name = "elasticsearch"
    looks_for = ("q or source", "query, sub_searches, knn, retriever or rescore")
    paths: tuple[str, ...] = ("/**/_search", "/**/_async_search", "/**/_msearch", "/**/_count")

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

    def texts(
        self, request: SearchRequest, params: Params, body: bytes, repeated: Texts
    ) -> Iterator[QuerySpan]:
        """Yield the spans in the parameters ``q`` and ``source``, and in the body."""
        if self._is_multi(request):
            if body:
                yield from self._multi(self.indices(request, params), body, repeated)
            return
        paged = is_past_first(params.get("from"))
        indices = self.indices(request, params)
        holds_prose = self._holds_prose(indices)
        places = [None if indices is None else f"{indices}/"]
        size, search, layer, counts = params.get("size"), None, None, None
        if request.path.rstrip("/").endswith("/_count"):
            counts = True
        elif size is not None:
            counts = is_zero(size)
        if body:
            search = SearchBody(body, paged, holds_prose, counts=counts)
        elif (source := params.bounds("source")) is not None:
            layer = url_layer(params.data, *source)
            search = SearchBody(layer.data, paged, holds_prose, counts=counts)
        counts = bool(counts if search is None else search.counts)
        span = param_span(Part.QUERY_STRING, params, "q", paged=paged, syntax=LUCENE)
        raw = b"" if span is None else params.data[span.start : span.stop]
        field = params.get("df")
        # In version 7 and before, a semicolon ends a parameter.
        if span is not None and b";" not in raw and (field is None or holds_prose(field)):
            encode = or_encoder(LUCENE.neutralize, url_encoder(raw), f"^{WEIGHT}")
            span.expansion = in_place(span, encode)
            yield from about([span], places, counts=counts)
        if search is not None:
            for inner in about(search.deciding(), places, counts=counts):
                yield inner if layer is None else layer.to_outer(inner, Part.QUERY_STRING)
            for inner in _repeating([(0, search)], repeated()):
                yield inner if layer is None else layer.to_outer(inner, Part.QUERY_STRING)

    def indices(self, request: SearchRequest, params: Params) -> str | None:
        """Return the path of the indices that a request searches; ``None`` if it is not known."""
        path, _, last = request.path.rstrip("/").rpartition("/")
        return path if last in ("_search", "_async_search", "_msearch", "_count") else None

    def _is_multi(self, request: SearchRequest) -> bool:
        return request.path.rstrip("/").endswith("/_msearch")

    def _holds_prose(self, path: str | None) -> Callable[[str], bool]:
        """Return a function that tells whether a field of the indices at a path holds prose."""
        if path is None or len(path) > _LONGEST:
            return self.fields.of()
        return self.fields.of(Place("elasticsearch", quote(path, safe="/*,")))

    def _multi(self, path: str | None, body: bytes, repeated: Texts) -> Iterator[QuerySpan]:
        """Yield the spans of a multi-search, which has a header line and a body for each search."""
        if not body.endswith(b"\n"):
            raise MalformedError("a multi-search ends with a newline")
        if body.count(b"\n") > _MOST_LINES:
            raise MalformedError("too many searches")
        allowed = allowance()
        start = 1 if body.startswith(b"\n") else 0  # the server skips this newline too
        lines = body[start:-1].split(b"\n")
        if len(lines) % 2:
            raise MalformedError("a header has no body")
        above = None if path is None else path.rpartition("/")[0]
        searches: list[tuple[int, SearchBody]] = []
        index, named, fields = "", path, self._holds_prose(path)
        for position, line in enumerate(lines):
            if position % 2:
                search = SearchBody(line, False, fields, allowed)
                searches.append((start, search))
                places = [None if named is None else f"{named}/"]
                for span in about(search.deciding(), places, counts=search.counts):
                    yield _moved(span, start)
            else:
                before, index = index, "" if line in (b"", b"{}") else _index(line, allowed)
                if index != before:
                    named = f"{above}/{index}" if index and above is not None else path
                    fields = self._holds_prose(named)
            start += len(line) + 1
        yield from _repeating(searches, repeated())


def _repeating(
    searches: list[tuple[int, SearchBody]], texts: frozenset[str]
) -> Iterator[QuerySpan]:
    """Yield the spans of what repeats the texts; all texts stay where that cannot be known."""
    if not texts:
        return
    repeated = Repeated(texts)
    try:
        for start, search in searches:
            for span in search.repeating(repeated):
                yield span if span.skip is Reason.FIXED else _moved(span, start)
    except (MalformedError, RecursionError):
        yield from map(kept, texts)


def _index(header: bytes, allowed: Iterator[int]) -> str:
    """Return the indices that a header of a multi-search names, or nothing."""
    if not header.strip():
        return ""
    named = read(header, lambda path: path in ((), ("index",)), allowed).get("index")
    names = [item.text for item in items_of(named) if item.text is not None]
    return "" if any(name in (".", "..") or "/" in name for name in names) else ",".join(names)


def _moved(span: QuerySpan, by: int) -> QuerySpan:
    """Move a span, which was just made, to where its search begins."""
    span.start += by
    span.stop += by
    if span.expansion is not None:
        span.expansion.start += by
        span.expansion.stop += by
    return span
