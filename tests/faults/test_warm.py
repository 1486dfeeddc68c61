"""What was asked for before it was asked: ``querylift warm``, and ``serve`` that starts with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .running import ROOT, environment, serving, until

_TEXTS = ["large red lamp", "small green desk", "  quiet   blue fan "]


def warm(*options: str, said: str = "") -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "middleware", "warm", *options],
        input=said,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env=environment(),
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_serve_knows_them_from_its_first_request(
    upstream: str, behaviour: Path, tmp_path: Path
) -> None:
    queries, file = tmp_path / "queries", tmp_path / "memo"
    queries.write_text("\n".join([*_TEXTS, "", _TEXTS[0], '"an exact phrase"']) + "\n")
    options = ("--engine", "faulty", "--model", str(behaviour), "--memo-snapshot", str(file))
    status, told, errors = warm("--queries", str(queries), *options)
    assert (status, errors) == (0, "")
    assert "4 queries in" in told
    assert "3 rewritten, 1 skipped" in told
    # More of them later: what is known is not asked for again, and stays.
    behaviour.write_text("raise")
    status, told, _ = warm("--queries", "-", *options, said="cheap wooden chair\nlarge red lamp\n")
    assert (status, "1 rewritten, 1 fallback" in told) == (0, True), told
    with serving(upstream, *options) as served:
        until(lambda: served.ready()[0] == 200)
        for text in _TEXTS:
            outcome, parameters, query = served.search(text)
            assert (outcome, parameters["src"]) == ("rewritten", "memo")
            assert query == f"lifted {' '.join(text.split())}"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--queries", "-"], "--memo-snapshot"),
        (["--queries", "/nowhere/at/all", "--memo-snapshot", "memo"], "No such file"),
        (["--queries", "-", "--memo-snapshot", "memo", "--model", "/nowhere/at/all"], "folder"),
    ],
)
def test_what_is_missing_is_told(options: list[str], said: str) -> None:
    status, _, told = warm(*options)
    assert (status, said in told, len(told.splitlines())) == (1, True, 1)
