"""Two results held against each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from middleware.errors import ConfigurationError
from middleware.evaluation.compare import compare
from middleware.evaluation.record import FORMAT, read_record


def _record(values: list[float], seed: int = 0, system: str = "replace") -> dict[str, Any]:
    return {
        "format": FORMAT,
        "settings": {"seed": seed},
        "queries": [
            {
                "collection": "shop",
                "variant": "typo1",
                "system": system,
                "id": f"q{i}",
                "ndcg@10": value,
                "mrr@10": 0.5,
                "recall@100": value,
            }
            for i, value in enumerate(values)
        ],
    }


def test_changes_are_told_with_their_significance() -> None:
    """Ten queries that all got better are no chance; equal ones are the same."""
    before, after = _record([0.1] * 10), _record([0.2 + i / 100 for i in range(10)])
    verdicts = {c.measure: c.verdict for c in compare(before, after)}
    assert verdicts == {"ndcg@10": "better", "mrr@10": "same", "recall@100": "better"}
    assert compare(after, before)[0].verdict == "worse"


def test_queries_are_paired_by_id() -> None:
    """Only those of both results count, whatever their order."""
    before, after = _record([0.1, 0.2, 0.3]), _record([0.1, 0.2])
    after["queries"].reverse()
    change = compare(before, after)[0]
    assert change.queries == 2
    assert change.contrast.ties == 2


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    """Other typos, no system in common, a damaged file, a file of something else."""
    with pytest.raises(ConfigurationError, match="differ in seed"):
        compare(_record([0.1]), _record([0.1], seed=1))
    with pytest.raises(ConfigurationError, match="in common"):
        compare(_record([0.1]), _record([0.1], system="expand"))
    with pytest.raises(ConfigurationError, match="damaged"):
        compare(_record([0.1]) | {"queries": [{}]}, _record([0.1]))
    path = tmp_path / "other.json"
    path.write_text(json.dumps({"format": FORMAT + 1}))
    with pytest.raises(ConfigurationError, match="not a result"):
        read_record(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_record(tmp_path / "missing.json")
