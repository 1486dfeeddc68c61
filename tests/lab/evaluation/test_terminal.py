"""Tables on terminals of a usual width."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

from rich.console import Console

from middleware import Mode
from middleware.lab.evaluation.collection import load_collection, read_documents
from middleware.lab.evaluation.experiment import experiment
from middleware.lab.evaluation.pipeline import Pipeline
from middleware.lab.evaluation.retrieval import Bm25
from middleware.lab.evaluation.systems import Decide, baselines
from middleware.lab.evaluation.terminal import print_report
from middleware.lab.evaluation.variants import VARIANTS

from .conftest import Rewriter


def test_eighty_columns_are_enough(shop: Path) -> None:
    """Every heading and every figure is whole, and no line is longer."""
    replace = partial(Pipeline(Rewriter(lambda text: text)).decide, mode=Mode.REPLACE)
    systems: dict[str, Decide] = {**baselines(("original", "stoplist")), "replace": replace}
    bm25 = Bm25(read_documents(shop))
    cells = experiment(load_collection(shop), bm25, systems, VARIANTS)
    shown = io.StringIO()
    print_report(cells, Console(file=shown, width=80))
    text = shown.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "shop: 3 queries" in text
    for heading in ("ndcg@10", "recall@100", "won/lost/tied", "rewritten", "altered", "p95 ms"):
        assert heading in text
    assert "chatty+typo1" in text
    assert "…" not in text
