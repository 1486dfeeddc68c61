"""The embedded search engine: BM25 over a collection's documents, in memory."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Protocol

from ...errors import ConfigurationError
from .collection import Document
from .extra import require

DEPTH = 100
"""The number of hits that are measured, as recall@100 needs."""

FETCHED = DEPTH + 1
"""The largest number of hits of a search; one hit may be the query itself."""

Hits = list[tuple[str, float]]
"""Document ids and scores, best first."""

# Close to Unicode's word boundaries (UAX 29): "don't" and "1.5" are one word each, and so is
# each character of scripts without blanks between words.
_SINGLE = r"\p{Han}\p{Hiragana}"
_WORD = rf"\d+(?:[.,]\d+)+|[{_SINGLE}]|[\w--[{_SINGLE}]]+(?:['’][\w--[{_SINGLE}]]+)*"


class Retriever(Protocol):
    """A search engine under measurement."""

    def search(self, query: str) -> Hits:
        """Return at most ``FETCHED`` hits; an empty list where nothing matches."""
        ...


def analyze(text: str) -> list[str]:
    """Return the lower-case words of a text."""
    # Most documents have composed letters.
    return list(_pattern().findall(unicodedata.normalize("NFC", text.lower())))


@cache
def _pattern() -> Any:
    regex = require("regex")  # unlike re, it knows scripts and combining marks
    return regex.compile(_WORD, regex.V1)


class Bm25:
    """Okapi BM25 with Lucene's inverse document frequency; all words of a query are optional.

    ``k1`` and ``b`` are Robertson's parameters; ``stem`` turns on Snowball's English stemmer.
    Stop words are not removed: that is left to the compared systems.
    Engine: https://github.com/xhluca/bm25s. Concurrency: read-only once constructed.
    """

    def __init__(
        self, documents: Iterable[Document], *, k1: float = 0.9, b: float = 0.4, stem: bool = False
    ) -> None:
        if not (k1 >= 0 and 0 <= b <= 1):
            raise ConfigurationError(f"BM25: k1 ({k1}) must be at least 0, b ({b}) within 0 and 1")
        bm25s, self._numpy = require("bm25s"), require("numpy")
        self._stem: Callable[[list[str]], list[str]] | None = None
        if stem:
            self._stem = require("Stemmer").Stemmer("english").stemWords
        self._ids: list[str] = []
        # Numbers instead of words take an eighth of the memory.
        self._numbers: dict[str, int] = {}
        numbered: list[list[int]] = []
        for document in documents:
            self._ids.append(document.id)
            terms = self._terms(document.text)
            numbered.append([self._numbers.setdefault(t, len(self._numbers)) for t in terms])
        if not self._numbers:
            raise ConfigurationError("collection: there is no document with a word in it")
        self._index: Any = bm25s.BM25(k1=k1, b=b, method="lucene")
        self._index.index((numbered, dict(self._numbers)), show_progress=False)

    @property
    def ids(self) -> frozenset[str]:
        """The ids of the documents."""
        return frozenset(self._ids)

    def search(self, query: str) -> Hits:
        """Return the best documents; those with equal scores are in collection order."""
        terms = [term for term in self._terms(query) if term in self._numbers]
        if not terms:
            return []
        scores = self._index.get_scores(terms)
        numpy, least = self._numpy, 0.0
        if len(scores) > FETCHED:
            least = numpy.partition(scores, -FETCHED)[-FETCHED]
        found = numpy.flatnonzero((scores >= least) & (scores > 0))
        order = found[numpy.argsort(-scores[found], kind="stable")][:FETCHED]
        return [(self._ids[i], float(scores[i])) for i in order]

    def _terms(self, text: str) -> list[str]:
        words = analyze(text)
        return words if self._stem is None else self._stem(words)
