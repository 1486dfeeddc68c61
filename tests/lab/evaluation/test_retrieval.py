"""The embedded BM25 against the formula."""

from __future__ import annotations

from math import log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from middleware import ConfigurationError
from middleware.lab.evaluation.collection import Document
from middleware.lab.evaluation.retrieval import FETCHED, Bm25, analyze

_WORDS = st.sampled_from("red green blue shoe hose pump".split())
_TEXTS = st.lists(_WORDS, min_size=1, max_size=8).map(" ".join)


def _score(query: str, text: str, texts: list[str], k1: float, b: float) -> float:
    """BM25 as Robertson and Zaragoza (2009) have it, with Lucene's idf and no (k1 + 1)."""
    words, average = text.split(), sum(len(t.split()) for t in texts) / len(texts)
    total = 0.0
    for term in query.split():
        frequency = words.count(term)
        holding = sum(term in t.split() for t in texts)
        idf = log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
        total += idf * frequency / (frequency + k1 * (1 - b + b * len(words) / average))
    return total


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(_TEXTS, min_size=2, max_size=8), query=_TEXTS)
def test_scores_are_bm25(texts: list[str], query: str) -> None:
    """Every document with a word of the query is found, with the score of the formula."""
    index = Bm25([Document(str(i), text) for i, text in enumerate(texts)], k1=1.1, b=0.6)
    found = dict(index.search(query))
    wanted = {str(i): _score(query, text, texts, 1.1, 0.6) for i, text in enumerate(texts)}
    assert found == pytest.approx({k: v for k, v in wanted.items() if v > 0}, rel=1e-4)


def test_hits_are_best_first_and_bounded() -> None:
    """Equal documents stand in their own order, and no more than the depth come back."""
    documents = [Document(f"d{i:03}", "red shoe") for i in range(FETCHED + 20)]
    hits = Bm25([Document("best", "red red hose"), *documents]).search("red hose")
    assert hits[0][0] == "best"
    assert [name for name, _ in hits[1:]] == [f"d{i:03}" for i in range(FETCHED - 1)]


@pytest.mark.parametrize("query", ["", "?!", "unheard of"])
def test_what_matches_nothing_finds_nothing(query: str) -> None:
    """No text is an error, and none finds all documents."""
    assert Bm25([Document("a", "red shoe")]).search(query) == []


def test_stemming_is_a_choice() -> None:
    """Plain BM25 tells shoes from shoe; with stemming they are one."""
    documents = [Document("a", "red shoes"), Document("b", "hose")]
    assert Bm25(documents).search("shoe") == []
    assert [name for name, _ in Bm25(documents, stem=True).search("shoe")] == ["a"]


def test_words_keep_apostrophes_and_decimals() -> None:
    """As Unicode's word boundaries have it, lower-cased."""
    assert analyze("Don't pay 1.75, it's x-ray!") == ["don't", "pay", "1.75", "it's", "x", "ray"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("हिन्दी में जूते", ["हिन्दी", "में", "जूते"]),  # vowel signs are marks
        ("女士运动鞋 abc", [*"女士运动鞋", "abc"]),
        ("ラーメン屋", ["ラーメン", "屋"]),
        ("cafe\u0301", ["caf\u00e9"]),
    ],
)
def test_words_of_other_scripts_are_words(text: str, found: list[str]) -> None:
    """No script is cut into what is no word, and none is one word a sentence."""
    assert analyze(text) == found


def test_wrong_parameters_and_an_empty_corpus_are_refused() -> None:
    """At construction, not at the first search."""
    with pytest.raises(ConfigurationError, match="k1"):
        Bm25([Document("a", "x")], k1=-1)
    with pytest.raises(ConfigurationError, match="no document"):
        Bm25([Document("a", "...")])
