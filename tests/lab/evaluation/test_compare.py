"""Two results held against each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from middleware import ConfigurationError
from middleware.lab.evaluation.compare import compare, summary
from middleware.lab.evaluation.record import FORMAT, read_record


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
    broken = _record([0.1])
    del broken["queries"][0]["mrr@10"]
    with pytest.raises(ConfigurationError, match="damaged"):
        compare(broken, broken)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_record(tmp_path / "missing.json")
    path = tmp_path / "other.json"
    for content in ("{}", "[]", "no JSON", '{"format": 1}'):
        path.write_text(content)
        with pytest.raises(ConfigurationError, match="not a result of querylift eval"):
            read_record(path)
    path.write_text(json.dumps(_record([0.1]) | {"format": FORMAT + 1}))
    with pytest.raises(ConfigurationError, match="not a result of this version"):
        read_record(path)


def test_a_change_that_may_be_chance_is_not_called_the_same() -> None:
    """One query of two that got better is no proof, and no standstill either."""
    changes = compare(_record([0.1, 0.2]), _record([0.1, 0.3]))
    assert [change.verdict for change in changes] == ["not significant", "same", "not significant"]
    told = "3 figures: 2 better (0 significantly), 0 worse (0 significantly), 1 equal"
    assert summary(changes) == told


def test_a_summary_counts_what_is_significant() -> None:
    """Better and worse each with the number that chance does not explain."""
    changes = compare(_record([0.9] * 10), _record([0.2] * 10))
    told = "3 figures: 0 better (0 significantly), 2 worse (2 significantly), 1 equal"
    assert summary(changes) == told


def test_an_upstreams_key_is_not_told() -> None:
    """Files of before keys were left out may have one."""
    before, after = _record([0.1]), _record([0.1])
    before["settings"]["upstream"] = "http://bob:K9@h/s?key=K9"
    after["settings"]["upstream"] = "http://h/other"
    with pytest.raises(ConfigurationError, match="http://h/s and") as told:
        compare(before, after)
    assert "K9" not in str(told.value)
