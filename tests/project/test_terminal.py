"""What the command line prints: faults first, defaults, and nothing that a terminal obeys."""

from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from middleware import Admission, Reason
from middleware.cli import _parser, main
from middleware.core.printable import printable
from middleware.lab.benchmarks.tables import print_rows
from middleware.serving.process import PlainFormatter
from middleware.serving.settings import SETTINGS

_ROOT = Path(__file__).parents[2]
_ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("QUERYLIFT_")}
# A title, a color, a cursor, a bell, a C1 sequence, and a turned direction of writing.
_EVIL = "\x1b]0;owned\x07\x1b[31m\x1b[2J\x9b5n\u202egnp\r\x08\x7f"


def _run(
    *arguments: str, stdin: bytes = b"", variables: Mapping[str, str] | None = None
) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "middleware", *arguments],
        input=stdin,
        capture_output=True,
        timeout=120,
        check=False,
        cwd=_ROOT,
        env={**_ENVIRONMENT, **(variables or {})},
    )
    return done.returncode, (done.stdout + done.stderr).decode("utf-8")


@pytest.mark.parametrize(
    ("arguments", "fault", "command"),
    [
        ([], "required: COMMAND", "querylift"),
        (["fly"], "invalid choice: 'fly'", "querylift"),
        (["serve", "--mode", "fast"], "invalid choice: 'fast'", "querylift serve"),
        (["serve", "--port", "many"], "invalid int value: 'many'", "querylift serve"),
        (["serve", "--port"], "expected one argument", "querylift serve"),
        (["serve", "extra"], "unrecognized arguments: extra", "querylift serve"),
        (["warm"], "required: --queries", "querylift warm"),
        (["rewrite", "--mode", "shadow", "x"], "invalid choice", "querylift rewrite"),
        (["rewrite", "--nope", "x"], "unrecognized arguments: --nope", "querylift rewrite"),
        (["rewrite", "--budget-ms", "0", "x"], "'0' is not a number of milliseconds", "rewrite"),
        (["rewrite", "--budget-ms", "0.1", "x"], "milliseconds from 1 to", "querylift rewrite"),
        (["rewrite", "--budget-ms", "60000", "x"], "below 60000", "querylift rewrite"),
        (["rewrite", "--budget-ms", "nan", "x"], "'nan' is not", "querylift rewrite"),
        (["demo", "--budget-ms", "-5"], "milliseconds", "querylift demo"),
        (["eval", "--budget-ms", "fast"], "'fast' is not", "querylift eval"),
        (["eval", "--k1"], "expected one argument", "querylift eval"),
        (["bench", "load", "--budget-ms", "inf"], "'inf' is not", "querylift bench load"),
        (["bench", "engine", "--nope"], "unrecognized arguments: --nope", "querylift bench engine"),
        (["bench"], "required: NAME", "querylift bench"),
    ],
)
def test_wrong_usage_begins_with_the_fault(
    arguments: list[str], fault: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says in one more line where help is."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    first, second = capsys.readouterr().err.splitlines()
    assert fault in first
    assert first.startswith("querylift")
    assert f"{command} --help" in second
    assert "seconds" not in first.replace("milliseconds", "")


@pytest.mark.parametrize(
    "command",
    [["serve"], ["warm"], ["demo"], ["rewrite"], ["eval"], ["bench", "engine"], ["bench", "load"],
     ["bench", "proxy"], ["bench", "overhead"]],
)  # fmt: skip
def test_help_tells_each_default_and_what_a_value_is(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Options that take a value name its kind, and say what holds without them."""
    with pytest.raises(SystemExit):
        _parser().parse_args([*command, "--help"])
    told = " ".join(capsys.readouterr().out.split())
    options = re.split(r" (?=--[a-z])", told.partition(" options: ")[2])
    assert len(options) > 4
    for option in options:
        assert not re.match(r"--[a-z-]+ (VALUE|TEXT|X)\b", option), option
    if command == ["serve"]:
        for setting in SETTINGS:
            name = setting.option
            if isinstance(setting.default, bool):  # of "--on, --no-on", the latter has the help
                name = name.replace("--", "--no-", 1)
            described = next(each for each in options if each.startswith(f"{name} "))
            assert "(default " in described, described


def test_the_demo_says_what_documents_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["demo", "--help"])
    told = capsys.readouterr().out
    for word in (".md", ".html", ".jsonl", "_id", "text", "title"):
        assert word in told


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["serve", "--upstream", f"http://{_EVIL}"], {}),
        (["serve", "--upstream", "http://h", "--engine", _EVIL], {}),
        (["serve", "--upstream", "http://h", "--dialect", _EVIL], {}),
        (["serve", "--upstream", "http://h", "--model", f"/{_EVIL}"], {}),
        (["serve", "--config", f"/{_EVIL}.toml"], {}),
        (["serve", "--mode", _EVIL], {}),
        (["serve", f"--{_EVIL}"], {}),
        (["serve", _EVIL], {}),
        (["serve", "--upstream", "http://h", "--path", _EVIL], {}),
        (["serve", "--upstream", "http://h", "--tenant-header", _EVIL], {}),
        (["serve", "--upstream", "http://h", "--trusted-networks", _EVIL], {}),
        (["serve"], {"QUERYLIFT_PORT": _EVIL}),
        (["serve"], {f"QUERYLIFT_{_EVIL}": "1"}),
        (["warm", "--queries", f"/{_EVIL}", "--memo-snapshot", "/tmp/x"], {}),
        (["rewrite", "--model", f"/{_EVIL}", "x"], {}),
        (["rewrite", "--words", f"/{_EVIL}", "x"], {}),
        (["rewrite", "--budget-ms", _EVIL, "x"], {}),
        (["rewrite", f"please show me {_EVIL} lamps"], {}),
        (["eval", "--collection", f"/{_EVIL}"], {}),
        (["demo", "--no-browser", "--port", "0", "--corpus", f"/{_EVIL}"], {}),
        (["bench", "engine", "--engines", _EVIL], {}),
    ],
)
def test_nothing_that_a_terminal_obeys_is_echoed(
    arguments: list[str], variables: dict[str, str]
) -> None:
    """Wherever it came in; it is written as an escape instead."""
    _, told = _run(*arguments, variables=variables)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", told), repr(told)
    assert "owned" in told
    assert "Traceback" not in told


def test_lines_of_standard_input_are_not_obeyed() -> None:
    """Neither what is rewritten nor what is left alone."""
    lines = [f"a lamp {_EVIL}", "\x1b[31mred lamp", "lamp\u2028lamp", "caf\udce9"]
    stdin = "\n".join(lines).encode("utf-8", "surrogateescape")
    status, told = _run("rewrite", stdin=stdin)
    assert status == 0
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", told)
    assert r"\x1b[31mred lamp" in told


@given(st.text())
def test_printable(text: str) -> None:
    """What can be printed stays, and nothing else is left."""
    shown = printable(text)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udfff]", shown)
    shown.encode("utf-8")
    if text.isprintable():
        assert shown == text
    assert printable(f"a\n{text}", keep="\n").startswith("a\n")


def test_the_log_is_not_obeyed_either() -> None:
    """Tracebacks keep their lines."""
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    handler.setFormatter(PlainFormatter("%(message)s"))
    log = logging.Logger("own")
    log.addHandler(handler)
    log.warning("the upstream said %s", _EVIL)
    try:
        raise ValueError(_EVIL)
    except ValueError:
        log.exception("failed")
    told = output.getvalue()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", told)
    assert told.count("\n") > 4


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_tables_of_figures_are_not_cut(width: int) -> None:
    """On a narrow terminal, each row becomes a column."""
    names = ("engine", "p50_ms", "p95_ms", "texts_a_second", "tokens_per_step", "load_seconds",
             "resident_mib", "ratio_to_the_first")  # fmt: skip
    rows = [
        dict(zip(names, (engine, *(1234.5 + n for n in range(7))), strict=True))
        for engine in ("t5", "t5-plain", "transformers-int8")
    ]
    output = io.StringIO()
    print_rows(rows, "bundled, batch 1", Console(file=output, width=width, force_terminal=True))
    told = re.sub(r"\x1b\[[0-9;]*m", "", output.getvalue())
    assert "…" not in told
    assert max(map(len, told.splitlines())) <= width
    if width >= 80:
        for word in (*names, "transformers-int8", "1,234.50", "1,240.50"):
            assert word in told


def test_the_limits_of_a_text_are_named() -> None:
    """They are those that admission has unless told otherwise."""
    told = Reason.TOO_LONG.explanation
    assert str(Admission().max_chars) in told
    assert str(Admission().max_words) in told
