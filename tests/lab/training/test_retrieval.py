"""The retrieval score: what a rewriter wins back on judged claims."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("bm25s")

from middleware.lab.training import retrieval as retrieval_module
from middleware.lab.training.feedback import FOLDER, feedback_pairs, is_validation_claim, reduced
from middleware.lab.training.pairs import PairSource
from middleware.lab.training.retrieval import Retrieval
from tests.lab.training.test_data import make_corpora

WORDS = ("table", "chair", "window", "garden", "engine", "yellow", "market", "silver")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A collection in which each claim finds one document, and a test claim that none may read."""
    monkeypatch.setattr(retrieval_module, "is_validation_claim", lambda text: True)
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
    retrieval = Retrieval(root, PairSource(make_corpora(), validation=True), seed=1)
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
    retrieval = Retrieval(root, PairSource(make_corpora(), validation=True), seed=1)
    scores = retrieval.score(lambda texts: ["bridge planet"] * len(texts))
    assert scores["clean"] == 1.0
    assert scores["typo_won"] == 0.0


def test_reduction_takes_the_word_that_gains_most_and_stops() -> None:
    """Words go while one is worth it and may go; ties and losses end it."""
    worth = {"a": -3.0, "b": -1.0, "c": 2.0, "d": -9.0, "e": 0.0}

    def gain(text: str) -> float:
        return sum(worth[word] for word in text.split())

    assert reduced("a b c d e", gain, lambda text: "d" in text) == "c d e"
    assert reduced("c", gain, lambda text: True) == "c"


def test_feedback_leaves_out_what_harms_and_no_claim_is_validation_claim(tmp_path: Path) -> None:
    """Of claims that find more without a word of grammar the shorter is taught."""
    folder = tmp_path / FOLDER
    (folder / "qrels").mkdir(parents=True)
    texts = ["silver lamp of the garden", "each each each each", "between between between"]
    rows = [{"_id": str(n), "title": "", "text": text} for n, text in enumerate(texts)]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
    claims = [f"lamp each between part {n}" for n in range(40)]
    asked = [{"_id": f"q{n}", "text": text} for n, text in enumerate(claims)]
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, asked)))
    judged = "".join(f"q{n}\t0\t1\n" for n in range(len(claims)))
    for split in ("train", "test"):
        (folder / "qrels" / f"{split}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    pairs = feedback_pairs(tmp_path)
    assert {source for source, _ in pairs} == {t for t in claims if not is_validation_claim(t)}
    assert 0 < len(pairs) < len(claims)
    for source, target in pairs:
        gone = set(source.split()) - set(target.split())
        assert gone
        assert gone <= {"each", "between"}
