"""The texts in the query DSL of Elasticsearch and OpenSearch.

A text is decided about where it is searched for and scored: in ``must``, ``should``, retrievers and
rescoring. Filters, ``must_not``, highlighting, suggestions and aggregations only follow: a text
that they repeat changes with it. Where it cannot change, such as in a keyword field of a filter,
it stays everywhere. A place that can only add hits or score, such as one of several alternatives,
keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ..core.outcome import Reason
from .base import Part, QuerySpan
from .expansion import boosted_should
from .jsonspans import JsonValue, Path, Reader, encode_json, items_of
from .operators import LUCENE, SIMPLE, QuerySyntax
from .repeated import CONTAINING, NEVER_ENTERED, Repeated
from .repeats import kept
from .search_api import json_span

# Compound queries: the keys of the queries in them, and whether a text there is decided about.
_INNER = {
    "bool": {"must": True, "filter": False, "must_not": False},
    "boosting": {"positive": True},
    "constant_score": {"filter": False},
    "function_score": {"query": True},
    "has_child": {"query": True},
    "has_parent": {"query": True},
    "hybrid": {"queries": True, "filter": False},
    "nested": {"query": True},
    "pinned": {"organic": True},
    "rule": {"organic": True},
    "rule_query": {"organic": True},
    "script_score": {"query": True},
}
_WITH_INNER_HITS = frozenset({"has_child", "has_parent", "nested"})
_ALTERNATIVES = {"bool": "should", "dis_max": "queries"}
# Queries with a text: those that have it below the name of a field, by the key of the text, and
# those that have it in ``query``.
BY_FIELD = {
    "match": "query",
    "neural": "query_text",
    "neural_sparse": "query_text",
    "text_expansion": "model_text",
}
DIRECT = frozenset(
    {"combined_fields", "multi_match", "query_string", "semantic"}
    | {"simple_query_string", "sparse_vector"}
)
_OF_VECTORS = frozenset({"neural", "neural_sparse", "text_expansion", "semantic", "sparse_vector"})
# Queries of which a text is never decided about, by the key of the text below that of the field.
_FOLLOWING = {
    "match_phrase": "query",
    "match_phrase_prefix": "query",
    "match_bool_prefix": "query",
    **dict.fromkeys(("term", "fuzzy", "prefix", "span_term"), "value"),
}
_SYNTAXES: dict[str, QuerySyntax] = {"query_string": LUCENE, "simple_query_string": SIMPLE}
# Queries of which a copy can search for the added terms.
_EXPANDS = frozenset(
    {"combined_fields", "match", "multi_match", "query_string", "simple_query_string"}
)
_SHORTEST = 3  # characters of a text that is looked for within others


def _enter_filters(path: Path) -> bool:
    closed = path and (path[-1] in NEVER_ENTERED or path[-1] in ("term", "terms"))
    return not closed or (len(path) > 1 and path[-2] in BY_FIELD)  # a field of that name


class Finder:
    """Finds the texts in one search, whose JSON ``reader`` has read.

    ``holds_prose`` tells whether a field, or any field of a pattern, holds text that is analyzed.
    Without ``repeated``, the texts to decide about are yielded. With it, the places that repeat one
    of its texts are yielded as spans that follow, and ``DECIDED`` for each text to decide about.
    Where a request only ``counts``, the texts of filters are yielded as well: it scores nothing.
    """

    def __init__(
        self,
        reader: Reader,
        paged: bool,
        holds_prose: Callable[[str], bool],
        repeated: Repeated | None = None,
        counts: bool = False,
    ) -> None:
        self._reader = reader
        self._counts = counts
        self._paged = paged
        self._holds_prose = holds_prose
        self._repeated = repeated
        self._texts: frozenset[str] = frozenset() if repeated is None else repeated.texts

    def variant(self, *, paged: bool = False, repeated: Repeated | None = None) -> Finder:
        """Return a finder in the same JSON, for a later page or for what is repeated."""
        paged, repeated = self._paged or paged, repeated or self._repeated
        return Finder(self._reader, paged, self._holds_prose, repeated, self._counts)

    def opened(self, value: JsonValue) -> JsonValue:
        """Return a value with its members, if it was not entered and may repeat a text."""
        if self._repeated is not None:
            return self._repeated.opened(self._reader, value)
        return self._reader.open(value, _enter_filters, bool) if self._counts else value

    def query(self, clause: JsonValue, decides: bool = True) -> Iterator[QuerySpan]:
        """Yield the texts of a query clause and of the clauses in it."""
        for kind, closed in self.opened(clause).named():
            body = self.opened(closed)
            if kind in _INNER or kind in _ALTERNATIVES:
                yield from self._compound(kind, body, decides)
            elif kind == "knn":
                yield from self.knn(body, decides)
            elif kind in DIRECT:
                prose = kind in _OF_VECTORS or self._any_prose(body)
                decided = decides and not _completes(body)
                yield from self._leaf(kind, clause, body.get("query"), prose, decided)
            elif kind in BY_FIELD or kind in _FOLLOWING:
                key = BY_FIELD.get(kind) or _FOLLOWING[kind]
                for name, field in body.named():
                    text = field if field.text is not None else field.get(key)
                    prose = kind in _OF_VECTORS or self._holds_prose(name)
                    decided = decides and kind in BY_FIELD and not _completes(field)
                    yield from self._leaf(kind, clause, text, prose, decided)
                    yield from self._filter(field)
            elif self._texts:
                yield from self._kept_in(body, kind in CONTAINING)

    def knn(self, body: JsonValue, decides: bool = True) -> Iterator[QuerySpan]:
        """Yield the text of which a model makes the query vector, and those of the filter."""
        text = body.get("query_vector_builder").get("text_embedding").get("model_text")
        yield from self._leaf("knn", body, text, True, decides)
        for searched in (body, *(field for _, field in body.named())):  # OpenSearch names the field
            yield from self._filter(searched)

    def highlight(self, value: JsonValue) -> Iterator[QuerySpan]:
        """Yield the texts that are highlighted in place of those of the query."""
        body = self.opened(value)
        fields = self.opened(body.get("fields"))
        named = [fields, *fields.items]
        for each in (body, *(field for group in named for _, field in group.named())):
            yield from optional(self.query(each.get("highlight_query"), False))

    def queries(self, value: JsonValue, decides: bool = True) -> Iterator[QuerySpan]:
        """Yield the texts of a query, or of a list of them."""
        for each in items_of(self.opened(value)):
            yield from self.query(each, decides)

    def repeated(self, text: JsonValue) -> Iterator[QuerySpan]:
        """Yield the span of a value that only follows a text."""
        yield from self._leaf("", text, text, True, False)

    def text(self, clause: JsonValue, text: JsonValue) -> Iterator[QuerySpan]:
        """Yield the text of a retriever, which searches the default fields."""
        yield from self._leaf("retriever", clause, text, True, True)

    @property
    def repeats(self) -> bool:
        """Whether the places that repeat a text are yielded."""
        return self._repeated is not None

    def _compound(self, kind: str, body: JsonValue, decides: bool) -> Iterator[QuerySpan]:
        required = False
        for key, scored in _INNER.get(kind, {}).items():
            inner, decided = body.get(key), scored or (self._counts and key == "filter")
            required = required or inner.value is not None
            if self._texts or decided:
                yield from self.queries(inner, decides and decided)
        if kind in _ALTERNATIVES:
            found = list(self.queries(body.get(_ALTERNATIVES[kind]), decides))
            yield from optional(found) if required or any(map(_changes, found)) else found
        if self._texts:
            if kind in _WITH_INNER_HITS:
                yield from self.highlight(self.opened(body.get("inner_hits")).get("highlight"))
            yield from optional(self.queries(body.get("negative"), False))
            for function in self.opened(body.get("functions")).items:
                yield from optional(self.queries(function.get("filter"), False))

    def _filter(self, body: JsonValue) -> Iterator[QuerySpan]:
        """Yield the texts that restrict what a query of vectors finds."""
        if self._texts:
            yield from self.queries(body.get("filter"), False)

    def _leaf(
        self, kind: str, clause: JsonValue, text: JsonValue, prose: bool, decides: bool
    ) -> Iterator[QuerySpan]:
        if text.text is None or not (self._texts or (prose and decides)):
            return
        if not (prose and decides) and text.text not in self._texts:
            yield from self._contained(kind, text)
            return
        if not prose:
            yield kept(text.text)
            return
        if self._texts and decides:
            yield DECIDED
            yield from self._contained(kind, text)
            return
        span = json_span(text, paged=self._paged, syntax=_SYNTAXES.get(kind))
        if span is None:
            return
        # A clause can only be copied if this is its only text.
        alone = len(clause.members) == 1 and (
            kind not in BY_FIELD or all(len(body.members) == 1 for _, body in clause.members)
        )
        if kind in _EXPANDS and alone:
            span.expansion = boosted_should(self._reader.data, (clause.start, clause.stop), span)
        span.follows = not decides
        yield span

    def _contained(self, kind: str, value: JsonValue) -> Iterator[QuerySpan]:
        """Yield the texts that stand among the operators of another one, where they must stay."""
        if kind not in CONTAINING or value.text is None or self._repeated is None:
            return
        within = value.text
        shorter = [text for text in self._texts if _SHORTEST <= len(text) < len(within)]
        allowed = self._repeated.in_values.spend(len(within) * sum(map(len, shorter)))
        for text in shorter:
            if not allowed or text in within:
                yield kept(text)

    def _kept_in(self, value: JsonValue, contained: bool) -> Iterator[QuerySpan]:
        """Yield the texts in a query of another kind, where they must stay."""
        if contained:
            yield from self._contained(CONTAINING[0], value)
        if value.text is not None and value.text in self._texts:
            yield kept(value.text)
        value = self.opened(value)
        for inner in (*value.items, *(member for _, member in value.members)):
            yield from self._kept_in(inner, contained)

    def _any_prose(self, body: JsonValue) -> bool:
        """Return whether one of the fields that a query names holds prose, or it names none."""
        named = [body.get("default_field"), *items_of(body.get("fields"))]
        names = [each.text.partition("^")[0] for each in named if each.text is not None]
        return not names or any(map(self._holds_prose, names))


def optional(spans: Iterable[QuerySpan]) -> Iterator[QuerySpan]:
    """Yield the spans but those that keep a text: a place that excludes no hit keeps none."""
    return (span for span in spans if span.skip is not Reason.FIXED)


def _changes(span: QuerySpan) -> bool:
    return span.skip is not Reason.FIXED


DECIDED = QuerySpan(Part.BODY, 0, 0, "", encode_json)
"""Stands for a text to decide about where only what repeats it is wanted."""


def _completes(body: JsonValue) -> bool:
    """Return whether a query reads its text as a phrase, or its last word as a prefix."""
    kind = body.get("type").text or ""
    return "phrase" in kind or "prefix" in kind
