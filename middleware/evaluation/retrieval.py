"""The embedded search: BM25 over a collection's documents, in memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from middleware.errors import ConfigurationError

from .collection import Document
from .extra import require

__all__ = ["DEPTH", "Bm25", "Hits", "Retriever", "analyze"]

DEPTH = 100
"""Documents that a search returns at most: what recall@100 looks at."""

Hits = list[tuple[str, float]]
"""Document ids and scores, best first."""

# Words as Unicode's word boundaries have them (UAX 29): "don't" and "1.5" are one word each.
_WORD = re.compile(r"\d+(?:[.,]\d+)+|\w+(?:['’]\w+)*")


class Retriever(Protocol):
    """Something that answers a query with documents."""

    def search(self, query: str) -> Hits:
        """Return at most :data:`DEPTH` documents; none for a text that matches nothing."""
        ...


def analyze(text: str) -> list[str]:
    """Return the lower-case words of a text."""
    return _WORD.findall(text.lower())


class Bm25:
    """Okapi BM25 with Lucene's inverse document frequency; every word of a query is optional.

    ``k1`` and ``b`` are Robertson's; ``stem`` reduces words with Snowball's English stemmer.
    No stop words are removed: that is the business of the systems that are compared.
    Engine: https://github.com/xhluca/bm25s. Concurrency: safe to share once constructed.
    """

    def __init__(
        self,
        documents: Iterable[Document],
        *,
        k1: float = 0.9,
        b: float = 0.4,
        stem: bool = False,
    ) -> None:
        if not (k1 >= 0 and 0 <= b <= 1):
            raise ConfigurationError(f"BM25: k1 ({k1}) must be at least 0, b ({b}) within 0 and 1")
        bm25s, self._numpy = require("bm25s"), require("numpy")
        self._stem: Callable[[list[str]], list[str]] | None = None
        if stem:
            self._stem = require("Stemmer").Stemmer("english").stemWords
        self._ids: list[str] = []
        words: list[list[str]] = []
        for document in documents:
            self._ids.append(document.id)
            words.append(self._terms(document.text))
        if not any(words):
            raise ConfigurationError("collection: there is no document with a word in it")
        self._index: Any = bm25s.BM25(k1=k1, b=b, method="lucene")
        self._index.index(words, show_progress=False)
        self._known = frozenset(self._index.vocab_dict)

    @property
    def ids(self) -> frozenset[str]:
        """The ids of the documents."""
        return frozenset(self._ids)

    def search(self, query: str) -> Hits:
        """Return the best documents; equal scores stand in the documents' order."""
        terms = [term for term in self._terms(query) if term in self._known]
        if not terms:
            return []
        scores = self._index.get_scores(terms)
        order = self._numpy.argsort(-scores, kind="stable")[:DEPTH]
        return [(self._ids[i], float(scores[i])) for i in order if scores[i] > 0]

    def _terms(self, text: str) -> list[str]:
        words = analyze(text)
        return words if self._stem is None else self._stem(words)
