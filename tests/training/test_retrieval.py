"""The retrieval score: what a rewriter wins back on judged claims."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("bm25s")

from middleware.training.pairs import PairSource
from middleware.training.retrieval import FOLDER, Retrieval
from tests.training.test_data import make_corpora

WORDS = ("table", "chair", "window", "garden", "engine", "yellow", "market", "silver")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A collection in which each claim finds one document, and a test claim that none may read."""
    folder = tmp_path / FOLDER
    (folder / "qrels").mkdir(parents=True)
    rows = [
        {"_id": str(n), "title": "", "text": f"{word} {WORDS[n - 1]} of the shop for you"}
        for n, word in enumerate(WORDS)
    ]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
    claims = [{"_id": f"q{n}", "text": f"{word} {WORDS[n - 1]}."} for n, word in enumerate(WORDS)]
    claims.append({"_id": "test", "text": "planet"})
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, claims)))
    judged = "".join(f"q{n}\t{n}\t1\n" for n in range(len(WORDS)))
    (folder / "qrels" / "train.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\ntest\t0\t1\n")
    return tmp_path


def test_a_copy_wins_nothing_and_the_clean_text_all(root: Path) -> None:
    """Scores are those of what is sent, and test claims are never among them."""
    retrieval = Retrieval(root, PairSource(make_corpora(), held=True), seed=1)
    asked: list[str] = []

    def copy(texts: Sequence[str]) -> Sequence[str]:
        asked.extend(texts)
        return texts

    same = retrieval.score(copy)
    assert same["clean"] == 1.0
    assert same["typo"] < 1.0
    assert same["typo_won"] == 0.0
    assert not any("planet" in text for text in asked)
    clean = asked[: len(WORDS)]
    best = retrieval.score(lambda texts: clean)
    assert best["typo"] == 1.0
    assert best["typo_won"] == 1.0


def test_what_acceptance_refuses_is_searched_as_typed(root: Path) -> None:
    """A model that answers anything with another query harms nothing."""
    retrieval = Retrieval(root, PairSource(make_corpora(), held=True), seed=1)
    scores = retrieval.score(lambda texts: ["bridge planet"] * len(texts))
    assert scores["clean"] == 1.0
    assert scores["typo_won"] == 0.0
