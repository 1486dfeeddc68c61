"""An engine in a process of its own: the same answers, and a death is one failed call."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from middleware.core.outcome import Mode, Reason
from middleware.core.reformulation import Verdict
from middleware.core.text import normalize
from middleware.engines.base import Refusal
from middleware.engines.process import ProcessEngine
from middleware.engines.registry import load_engine
from middleware.errors import ConfigurationError, EngineError, ModelError
from middleware.policy.acceptance import Acceptance

from .told import Told, never


@pytest.fixture
def engine() -> Iterator[ProcessEngine]:
    made = ProcessEngine(Told, patience=0.05)
    made.load()
    yield made
    made.close()


def test_it_answers_as_the_engine_does(engine: ProcessEngine) -> None:
    assert (engine.name, engine.revision) == ("told", "7")
    assert engine.generate(["a", "refuse", "b\x00\ud800"], never) == [
        "lifted a", Refusal(Reason.TOO_LONG), "lifted b\x00\ud800"
    ]  # fmt: skip


def test_what_it_raises_is_an_engine_error_and_it_goes_on(engine: ProcessEngine) -> None:
    with pytest.raises(EngineError, match="ValueError: not this one"):
        engine.generate(["raise"], never)
    assert engine.generate(["a"], never) == ["lifted a"]


@pytest.mark.skipif(not hasattr(os, "getsid"), reason="needs sessions")
def test_it_lets_others_go_first(engine: ProcessEngine) -> None:
    pid = engine.pid
    assert pid is not None
    assert os.getpriority(os.PRIO_PROCESS, pid) >= os.getpriority(os.PRIO_PROCESS, 0) + 10
    assert os.getsid(pid) == pid
    share = Path(f"/proc/{pid}/autogroup")
    if share.exists() and (told := share.read_text("ascii")).strip():
        assert told.split()[-1] == "19"


def test_a_killed_process_fails_one_call_and_is_started_again(engine: ProcessEngine) -> None:
    first = engine.pid
    with pytest.raises(EngineError, match="exit code -9"):
        engine.generate(["die"], never)
    assert engine.generate(["a"], never) == ["lifted a"]
    assert engine.pid not in (None, first)
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)  # between two calls, as for want of memory
    engine._process.join()
    assert engine.generate(["b"], never) == ["lifted b"]


def test_what_is_no_longer_wanted_is_stopped(engine: ProcessEngine) -> None:
    asked: list[int] = []

    def after_a_while(index: int) -> bool:
        asked.append(index)
        return index == 0 and len(asked) > 10

    assert engine.generate(["wait", "a"], after_a_while) == [None, "lifted a"]


def test_one_that_hangs_is_ended_and_the_next_call_has_another(engine: ProcessEngine) -> None:
    first = engine.pid
    with pytest.raises(EngineError, match="did not come back"):
        engine.generate(["hang"], lambda index: True)
    assert engine.generate(["a"], never) == ["lifted a"]
    assert engine.pid != first


def test_an_engine_that_cannot_be_loaded_says_why() -> None:
    engine = ProcessEngine(partial(Told, broken=True))
    with pytest.raises(ModelError, match="copy them again"):
        engine.load()
    engine.close()


def test_nothing_is_left_after_closing(engine: ProcessEngine) -> None:
    pid = engine.pid
    assert pid is not None
    engine.close()
    assert engine.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_impossible_patience_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="patience"):
        ProcessEngine(Told, patience=0)


def test_the_bundled_model_answers_the_same() -> None:
    texts = ["please show me wireless headphones", "red shoes"]
    here = load_engine()
    here.load()  # type: ignore[attr-defined]
    there = ProcessEngine(partial(load_engine, "t5"))
    there.load()
    try:
        assert there.generate(texts, never) == here.generate(texts, never)
    finally:
        there.close()


class Mine(Acceptance):
    """An acceptance that cannot be sent, as it holds what belongs to this process."""

    def __init__(self) -> None:
        super().__init__()
        self.held = threading.Lock()


def test_answers_are_judged_where_they_are_made() -> None:
    """A text as acceptance would have it here; what is no text comes as it is."""
    engine = ProcessEngine(Told)
    engine.judge_with(Acceptance())
    engine.load()
    try:
        texts, modes = ["lamp", "refuse", "red lamp"], [Mode.REPLACE, Mode.REPLACE, Mode.EXPAND]
        found = engine.generate_judged(texts, modes, never)
        plain = engine.generate(texts, never)
        assert plain == ["lifted lamp", Refusal(Reason.TOO_LONG), "lifted red lamp"]
        assert found[1] == plain[1]
        for index in (0, 2):
            answer = normalize(f"lifted {texts[index]}")
            assert found[index] == Verdict(*Acceptance().judge(texts[index], answer, modes[index]))
        assert engine.generate_judged(["wait"], [Mode.REPLACE], lambda index: True) == [None]
    finally:
        engine.close()


def test_an_acceptance_that_cannot_be_sent_judges_here() -> None:
    engine = ProcessEngine(Told)
    engine.judge_with(Mine())
    engine.load()
    try:
        assert engine.generate_judged(["lamp"], [Mode.REPLACE], never) == ["lifted lamp"]
    finally:
        engine.close()
