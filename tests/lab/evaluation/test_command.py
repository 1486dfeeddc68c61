"""The command as it is typed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from middleware.lab.evaluation.command import add_arguments, run
from middleware.lab.evaluation.search_client import SearchClient
from middleware.lab.evaluation.variants import VARIANTS

from .conftest import write_collection


def _run(*words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args([str(word) for word in words]))


def test_baselines_without_a_model(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tables on the terminal and every file that was asked for; then a comparison."""
    result, page, runs = tmp_path / "a.json", tmp_path / "a.html", tmp_path / "runs"
    systems = "stoplist,spelling,stoplist+spelling"
    files = ("--json", result, "--html", page, "--runs", runs)
    assert _run("--collection", shop, "--systems", systems, *files) == 0
    shown = capsys.readouterr().out
    assert "shop: 3 queries" in shown
    assert "won back" in shown
    record = json.loads(result.read_text())
    assert {row["system"] for row in record["rows"]} == {"original", *systems.split(",")}
    assert page.read_text().startswith("<!doctype html>")
    assert len(list(runs.glob("*.run"))) == 4 * len(VARIANTS)
    assert _run("--compare", result, result) == 0
    shown = capsys.readouterr().out
    assert "same" in shown
    equal = 3 * 4 * len(VARIANTS)  # measures, systems, variants
    assert f"{equal} figures: 0 better (0 significantly), 0 worse" in shown
    assert f"{equal} equal" in shown


@pytest.mark.parametrize("budget", [(), ("--budget-ms", "20000")])
def test_the_bundled_model_runs(shop: Path, tmp_path: Path, budget: tuple[str, ...]) -> None:
    """With all the time it takes, and through the middleware's own worker."""
    result = tmp_path / "a.json"
    options = ("--systems", "replace,expand", "--variants", "chatty", "--json", result)
    assert _run("--collection", shop, "--limit", "2", *options, *budget) == 0
    record = json.loads(result.read_text())
    rows = {row["system"]: row for row in record["rows"]}
    assert rows.keys() == {"original", "replace", "expand"}
    assert rows["replace"]["p95_ms"] > 0
    assert sum(rows["replace"]["shares"].values()) == pytest.approx(1, abs=1e-5)
    assert "timeout" not in rows["replace"]["shares"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "--collection"),
        (("--collection", "nowhere"), "there is no folder nowhere"),
        (("--systems", "magic"), "'magic' is none of"),
        (("--variants", ","), "name at least one"),
        (("--where", "set"), "NAME=VALUE"),
        (("--limit", "0"), "at least 1"),
        (("--seed", "-1"), "--seed (-1) must be at least 0"),
        (("--json", "."), "is a folder"),
        (("--json", "no/such/folder/a.json"), "there is no folder"),
        (("--systems", "original", "--upstream", "ftp://x"), "not an http or https URL"),
        (("--body", "{}"), "--body does nothing here: there is no --upstream"),
        (("--ids", "a.*.b"), "--ids does nothing here"),
        (("--header", "a: b"), "--header does nothing here"),
        (("--dialect", "solr"), "--dialect does nothing here"),
        (("--upstream", "http://h", "--stem"), "--stem does nothing here: --upstream searches"),
        (("--upstream", "http://h", "--k1", "1"), "--k1 does nothing here"),
        (("--systems", "stoplist", "--model", "m"), "--model does nothing here: none of"),
        (("--systems", "stoplist", "--words", "w"), "--words does nothing here"),
        (("--systems", "stoplist", "--budget-ms", "50"), "--budget-ms does nothing here"),
        (("--systems", "spelling", "--engine", "warp"), "--engine does nothing here"),
        (("--upstream", "http://h", "--header", "K9"), "--header is not of the form"),
        (("--systems", "replace", "--words", "none.txt"), "words ('none.txt')"),
        (("--compare", "a", "b"), "cannot be read"),
    ],
)
def test_what_is_wrong_is_said(
    shop: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    """Status 1 and one line on stderr, before any work."""
    given: tuple[str | Path, ...]
    given = words if "--collection" in words or not words else ("--collection", shop, *words)
    assert _run(*given) == 1
    assert message in capsys.readouterr().err


def test_an_upstreams_key_is_in_no_result(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The URL's query is left out of the files, which are made to be shown."""
    monkeypatch.setattr(SearchClient, "search", lambda self, query: [("d1", 1.0)])
    result, page = tmp_path / "a.json", tmp_path / "a.html"
    options = ("--systems", "original", "--variants", "clean", "--json", result, "--html", page)
    url = "http://h:1/s?q={query}&apikey=K9"
    assert _run("--collection", shop, "--upstream", url, *options) == 0
    assert json.loads(result.read_text())["settings"]["upstream"] == "http://h:1/s"
    assert "K9" not in result.read_text() + page.read_text()


@pytest.mark.parametrize(
    ("qrels", "status", "message"),
    [
        ("q1\td1\t1\nq1\tx1\t1\nq2\tx1\t0\n", 0, "warning: 1 of 2 judged documents are not in"),
        ("q1\tx1\t1\nq1\tx2\t1\n", 1, "none of 2 judged documents is in"),
    ],
)
def test_judged_documents_that_are_missing_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], qrels: str, status: int, message: str
) -> None:
    """Some make the figures lower than they could be; where all are, they say nothing."""
    folder = write_collection(tmp_path / "some", qrels=qrels)
    options = ("--systems", "original", "--variants", "clean")
    assert _run("--collection", folder, *options) == status
    told = capsys.readouterr().err
    assert message in told
    assert told.count("querylift eval:") == 1


@pytest.mark.parametrize(
    ("hits", "message"),
    [
        ([("x9", 1.0)], "warning: shop: none of the upstream's ids, such as 'x9', is judged"),
        ([], "warning: shop: the upstream found nothing"),
        ([("x9", 1.0), ("d5", 0.5)], ""),
    ],
)
def test_an_upstream_with_other_ids_is_told(
    shop: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    hits: list[tuple[str, float]],
    message: str,
) -> None:
    """Figures of 0 throughout have one likely reason, and it is not the search."""
    monkeypatch.setattr(SearchClient, "search", lambda self, query: hits)
    options = ("--systems", "original", "--variants", "clean", "--upstream", "http://h")
    assert _run("--collection", shop, *options) == 0
    told = capsys.readouterr().err
    assert message in told
    assert ("--ids" in told) == bool(message)
