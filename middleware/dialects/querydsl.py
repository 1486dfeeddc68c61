"""The texts in the query DSL of Elasticsearch and OpenSearch.

A text is decided about where it is searched for and scored: in ``must``, ``should``, retrievers and
rescoring. Filters, ``must_not``, highlighting, suggestions and aggregations only follow: a text
that they repeat changes with it. Where it cannot change, such as in a keyword field of a filter,
it stays everywhere. A place that can only add hits or score, such as one of several alternatives,
keeps nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator

from ..core.outcome import Reason
from .base import Part, QuerySpan
from .comparisons import Comparisons
from .expansion import boosted_should
from .jsonspans import JsonValue, Path, Reader, encode_json, items_of
from .operators import LUCENE, SIMPLE, QuerySyntax
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
    "hybrid": {"queries": True},
    "nested": {"query": True},
    "pinned": {"organic": True},
    "rule": {"organic": True},
    "rule_query": {"organic": True},
    "script_score": {"query": True},
}
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
CONTAINING = ("wildcard", "regexp", "query_string", "simple_query_string")
"""Queries whose text may contain another text among operators."""
_SYNTAXES: dict[str, QuerySyntax] = {"query_string": LUCENE, "simple_query_string": SIMPLE}
# Queries of which a copy can search for the added terms.
_EXPANDS = frozenset(
    {"combined_fields", "match", "multi_match", "query_string", "simple_query_string"}
)
_CONTAINERS = [f'{kind}"' for kind in CONTAINING]
_MOST_IN_PARTS = 2_000_000  # comparisons, a millisecond
_MOST_ESCAPED = 16 * 1024  # characters of parts with escapes that are compared in plain spelling
NEVER_ENTERED = frozenset(
    {"_source", "docvalue_fields", "fields", "ids", "indices_boost", "query_vector"}
    | {"runtime_mappings", "script", "script_fields", "search_after", "sort", "stored_fields"}
    | {"vector"}
)
"""Keys of what holds no query text, and may be large."""
_SHORTEST = 3  # characters of a text that is looked for within others


class Repeated:
    """The texts whose other places are looked for, and what may hold them."""

    def __init__(self, texts: frozenset[str]) -> None:
        self.texts = texts
        self._written = [encode_json(text).decode("latin-1") for text in texts]
        self._spelled = [json.dumps(text, ensure_ascii=False) for text in texts]
        self._left = _MOST_ESCAPED
        self._in_parts = Comparisons(_MOST_IN_PARTS)
        self.in_values = Comparisons()

    def holds_only(self, data: bytes, decided: list[tuple[int, int]]) -> bool:
        """Return whether only places with these bounds can hold a text; never wrongly so."""
        rest, at = [], 0
        for start, stop in sorted(decided):
            rest.append(data[at:start])
            at = stop
        return not self._may_hold((b"".join(rest) + data[at:]).decode("latin-1"), parsed=False)

    def opened(self, reader: Reader, value: JsonValue) -> JsonValue:
        """Return a value with its members, if it was not entered and may hold a text."""
        return reader.open(value, _enter_all, self._may_hold)

    def _may_hold(self, part: str, parsed: bool = True) -> bool:
        """Return whether JSON, read as Latin-1, may hold a text as a string; never wrongly not.

        If it has escapes, it is ``parsed`` to see what they spell.
        """
        if "\\" not in part:
            return self._finds_any(part, self._written)
        if not parsed:
            return True
        self._left -= len(part)
        if self._left < 0:
            return True
        spelled = json.dumps(json.loads(part.encode("latin-1")), ensure_ascii=False)
        return self._finds_any(spelled, self._spelled)

    def _finds_any(self, part: str, written: list[str]) -> bool:
        return any(each in part for each in _CONTAINERS) or any(
            self._in_parts.may_hold(part, each) for each in written
        )


def _enter_all(path: Path) -> bool | None:
    if not path or path[-1] in NEVER_ENTERED:
        return not path or path[-2:-1] == ("highlight",)
    # Lists of values are long; each is looked through once.
    return None if path[-1] == "terms" and "terms" not in path[:-1] else True


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
            elif self._texts:
                yield from self._kept_in(body, kind in CONTAINING)

    def knn(self, body: JsonValue, decides: bool = True) -> Iterator[QuerySpan]:
        """Yield the text of which a model makes the query vector, and those of the filter."""
        text = body.get("query_vector_builder").get("text_embedding").get("model_text")
        yield from self._leaf("knn", body, text, True, decides)
        if self._texts:
            yield from self.queries(body.get("filter"), False)

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
            yield from optional(self.queries(body.get("negative"), False))
            for function in self.opened(body.get("functions")).items:
                yield from optional(self.queries(function.get("filter"), False))

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
        may_hold = self._repeated.in_values.may_hold
        for text in self._texts:
            if len(text) >= _SHORTEST and text != value.text and may_hold(value.text, text):
                yield kept(text)

    def _kept_in(self, value: JsonValue, contained: bool) -> Iterator[QuerySpan]:
        """Yield the texts in a query of another kind, where they must stay."""
        if contained:
            yield from self._contained(CONTAINING[0], value)
        if value.text is not None and value.text in self._texts:
            yield kept(value.text)
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
