"""Rewrites from one run to the next, through real processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .running import serving, until


def test_a_second_run_knows_what_the_first_one_learned(
    upstream: str, behaviour: Path, tmp_path: Path
) -> None:
    file = tmp_path / "memo"
    options = ("--engine", "faulty", "--model", str(behaviour), "--memo-snapshot", str(file))
    with serving(upstream, *options) as served:
        until(lambda: served.search("large red lamp")[1].get("src") == "memo")
        assert not file.exists()
        served.stop()
        served.process.wait(10)
    assert json.loads(file.read_bytes().partition(b"\n")[0])["entries"] == 1
    behaviour.write_text("raise")
    with serving(upstream, *options) as served:
        outcome, parameters, query = served.search("large red lamp")
        assert (outcome, parameters["src"], query) == ("rewritten", "memo", "lifted large red lamp")


@pytest.mark.parametrize("content", [b"", b'{"format": "querylift-memo/0"}\n', b'{"format": "que'])
def test_a_snapshot_that_cannot_be_used_is_told_and_replaced(
    upstream: str, behaviour: Path, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "memo"
    file.write_bytes(content)
    options = ("--engine", "faulty", "--model", str(behaviour), "--memo-snapshot", str(file))
    with serving(upstream, *options) as served:
        until(lambda: served.search("large red lamp")[0] == "rewritten")
        served.stop()
        _, told = served.process.communicate(timeout=10)
    assert told.count("is ignored") == 1
    assert b"lifted large red lamp" in file.read_bytes()
