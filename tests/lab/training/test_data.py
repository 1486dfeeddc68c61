"""Reading the sources, and the mixture of pairs drawn from them."""

from __future__ import annotations

import builtins
import json
import random
from pathlib import Path
from typing import Any

import pytest

from middleware.lab.training import data as data_module
from middleware.lab.training.data import SOURCES, Corpora, is_validation_text, load, tidy, usable
from middleware.lab.training.pairs import KINDS, PairSource, strip_request
from middleware.lab.training.reduction import FUNCTION_WORDS, is_question

QUESTIONS = [f"who wrote the book number {n} about steam engines?" for n in range(120)]
TITLES = [f"Install driver {n} without network on Ubuntu" for n in range(120)]


def make_corpora() -> Corpora:
    """Small corpora by hand, with both halves filled."""
    common = ("table chair window garden engine yellow market silver planet bridge").split()
    pools = {"questions": QUESTIONS[:100], "titles": TITLES[:100], "short": ["tropical storms"]}
    held = {"questions": QUESTIONS[100:], "titles": TITLES[100:]}
    return Corpora(
        pools=pools,
        validation_pools=held,
        titles=[("documents about tropical storms", "tropical storms")] * 2,
        descriptions=["Document will discuss steam engines and their use in mills."] * 2,
        disfluent=[("who no what wrote it", "what wrote it?")] * 2,
        misspellings={"engine": ["engin"], "driver": ["drivr"]},
        common=common,
        common_weights=[1.0] * len(common),
        known=frozenset([*common, *("install driver network wrote book number steam").split()]),
    )


def write_sources(root: Path) -> None:
    """Write a small file for every allowed source, and forbidden ones beside them."""
    for name in SOURCES:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".txt"):
            path.write_text("\n".join(f"how tall is tower {n} of {name}" for n in range(60)))
        elif name.endswith(".tsv"):
            path.write_text("\n".join(f"is bridge {n} long ?\t0.5" for n in range(60)))
        elif "corpus" in name:
            row = {"title": "Silver Garden Table", "text": "A table. It is made of silver wood."}
            path.write_text(json.dumps(row) + "\n")
        elif "misspell" in name:
            path.write_text('{"src": "recieve", "tgt": "receive"}\n{"src": "xx", "tgt": "house"}\n')
        elif "disfl" in name:
            rows = [
                {"id": i, "src": "who no what is it", "tgt": "what is it?"} for i in ("5a1", "571")
            ]
            path.write_text("\n".join(json.dumps(row) for row in rows))
        else:
            path.write_text('{"src": "Find documents about tall towers.", "tgt": "Tall towers"}\n')
    for name in ("collections/esci/queries.jsonl", "train/kagi_query_reformulation/pairs.jsonl"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("not to be read")


@pytest.fixture
def no_documentation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the standard library's docstrings out: they take seconds."""
    monkeypatch.setattr(data_module, "_load_documentation", lambda corpora: None)


@pytest.mark.usefixtures("no_documentation")
def test_only_allowed_files_are_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading opens every allowed source and nothing else under the data folder."""
    pytest.importorskip("wordfreq")
    write_sources(tmp_path)
    opened: set[str] = set()
    real = Path.open

    def spy(self: Path, *args: Any, **kwargs: Any) -> Any:
        if self.is_relative_to(tmp_path):
            opened.add(str(self.relative_to(tmp_path)))
        return real(self, *args, **kwargs)

    real_open = builtins.open

    def spy_open(file: Any, *args: Any, **kwargs: Any) -> Any:
        if str(file).startswith(str(tmp_path)):
            opened.add(str(Path(str(file)).relative_to(tmp_path)))
        return real_open(file, *args, **kwargs)

    monkeypatch.setattr(Path, "open", spy)
    monkeypatch.setattr(builtins, "open", spy_open)
    corpora = load(tmp_path)
    assert opened == set(SOURCES)
    assert corpora.disfluent == [("who no what is it", "what is it?")]
    assert corpora.misspellings == {"receive": ["recieve"]}
    assert not {t for p in corpora.pools.values() for t in p} & {
        t for p in corpora.validation_pools.values() for t in p
    }


def test_forbidden_source_is_refused(tmp_path: Path) -> None:
    """A file that is not on the list is not read, even where it exists."""
    with pytest.raises(PermissionError, match="queries"):
        list(data_module._lines(tmp_path, "collections/esci/queries.jsonl"))


def test_no_test_queries_or_contested_pairs_are_listed() -> None:
    """The list names no queries or judgments of a collection and no hosted model's output."""
    for name in SOURCES:
        assert "queries" not in name
        assert "qrels" not in name
        assert not any(part in name for part in ("kagi", "cranfield", "cacm", "mtrag"))
        assert SOURCES[name]


def test_unchanged_share() -> None:
    """At least a quarter of the mixture is unchanged, by weight and as drawn."""
    assert KINDS["unchanged"] / sum(KINDS.values()) >= 0.25
    rng, source = random.Random(4), PairSource(make_corpora())
    drawn = [source.draw(rng) for _ in range(3000)]
    assert sum(pair.source == pair.target for pair in drawn) / len(drawn) >= 0.25


def test_same_seed_same_pairs() -> None:
    """Pairs are decided by the random state alone."""
    source = PairSource(make_corpora())
    first, second = random.Random(9), random.Random(9)
    assert [source.draw(first) for _ in range(300)] == [source.draw(second) for _ in range(300)]


@pytest.mark.parametrize("kind", list(KINDS))
def test_targets_are_clean(kind: str) -> None:
    """Every kind's target keeps all numbers, negations and content words of its source text."""
    rng, source = random.Random(5), PairSource(make_corpora())
    for _ in range(150):
        pair = source.draw(rng, kind)
        assert pair.target
        assert pair.kind == kind
        numbers = {w.strip("?.") for w in pair.source.split() if w.strip("?.").isdigit()}
        assert numbers <= {w.strip("?.,") for w in pair.target.split()}
        if "without" in pair.source.split():
            assert "without" in pair.target.split()
        if kind == "unchanged":
            assert pair.source == pair.target


def test_held_out_half_is_separate() -> None:
    """Validation pairs are drawn from the held-out texts only."""
    rng, source = random.Random(6), PairSource(make_corpora(), validation=True)
    texts = [source.draw(rng, "question").source.lower().rstrip("?") for _ in range(50)]
    assert set(texts) <= {q.rstrip("?") for q in QUESTIONS[100:]}


def test_statements_keep_function_words_and_questions_do_not() -> None:
    """Only the form of a question asks for its function words to go."""
    rng, source = random.Random(7), PairSource(make_corpora())
    for _ in range(100):
        asked = source.draw(rng, "question")
        assert is_question(asked.source)
        assert not set(asked.target.split()) & FUNCTION_WORDS


def test_request_words_go() -> None:
    """A librarian's request words are dropped, its subject stays."""
    text = "Document will discuss steam engines not made in 1900."
    assert strip_request(text) == "steam engines not made 1900"


def test_held_out_share_is_stable() -> None:
    """About one text in forty is held out, by its own words and whatever its case."""
    marks = [is_validation_text(f"text number {n}") for n in range(4000)]
    assert 60 < sum(marks) < 140
    assert is_validation_text("Red Shoes") == is_validation_text("red shoes")


def test_tidy_and_usable() -> None:
    """White space is collapsed, and texts of other scripts or lengths are left out."""
    assert tidy("what  is\tthis ?") == "what is this?"
    assert usable("red shoes", 2)
    assert not usable("red", 2)
    assert not usable("красные туфли", 1)
