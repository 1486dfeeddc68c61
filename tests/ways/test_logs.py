"""One line a decision, in words that can be counted, and no text unless it was asked for."""

from __future__ import annotations

import logging
import re

import pytest

from middleware import ConfigurationError, LogObserver, Outcome
from middleware.instrumentation.logs import redacted
from middleware.testing import ScriptedEngine

from .conftest import Build

pytestmark = pytest.mark.anyio

LOGGER = "querylift.decisions"
LINE = re.compile(r"outcome=(\S+) reason=(\S+) src=(\S+) mode=(\S+) ms=\d+\.\d")


async def test_lines_tell_the_decision_and_never_the_text(
    build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    engine = ScriptedEngine({"my secret illness": "secret illness"})
    reformulator = build(engine=engine, observers=[LogObserver()])
    with caplog.at_level(logging.INFO, LOGGER):
        for text in ("my secret illness", "my secret illness", "mail me@secret.example", ""):
            await reformulator.reformulate(text)
    found = [match.groups() for r in caplog.records if (match := LINE.fullmatch(r.getMessage()))]
    assert found == [
        ("rewritten", "-", "engine", "replace"),
        ("rewritten", "-", "memo", "replace"),
        ("skipped", "identifier", "-", "replace"),
        ("skipped", "empty", "-", "replace"),
    ]
    assert "secret" not in caplog.text
    assert "illness" not in caplog.text


async def test_texts_where_they_are_asked_for_stay_on_their_line(
    build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    """No text forges a line of its own, whatever breaks lines for whoever reads the log."""
    reformulator = build(engine=ScriptedEngine(), observers=[LogObserver(queries=True)])
    with caplog.at_level(logging.INFO, LOGGER):
        await reformulator.reformulate("a\r\n\x85\u2028\x1b[2Joutcome=rewritten")
    (record,) = caplog.records
    line = record.getMessage()
    assert len(line.splitlines()) == 1
    assert line.isprintable()
    assert "original='a\\r\\n\\x85\\u2028\\x1b[2Joutcome=rewritten'" in line
    assert line.startswith(f"outcome={Outcome.SKIPPED} ")


async def test_nothing_is_made_for_nobody(build: Build, caplog: pytest.LogCaptureFixture) -> None:
    reformulator = build(observers=[LogObserver()])
    with caplog.at_level(logging.WARNING, LOGGER):
        await reformulator.reformulate("red lamp")
    assert not caplog.records


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("red lamp for me@secret.example", "red lamp for …"),
        ("call 030 123456 about a lamp", "call … … about a lamp"),
        ("where is order AB-1234-X", "where is order …"),
        ("https://secret.example/me red", "… red"),
        ("red lamp", "red lamp"),
    ],
)
async def test_what_points_at_somebody_is_left_out_of_logged_texts(
    build: Build, caplog: pytest.LogCaptureFixture, text: str, written: str
) -> None:
    assert redacted(text) == written
    observer = LogObserver(queries=True, redact=True)
    with caplog.at_level(logging.INFO, LOGGER):
        await build(engine=ScriptedEngine({text: text}), observers=[observer]).reformulate(text)
    assert f"original={written!r} query={written!r}" in caplog.records[0].getMessage()


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
async def test_a_share_of_the_decisions_is_written(
    build: Build, caplog: pytest.LogCaptureFixture, share: float
) -> None:
    reformulator = build(observers=[LogObserver(sample=share)], mode="off")
    with caplog.at_level(logging.INFO, LOGGER):
        for _ in range(1000):
            await reformulator.reformulate("red lamp")
    # Five standard deviations of a fair draw.
    assert abs(len(caplog.records) - 1000 * share) <= (70 if 0 < share < 1 else 0)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_told_at_once(share: float) -> None:
    with pytest.raises(ConfigurationError, match="sample"):
        LogObserver(sample=share)


async def test_what_an_engine_chokes_on_is_not_logged(
    build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    engine = ScriptedEngine(lambda text: ValueError(f"cannot embed {text!r}"))
    with caplog.at_level(logging.WARNING):
        assert (await build(engine=engine).reformulate("my secret illness")).reason
    assert "cannot embed" in caplog.text
    assert "illness" not in caplog.text
