"""A burst that the engine cannot serve: bounded, turned away at once, and over when it is over."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from middleware import (
    Admission,
    ConfigurationError,
    Limits,
    Outcome,
    Policy,
    Reason,
    Reformulation,
    Reformulator,
)
from middleware.core.cost_model import text_cost
from middleware.testing import ManualClock, ScriptedEngine

from .conftest import Build
from .lookups import answered, distinct

pytestmark = pytest.mark.anyio

LIMITS = Limits()


class Burst:
    """Distinct texts asked for all at once, and when each was answered with what."""

    def __init__(self, reformulator: Reformulator, clock: ManualClock, texts: list[str]) -> None:
        self.found: dict[str, Reformulation] = {}
        self.at: dict[str, float] = {}
        self._reformulator, self._clock, self._start = reformulator, clock, clock.now()
        self.tasks = [asyncio.create_task(self._ask(text)) for text in texts]

    async def _ask(self, text: str) -> None:
        self.found[text] = await self._reformulator.reformulate(text)
        self.at[text] = self._clock.now() - self._start
        assert self.found[text].query == text or self.found[text].query == f"lifted {text}"

    @property
    def reasons(self) -> Counter[Reason | None]:
        return Counter(found.reason for found in self.found.values())


async def pass_time(clock: ManualClock, reformulator: Reformulator, seconds: float) -> None:
    """Let time pass in small steps, and hold at each that the lanes are bounded."""
    for _ in range(round(seconds / 0.01)):
        await clock.advance(0.01)
        stats = reformulator.stats()
        assert stats.foreground <= LIMITS.foreground
        assert stats.background <= LIMITS.background
        assert stats.running <= LIMITS.batch
        assert stats.flights <= LIMITS.foreground + LIMITS.background + LIMITS.batch


@pytest.fixture
def slow(engine: ScriptedEngine) -> ScriptedEngine:
    """An engine of 300 ms."""
    engine.delay = 0.3
    return engine


async def test_two_hundred_at_once_before_anything_is_known_of_the_engine(
    build: Build, clock: ManualClock, slow: ScriptedEngine
) -> None:
    reformulator = build(budget=0.1)
    burst = Burst(reformulator, clock, distinct(200))
    await clock.settle()
    at_once = Counter(burst.reasons)
    assert at_once[Reason.OVERLOADED] >= 200 - LIMITS.foreground - LIMITS.batch
    assert set(at_once) == {Reason.OVERLOADED}
    await pass_time(clock, reformulator, 0.1)
    assert len(burst.found) == 200
    assert max(burst.at.values()) <= 0.1 + 1e-9
    assert set(burst.reasons) == {Reason.OVERLOADED, Reason.TIMEOUT}


async def test_what_is_turned_away_in_a_crowd_is_not_even_looked_at(
    build: Build, clock: ManualClock, slow: ScriptedEngine
) -> None:
    looked_at: list[str] = []

    class Looking(Admission):
        def check(self, text: str) -> Reason | None:
            looked_at.append(text)
            return super().check(text)

    reformulator = build(budget=0.1, policy=Policy(admission=Looking()))
    first = asyncio.create_task(reformulator.reformulate("what keeps the engine busy"))
    await clock.settle()
    texts = distinct(200)
    burst = Burst(reformulator, clock, texts)
    await clock.settle()
    assert LIMITS.foreground + LIMITS.background <= len(looked_at) < 100
    assert (await reformulator.reformulate("title:lamp")).reason is Reason.OVERLOADED

    # Who asks for what is under way waits with the others, as a text costs the engine once.
    waiting = next(text for text in texts if text not in burst.found)
    asked = asyncio.create_task(reformulator.reformulate(waiting))
    await clock.settle()
    assert not asked.done()
    await pass_time(clock, reformulator, 0.12)
    assert asked.done()
    assert asked.result().reason is Reason.TIMEOUT
    assert (await first).reason is Reason.TIMEOUT
    assert (await reformulator.reformulate("title:lamp")).reason is Reason.SYNTAX


async def test_two_hundred_at_once_where_the_engine_is_known(
    build: Build, clock: ManualClock, slow: ScriptedEngine
) -> None:
    reformulator = build(budget=0.1)
    first = await answered(clock, 0.3, reformulator.reformulate("a first query"))
    assert first.reason is Reason.TIMEOUT
    burst = Burst(reformulator, clock, distinct(200))
    await clock.settle()
    assert burst.reasons == {Reason.PREDICTED_LATE: 200}
    assert set(burst.at.values()) == {0.0}


@pytest.mark.parametrize("known", [False, True])
async def test_after_a_burst_the_next_query_is_in_time(
    build: Build, clock: ManualClock, slow: ScriptedEngine, known: bool
) -> None:
    reformulator = build(budget=0.1)
    if known:
        await answered(clock, 0.3, reformulator.reformulate("a first query"))
    burst = Burst(reformulator, clock, distinct(200))
    await pass_time(clock, reformulator, 0.12)
    assert len(burst.found) == 200

    # At once, though 300 ms of a call for the burst are under way: it gives way.
    found = await answered(clock, 0.4, reformulator.reformulate("the next query", budget=0.5))
    assert found.outcome is Outcome.REWRITTEN
    assert found.timings.total <= 0.3 + 0.3 / slow.steps + 1e-9

    slow.delay = 0.02
    await pass_time(clock, reformulator, 0.5)
    found = await answered(clock, 0.1, reformulator.reformulate("one more query"))
    assert found.outcome is Outcome.REWRITTEN


async def test_there_is_no_backlog_of_dead_work(
    build: Build, clock: ManualClock, slow: ScriptedEngine
) -> None:
    reformulator = build(budget=0.1)
    texts = distinct(200)
    for start in range(0, 200, 20):  # 20 every 100 ms: a second of far too much
        burst = Burst(reformulator, clock, texts[start : start + 20])
        await pass_time(clock, reformulator, 0.1)
        assert len(burst.found) == 20
    calls = len(slow.calls)
    await pass_time(clock, reformulator, 5)
    after = slow.calls[calls:]
    assert (
        len(after) <= LIMITS.background / LIMITS.background_batch + 1
    )  # late fills, four in a call
    stats = reformulator.stats()
    assert (stats.foreground, stats.background, stats.running, stats.flights) == (0, 0, 0, 0)


async def test_without_late_fill_a_burst_leaves_no_work_at_all(
    build: Build, clock: ManualClock, slow: ScriptedEngine
) -> None:
    reformulator = build(budget=0.1, limits=Limits(late_fill=False))
    burst = Burst(reformulator, clock, distinct(200))
    await pass_time(clock, reformulator, 0.1)
    assert len(burst.found) == 200
    calls = len(slow.calls)
    await pass_time(clock, reformulator, 0.1)
    assert len(slow.calls) == calls
    assert reformulator.stats().flights == 0


async def test_what_nobody_waits_for_makes_room_at_once(build: Build, clock: ManualClock) -> None:
    """An engine that never asks whether it should stop keeps the worker from tidying up."""

    class Deaf(ScriptedEngine):
        def generate(self, texts, cancelled):  # type: ignore[no-untyped-def]
            return super().generate(texts, lambda index: False)

    deaf = Deaf(lambda text: f"lifted {text}", delay=0.3, clock=clock)
    reformulator = build(engine=deaf, budget=0.1, limits=Limits(foreground=4))
    burst = Burst(reformulator, clock, distinct(20))
    await clock.advance(0.1)
    assert burst.reasons[Reason.OVERLOADED] >= 20 - 4 - LIMITS.batch
    asked = asyncio.create_task(reformulator.reformulate("the next query", budget=1.0))
    await clock.settle()
    assert not asked.done()
    assert reformulator.stats().foreground == 1
    await clock.advance(0.5)
    assert asked.result().outcome is Outcome.REWRITTEN


async def test_waiting_texts_share_calls(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.02
    reformulator = build(budget=0.2)
    first = asyncio.create_task(reformulator.reformulate("a first query"))
    await clock.settle()
    burst = Burst(reformulator, clock, distinct(16))
    await clock.advance(0.06)
    assert first.done()
    assert burst.reasons == {None: 16}
    assert [len(call) for call in engine.calls] == [1, 8, 8]


async def test_a_text_is_not_put_into_a_call_that_makes_it_late(
    build: Build, clock: ManualClock
) -> None:
    """An engine whose calls take 2 ms a token: eight at once would be late, four aren't."""

    class Linear(ScriptedEngine):
        def generate(self, texts, cancelled):  # type: ignore[no-untyped-def]
            self.delay = 0.002 * sum(map(text_cost, texts))
            return super().generate(texts, cancelled)

    linear = Linear(lambda text: f"lifted {text}", clock=clock)
    reformulator = build(engine=linear, budget=5)
    for count in (1, 2, 4, 1, 3):  # learn
        Burst(reformulator, clock, distinct(count, behind="shelf"))
        await clock.advance(0.1)
        reformulator.memo.purge()
    blocker = asyncio.create_task(reformulator.reformulate("a first query"))
    await clock.settle()
    linear.calls.clear()
    asked = [
        asyncio.create_task(reformulator.reformulate(text, budget=0.065)) for text in distinct(8)
    ]
    await clock.advance(0.065)
    assert blocker.done()
    reasons = Counter(task.result().reason for task in asked)
    assert set(reasons) == {None, Reason.PREDICTED_LATE}
    assert reasons[None] >= 4


@pytest.mark.parametrize("limits", [Limits(late_fill=False), Limits(background=0)])
async def test_a_pessimistic_prediction_is_put_right_without_late_fills(
    build: Build, clock: ManualClock, slow: ScriptedEngine, limits: Limits
) -> None:
    """A slow start must not turn away all queries for ever."""
    reformulator = build(budget=0.5, limits=limits)
    first = await answered(clock, 0.3, reformulator.reformulate("a first query"))
    assert first.outcome is Outcome.REWRITTEN
    slow.delay = 0.02
    texts = distinct(60)
    outcomes = []
    for text in texts:
        found = await answered(clock, 0.1, reformulator.reformulate(text, budget=0.1))
        outcomes.append(found.outcome)
    assert outcomes[0] is Outcome.FALLBACK
    assert outcomes[-40:] == [Outcome.REWRITTEN] * 40


async def test_soundings_are_rare_where_the_engine_stays_slow(
    build: Build, clock: ManualClock, slow: ScriptedEngine
) -> None:
    reformulator = build(budget=0.5, limits=Limits(late_fill=False))
    await answered(clock, 0.3, reformulator.reformulate("a first query"))
    calls = len(slow.calls)
    for text in distinct(100):  # ten seconds of what would be late
        found = await reformulator.reformulate(text, budget=0.1)
        assert found.reason is Reason.PREDICTED_LATE
        await clock.advance(0.1)
    assert 1 <= len(slow.calls) - calls <= 10


@pytest.mark.parametrize(
    "wrong", [{"foreground": 0}, {"batch": 0}, {"background_batch": 0}, {"background": -1}]
)
def test_limits_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Limits(**wrong)


@pytest.mark.parametrize("known", [False, True])
async def test_an_engine_that_hangs_costs_one_budget_and_no_more(
    build: Build, clock: ManualClock, engine: ScriptedEngine, known: bool
) -> None:
    reformulator = build(budget=0.1)
    if known:
        engine.delay = 0.02
        await answered(clock, 0.02, reformulator.reformulate("a first query"))
    engine.delay, engine.steps = 1000.0, 1
    hung = await answered(clock, 0.1, reformulator.reformulate("a hanging query"))
    assert hung.reason is Reason.TIMEOUT
    await clock.advance(0.1)
    for text in distinct(40):
        found = await reformulator.reformulate(text)
        assert found.reason is Reason.PREDICTED_LATE
        assert found.timings.total == 0
    follower = await reformulator.reformulate("a hanging query")
    assert follower.reason is Reason.PREDICTED_LATE


async def test_a_follower_of_a_text_that_waits_is_told_where_it_would_be_late(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.1
    reformulator = build(budget=1)
    await answered(clock, 0.1, reformulator.reformulate("a first query"))
    running = asyncio.create_task(reformulator.reformulate("a second query"))
    await clock.settle()
    waiting = asyncio.create_task(reformulator.reformulate("a third query"))
    await clock.settle()
    late = await reformulator.reformulate("a third query", budget=0.19)
    assert late.reason is Reason.PREDICTED_LATE
    follower = asyncio.create_task(reformulator.reformulate("a third query", budget=0.21))
    await clock.advance(0.2)
    assert {task.result().reason for task in (running, waiting, follower)} == {None}
