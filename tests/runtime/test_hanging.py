"""An engine call that hangs: nobody waits for it any more, and what it held up goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from middleware import Answer, Breaker, BreakerState, EngineError, Outcome, Reason
from middleware.testing import ManualClock, ScriptedEngine

from .conftest import Build
from .lookups import answered, distinct

pytestmark = pytest.mark.anyio

TEXT = "warm winter jacket"


class StoppedEngine(ScriptedEngine):
    """An engine whose process is stopped in the call for ``TEXT``, and killed a second later."""

    unwanted_after: float | None = None

    def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> Sequence[Answer]:
        """Ask ten times a second whether the texts are still wanted, as a process engine does."""
        if TEXT not in texts:
            return super().generate(texts, cancelled)
        assert self.clock is not None
        started = self.clock.now()
        while not all(cancelled(index) for index in range(len(texts))):
            self.clock.sleep(0.1)
        self.unwanted_after = self.clock.now() - started
        self.clock.sleep(1.0)
        raise EngineError("it did not stop; its process was killed")


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("pause", [9.0, 1.7, 0.7, 0.11, 0.03])
async def test_it_is_unwanted_at_every_rate_of_lookups(
    build: Build, clock: ManualClock, pause: float, stored: bool
) -> None:
    """Without a lookup, too: the engine's own question finds that the call hangs."""
    engine = StoppedEngine(lambda text: f"lifted {text}", delay=0.01, clock=clock, steps=1)
    reformulator = build(engine=engine, budget=0.1, breaker=Breaker(cooldown=1.0))
    for text in distinct(5, "chair"):
        await answered(clock, 0.01, reformulator.reformulate(text))
    found = await answered(clock, 0.1, reformulator.reformulate(TEXT, stored=stored))
    assert found.reason is Reason.TIMEOUT
    began, asked = clock.now(), iter(distinct(200))
    while clock.now() - began < 9.0:
        await clock.advance(pause)
        await answered(clock, 0.1, reformulator.reformulate(next(asked), stored=stored))
    assert engine.unwanted_after is not None
    assert engine.unwanted_after < 1.3, "a call of 10 ms hangs after a second"
    found = await answered(clock, 0.01, reformulator.reformulate("the next one serves"))
    assert found.outcome is Outcome.REWRITTEN


async def test_a_lookup_for_the_same_text_does_not_join_it(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay, engine.steps = 60.0, 2
    reformulator = build(budget=0.1)
    await answered(clock, 0.1, reformulator.reformulate(TEXT))
    await clock.advance(11.0)
    found = await answered(clock, 0.0, reformulator.reformulate("cold jacket"))
    assert found.reason is Reason.BREAKER_OPEN
    found = await answered(clock, 0.0, reformulator.reformulate(TEXT, budget=50))
    assert found.reason is Reason.BREAKER_OPEN


async def test_who_waits_longer_than_that_still_gets_an_answer(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay, engine.steps = 20.0, 200
    reformulator = build(budget=50.0)
    found = await answered(clock, 20.0, reformulator.reformulate(TEXT))
    assert found.outcome is Outcome.REWRITTEN


async def test_an_engine_that_is_only_slow_fills_the_memo_the_second_time(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    """Before its first answer nobody can tell it from one that hangs."""
    engine.delay, engine.steps = 20.0, 200
    reformulator = build(budget=0.1)
    await answered(clock, 0.1, reformulator.reformulate(TEXT))
    await clock.advance(60.0)
    assert [len(call) for call in engine.calls] == [1, 1]
    assert len(reformulator.memo) == 1


class ProcessLikeEngine(ScriptedEngine):
    """An engine that loses its process in a call, and is loaded again."""

    lost = False
    hangs = False
    loads = 0
    broken = False

    def load(self) -> None:
        """Load, or fail."""
        self.lost = False
        self.loads += 1
        if self.broken:
            raise EngineError("weights are gone")

    def abandon(self) -> None:
        """End nothing."""

    def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> Sequence[Answer]:
        """Lose the process if a text says so."""
        if any("die" in text for text in texts):
            self.lost = True
            raise EngineError("its process ended")
        return super().generate(texts, cancelled)


@pytest.mark.parametrize("broken", [False, True])
async def test_a_lost_process_is_replaced_without_a_lookup(
    build: Build, clock: ManualClock, broken: bool, caplog: pytest.LogCaptureFixture
) -> None:
    engine = ProcessLikeEngine()
    reformulator = build(engine=engine)
    async with reformulator:
        engine.broken = broken
        found = await reformulator.reformulate("a die for a press")
        assert found.reason is Reason.ENGINE_ERROR
        await clock.settle()
        assert engine.loads == 2
        assert ("weights are gone" in caplog.text) is broken
        assert (await reformulator.reformulate(TEXT)).outcome is Outcome.UNCHANGED
        assert reformulator.stats().breaker is BreakerState.CLOSED
        assert engine.loads == 2
    await asyncio.sleep(0)


async def test_a_new_process_is_asked_at_once_and_then_as_any_that_fails(
    build: Build, clock: ManualClock
) -> None:
    """What failed before tells nothing of it; one that dies again and again gets its pauses."""
    engine = ProcessLikeEngine()
    reformulator = build(engine=engine, breaker=Breaker(window=1, cooldown=5.0))
    async with reformulator:
        for outcomes in ([Reason.ENGINE_ERROR, None], [Reason.ENGINE_ERROR, None]):
            for text, reason in zip(("a die", "one more query"), outcomes, strict=True):
                assert (await reformulator.reformulate(text, stored=False)).reason is reason
                await clock.settle()
        found = await reformulator.reformulate("die once")
        await clock.settle()
        assert found.reason is Reason.ENGINE_ERROR
        assert (await reformulator.reformulate("die twice")).reason is Reason.ENGINE_ERROR
        await clock.settle()
        assert reformulator.stats().breaker is BreakerState.OPEN
        assert (await reformulator.reformulate(TEXT)).reason is Reason.BREAKER_OPEN
        await clock.advance(5.0)
        assert (await reformulator.reformulate(TEXT)).outcome is Outcome.UNCHANGED
        assert reformulator.stats().breaker is BreakerState.CLOSED
