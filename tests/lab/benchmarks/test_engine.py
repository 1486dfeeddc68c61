"""``querylift bench engine`` measures what it says, on small models."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from middleware import ConfigurationError
from middleware.lab.benchmarks import engine, engines_under_test, models, onnx_steps, replay
from middleware.lab.benchmarks.engines_under_test import ENGINES_UNDER_TEST
from tests.engines.t5.checkpoints import build


def options(*arguments: str) -> argparse.Namespace:
    """Parse a command line."""
    parser = argparse.ArgumentParser()
    engine.add_arguments(parser)
    return parser.parse_args(arguments)


def test_races_on_random_weights(capsys: pytest.CaptureFixture[str]) -> None:
    """Each engine has a line with every figure, from processes of their own."""
    arguments = ("--engines", "t5-plain,t5", "--model", "random:t5-tiny", "--rounds", "2")
    assert engine.run(options(*arguments, "--threads", "1", "--tokens-out", "6", "--json")) == 0
    report = json.loads(capsys.readouterr().out)
    plain, drafted = report["rows"]
    assert (plain["engine"], plain["steps"], plain["tokens_per_step"]) == ("t5-plain", 6, 1)
    assert plain["ratio"] == 1
    assert drafted["steps"] <= 6
    assert all(row["p95_ms"] >= row["p50_ms"] > row["encode_ms"] > 0 for row in report["rows"])
    assert all(row["rss_mb"] > 50 for row in report["rows"])
    assert "times only" in report["note"]


def test_lengths_are_forced_on_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a length given, a real model decodes random tokens, and the report says so."""
    arguments = ("--engines", "t5-plain", "--model", str(build(tmp_path)), "--rounds", "2")
    assert engine.run(options(*arguments, "--threads", "1", "--tokens-out", "7", "--json")) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["rows"][0]["steps"] == 7
    assert "forced" in report["note"]


def test_equal_answers_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Quantized, drafted and batched answers of the bundled model are float32's own."""
    file = tmp_path / "queries.txt"
    file.write_text("\n".join(replay.QUERIES), "utf-8")
    arguments = ("--same", "--threads", "1", "--queries", str(file), "--json")
    assert engine.run(options(*arguments)) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["queries"] == len(replay.QUERIES)
    assert report["int8_equals_fp32"] >= 0.95
    assert report["drafted_equals_plain"] == report["batched_equals_single"] == 1.0
    assert report["tokens_per_step"] > 2


def test_memory_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Memory is told of a first start and of one from the kept weights, and stays flat."""
    arguments = ("--model", "random:t5-tiny", "--threads", "1", "--memory", "60", "--json")
    assert engine.run(options(*arguments)) == 0
    report = json.loads(capsys.readouterr().out)
    figures = {
        name: report[f"{name}_mb"] for name in ("first_start", "start", "after_6", "after_60")
    }
    assert all(value > 50 for value in figures.values())
    assert figures["after_60"] - figures["after_6"] < 20


@pytest.mark.parametrize(
    "name",
    ["t5", "t5-plain", "t5-untraced", "transformers", "transformers-int8", "ctranslate2"],
)
def test_engines_do_the_work_asked_for(name: str) -> None:
    """Each decodes exactly as many tokens as are forced."""
    if name == "ctranslate2":
        pytest.importorskip(name)
    with models.checkpoint("random:t5-tiny") as folder:
        before = sorted(folder.iterdir())
        engine_under_test = ENGINES_UNDER_TEST[name](folder, 1, [(7, 2), (3, 0)])
        assert sorted(folder.iterdir()) == before
        call = engine_under_test.time_call([[5, 6, 7, 1], [8, 9, 1]], 6, forced=True)
        assert call.total_s > call.encode_s >= 0
        assert call.steps == 6 or (name == "t5" and 2 <= call.steps <= 5)


def test_replay_reproduces_a_pattern() -> None:
    """Guesses come true as often as the pattern says."""
    with models.checkpoint("random:t5-tiny") as folder:
        ours: Any = ENGINES_UNDER_TEST["t5"](folder, 1, [(7, 3)])
        call = ours.time_call([[5, 6, 7, 1]], 16, forced=True)
    assert (call.steps, call.tokens_per_step) == (4, 4)


def test_pattern_is_measured() -> None:
    """The bundled model's guesses come true more often than not, and never more than made."""
    pattern = replay.measured_pattern(replay.QUERIES)
    assert all(0 <= right <= guessed <= 7 for guessed, right in pattern)
    assert len(pattern) >= len(replay.QUERIES)
    assert sum(right for _, right in pattern) >= len(pattern)  # 2 tokens a step


@pytest.mark.parametrize(
    "arguments",
    [
        ("--engines", "t6"),
        ("--engines", ""),
        ("--model", "random:t6"),
        ("--model", "/nowhere/at/all"),
        ("--rounds", "0"),
        ("--tokens-in", "0"),
        ("--memory", "0"),
        ("--queries", "/nowhere/at/all"),
    ],
)
def test_wrong_arguments(arguments: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong argument is one line on stderr and a status."""
    assert engine.run(options(*arguments)) == 2
    assert capsys.readouterr().err.startswith("querylift bench engine: ")


def test_engine_that_fails_is_named(tmp_path: Path) -> None:
    """An engine that cannot start ends the run with its name and its error."""
    (tmp_path / "config.json").write_text("{}", "utf-8")
    with (
        pytest.raises(ConfigurationError, match="engine t5: ModelError"),
        engines_under_test.engine_process("t5", tmp_path, 1),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "module"), [("ctranslate2", engines_under_test), ("onnx", onnx_steps)]
)
def test_missing_extra_is_named(
    name: str, module: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a peer the error says how to get it."""

    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(module, "import_module", missing)
    with pytest.raises(ImportError, match=r"querylift\[bench\]"):
        ENGINES_UNDER_TEST[name](build(tmp_path), 1, ())
