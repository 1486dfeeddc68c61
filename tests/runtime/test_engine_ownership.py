"""An engine serves one reformulator at a time, by the policy of that one."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from middleware import (
    Acceptance,
    Answer,
    Cancelled,
    EngineError,
    Mode,
    Outcome,
    Policy,
    Reason,
    Reformulator,
    Verdict,
)
from middleware.engines.judging import EngineResult
from middleware.testing import ScriptedEngine

TEXT = "warm winter jacket"


class LoadedEngine(ScriptedEngine):
    """An engine that counts how often it was loaded."""

    loads = 0

    def load(self) -> None:
        """Load."""
        self.loads += 1


class RecordingEngine(ScriptedEngine):
    """A judging engine that records what it was told, in order."""

    def __init__(self) -> None:
        super().__init__(lambda text: f"lifted {text}")
        self.told: list[object] = []

    def judge_with(self, acceptance: Acceptance) -> None:
        """Record."""
        self.told.append(acceptance)

    def load(self) -> None:
        """Record."""
        self.told.append("load")

    def generate_verdicts(
        self, texts: Sequence[str], modes: Sequence[Mode], cancelled: Callable[[int], bool]
    ) -> Sequence[EngineResult]:
        """Judge with a verdict that no acceptance gives."""
        return [Verdict("judged there") for _ in texts]


@pytest.mark.parametrize("kind", [ScriptedEngine, LoadedEngine])
def test_a_second_reformulator_is_refused_until_the_first_has_closed(
    kind: type[ScriptedEngine], caplog: pytest.LogCaptureFixture
) -> None:
    engine = kind(lambda text: f"lifted {text}")
    first, second = (Reformulator(engine, budget=20) for _ in range(2))
    with first:
        with pytest.raises(EngineError, match=r"share that reformulator.* make an engine for each"):
            second.wait_ready()
        assert not second.ready
        for _ in range(3):
            found = second.reformulate_sync(TEXT)
            assert (found.outcome, found.reason) == (Outcome.SKIPPED, Reason.NOT_READY)
        assert caplog.text.count("in use by another") == 1
        assert first.reformulate_sync(TEXT).outcome is Outcome.REWRITTEN
    with second:
        assert second.reformulate_sync(TEXT).outcome is Outcome.REWRITTEN
        with pytest.raises(EngineError, match="in use by another reformulator"):
            first.wait_ready()
    assert first.reformulate_sync("thin jacket").outcome is Outcome.REWRITTEN
    first.close()


def test_a_text_is_enough_to_be_refused() -> None:
    """A reformulator starts with its first text if it was not started before."""
    engine = ScriptedEngine(lambda text: f"lifted {text}")
    with Reformulator(engine, budget=20):
        second = Reformulator(engine, budget=20)
        assert second.reformulate_sync(TEXT).reason is Reason.NOT_READY
        assert second.stats().failure is not None
        second.close()


def test_an_engine_that_could_not_be_loaded_is_free_for_others() -> None:
    class Broken(LoadedEngine):
        def load(self) -> None:
            super().load()
            if self.loads == 1:
                raise EngineError("no weights")

    engine = Broken()
    first = Reformulator(engine)
    with pytest.raises(EngineError, match="no weights"):
        first.wait_ready()
    with Reformulator(engine) as second:
        assert second.ready
    first.close()


def test_the_policy_is_handed_over_by_the_worker_that_uses_the_engine() -> None:
    """Not by the constructor: the last one that was made would set it for all."""
    engine = RecordingEngine()
    mine, other = Acceptance(), Acceptance(max_growth=2)
    first = Reformulator(engine, budget=20, policy=Policy(acceptance=mine))
    second = Reformulator(engine, budget=20, policy=Policy(acceptance=other))
    assert engine.told == []
    with first:
        assert engine.told == [mine, "load"]
        assert first.reformulate_sync(TEXT).query == "judged there"
    with second:
        assert engine.told == [mine, "load", other, "load"]
    with first:  # its engine is loaded, but judges by the other policy
        assert first.reformulate_sync("thin jacket").query == "judged there"
        assert engine.told == [mine, "load", other, "load", mine]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.process
def test_a_forked_child_may_use_its_copy() -> None:
    engine = ScriptedEngine(lambda text: f"lifted {text}")
    with Reformulator(engine, budget=20) as reformulator:
        child = os.fork()
        if child == 0:  # pragma: no cover
            found = reformulator.reformulate_sync(TEXT)
            try:
                Reformulator(engine).wait_ready()
            except EngineError:  # as everywhere
                os._exit(found.outcome is not Outcome.REWRITTEN)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_an_engine_that_cancels_what_is_wanted_fails_on_it() -> None:
    class Lazy(ScriptedEngine):
        def generate(self, texts: Any, cancelled: Any) -> list[Answer]:
            return [Cancelled() for _ in texts]

    with Reformulator(Lazy(), budget=20) as reformulator:
        found = reformulator.reformulate_sync(TEXT)
    assert found.reason is Reason.ENGINE_ERROR
