"""One line a decision, in words that can be counted, and no text unless it was asked for."""

from __future__ import annotations

import logging
import re

import pytest

from middleware.core.outcome import Outcome
from middleware.instrumentation.logs import LogObserver
from middleware.testing import ScriptedEngine

from .conftest import Build

pytestmark = pytest.mark.anyio

LOGGER = "middleware.decisions"
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
