"""An experiment from queries to figures, page and files, with a hand-made engine."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest

from middleware import Mode
from middleware.lab.evaluation.collection import load_collection, read_documents
from middleware.lab.evaluation.experiment import Cell, experiment, recovered_shares
from middleware.lab.evaluation.page import as_page
from middleware.lab.evaluation.pipeline import Pipeline
from middleware.lab.evaluation.record import as_record, write_runs
from middleware.lab.evaluation.retrieval import Bm25
from middleware.lab.evaluation.systems import Decide, baselines
from middleware.lab.evaluation.variants import variant

from .conftest import Rewriter


@pytest.fixture
def cells(shop: Path) -> list[Cell]:
    """Measure an engine that undoes each typo and request, and drops a number."""
    collection = load_collection(shop)
    undo = {variant(v, q.id, q.text, 1): q.text for q in collection.queries for v in VARIANTS}
    pipeline = Pipeline(Rewriter(lambda text: undo.get(text, text).replace("espresso", "<b>")))
    systems: dict[str, Decide] = dict(baselines(["original"]))
    systems |= {m.value: partial(pipeline.decide, mode=m) for m in (Mode.REPLACE, Mode.EXPAND)}
    return experiment(collection, Bm25(read_documents(shop)), systems, VARIANTS, seed=1)


VARIANTS = ("clean", "typo1", "chatty")


def _cell(cells: list[Cell], name: str, system: str) -> Cell:
    return next(c for c in cells if (c.variant, c.system) == (name, system))


def test_every_system_meets_every_variant(cells: list[Cell]) -> None:
    """In the order of the variants, original first."""
    found = [(cell.variant, cell.system) for cell in cells]
    assert found == [(v, s) for v in VARIANTS for s in ("original", "replace", "expand")]


def test_gains_are_against_the_typed_text(cells: list[Cell]) -> None:
    """What undoes a typo wins back what it cost; the original gains nothing."""
    original = _cell(cells, "typo1", "original")
    assert all(query.gain == 0 for query in original.queries)
    assert original.versus.ties == 3
    for query in _cell(cells, "typo1", "replace").queries:
        same = next(q for q in original.queries if q.id == query.id)
        assert query.baseline == same.measures["ndcg@10"]
        assert query.gain == query.measures["ndcg@10"] - query.baseline


def test_shares_are_by_outcome_and_reason(cells: list[Cell]) -> None:
    """They sum to one, and an answer that is code is refused for it."""
    clean = _cell(cells, "clean", "replace")
    assert sum(clean.reasons.values()) == pytest.approx(1.0)
    assert clean.reasons["unchanged"] == pytest.approx(2 / 3)
    assert clean.rewritten_share == 0.0
    typo = _cell(cells, "typo1", "replace")
    assert typo.rewritten_share > 0
    assert typo.ms(0.95) >= typo.ms(0.5) > 0


def test_what_is_won_back_is_a_share_of_the_cost(cells: list[Cell]) -> None:
    """Computed again from the means."""
    rows = {(name, system): (cost, share) for name, system, cost, share in recovered_shares(cells)}
    clean = _cell(cells, "clean", "original").mean("ndcg@10")
    typed = _cell(cells, "typo1", "original").mean("ndcg@10")
    mended = _cell(cells, "typo1", "replace").mean("ndcg@10")
    cost, share = rows["typo1", "replace"]
    assert cost == pytest.approx(clean - typed)
    assert share == pytest.approx((mended - typed) / (clean - typed))


def test_rows_say_what_was_promised(cells: list[Cell]) -> None:
    """The keys that scripts read, one row a system and variant."""
    record = as_record(cells, {"seed": 1})
    assert len(record["rows"]) == len(cells)
    promised = {"system", "variant", "ndcg@10", "mrr@10", "recall@100", "rewritten_share", "p95_ms"}
    assert all(promised <= row.keys() for row in record["rows"])
    assert len(record["queries"]) == 3 * len(cells)


def test_runs_are_in_trec_form(cells: list[Cell], tmp_path: Path) -> None:
    """Six columns, ranks from 1, scores that do not rise."""
    folder = tmp_path / "runs"
    folder.mkdir()
    write_runs(cells, folder)
    assert len(list(folder.iterdir())) == len(cells)
    first_run = folder / f"{cells[0].collection}.{cells[0].system}.{cells[0].variant}.run"
    lines = [line.split(" ") for line in first_run.read_text().splitlines()]
    assert all(len(line) == 6 and line[1] == "Q0" for line in lines)
    first = [line for line in lines if line[0] == "q1"]
    assert [int(line[3]) for line in first] == list(range(1, len(first) + 1))
    scores = [float(line[4]) for line in first]
    assert scores == sorted(scores, reverse=True)


class _Links(HTMLParser):
    """Collects every address a page could fetch, and checks that tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what the tag is and what it loads."""
        self.tags.append(tag)
        self.fetched += [v or "" for name, v in attrs if name in ("src", "href", "srcset")]


def test_the_page_is_self_contained(cells: list[Cell]) -> None:
    """Nothing is fetched or run, plots are well-formed, and texts are escaped."""
    page = as_page(cells, {"engine": "<script>alert(1)</script>"})
    links = _Links()
    links.feed(page)
    assert links.fetched == []
    assert not {"script", "link", "img", "iframe", "b"} & set(links.tags)
    assert "url(" not in page
    assert "@import" not in page
    plots = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(plots) == 1 + 2 * len(VARIANTS)  # bars, then the gains of each engine's cell
    for plot in plots:
        ET.fromstring(plot)
    assert "best rewrites" in page


@pytest.mark.parametrize("judged", [False, True])
def test_a_query_that_is_a_document_does_not_find_itself(tmp_path: Path, judged: bool) -> None:
    """As BEIR measures: it would stand first, and no system could have put another there."""
    (tmp_path / "qrels").mkdir()
    texts = {"a": "red lamp shade", "b": "red lamp", "c": "red hose"}
    corpus = "".join(f'{{"_id": "{k}", "title": "", "text": "{v}"}}\n' for k, v in texts.items())
    (tmp_path / "corpus.jsonl").write_text(corpus)
    (tmp_path / "queries.jsonl").write_text('{"_id": "a", "text": "red lamp shade"}\n')
    own = "a\ta\t1\n" if judged else ""
    (tmp_path / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\na\tb\t1\n{own}")
    collection = load_collection(tmp_path)
    retriever = Bm25(read_documents(tmp_path))
    (cell,) = experiment(collection, retriever, dict(baselines(["original"])), ("clean",))
    assert [name for name, _ in cell.hits["a"]] == (["a", "b", "c"] if judged else ["b", "c"])
    assert cell.mean("mrr@10") == 1.0
