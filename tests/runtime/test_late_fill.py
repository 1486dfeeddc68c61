"""Late fills: rewrites that nobody waits for any more, finished for those who come next."""

from __future__ import annotations

import asyncio

import pytest

from middleware import Limits, Outcome, Reason, Source
from middleware.testing import ManualClock, ScriptedEngine

from .conftest import Build
from .lookups import answered, distinct

pytestmark = pytest.mark.anyio

TEXT = "warm winter jacket"


async def test_a_run_under_way_is_finished_for_the_memo(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.3
    reformulator = build(budget=0.1)
    await answered(clock, 0.1, reformulator.reformulate(TEXT))
    await clock.advance(0.19)
    assert len(reformulator.memo) == 0
    await clock.advance(0.01)
    assert (await reformulator.reformulate(TEXT)).source is Source.MEMO


async def test_the_one_who_left_is_enough(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.05
    reformulator = build()
    asked = asyncio.create_task(reformulator.reformulate(TEXT))
    await clock.advance(0.01)
    asked.cancel()
    await clock.advance(0.04)
    assert (await reformulator.reformulate(TEXT)).source is Source.MEMO


async def test_a_late_fill_gives_way_between_steps_and_is_run_again(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.1  # a step each 10 ms
    reformulator = build()
    late = await answered(clock, 0.02, reformulator.reformulate(TEXT, budget=0.02))
    assert late.reason is Reason.TIMEOUT
    await clock.advance(0.035)
    live = await answered(clock, 0.105, reformulator.reformulate("thin jacket", budget=1))
    assert live.outcome is Outcome.REWRITTEN
    assert live.timings.queue == pytest.approx(0.005)  # the step under way was finished
    assert engine.calls == [[TEXT], ["thin jacket"], [TEXT]]
    await clock.advance(0.1)
    assert (await reformulator.reformulate(TEXT)).source is Source.MEMO
    assert len(engine.calls) == 3


async def test_one_that_gives_way_again_and_again_is_dropped(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.1
    reformulator = build()
    await answered(clock, 0.02, reformulator.reformulate(TEXT, budget=0.02))
    for text in distinct(5):
        await answered(clock, 0.12, reformulator.reformulate(text, budget=1))
    await clock.advance(1)
    assert sum(call == [TEXT] for call in engine.calls) == 3
    assert reformulator.stats().flights == 0
    again = await answered(clock, 0.1, reformulator.reformulate(TEXT, budget=1))
    assert again.source is Source.ENGINE


async def test_it_does_not_give_way_to_those_who_have_left(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.3
    reformulator = build(budget=0.1)
    first = asyncio.create_task(reformulator.reformulate(TEXT))
    await clock.settle()
    others = [asyncio.create_task(reformulator.reformulate(text)) for text in distinct(3)]
    await clock.advance(0.3)
    assert {task.result().reason for task in [first, *others]} == {Reason.TIMEOUT}
    assert (await reformulator.reformulate(TEXT)).source is Source.MEMO
    assert engine.calls == [[TEXT], distinct(3)]


async def test_a_caller_brings_a_waiting_late_fill_forward(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.1
    reformulator = build()
    blocker = asyncio.create_task(reformulator.reformulate("a first query", budget=1))
    await clock.settle()
    texts = distinct(10)
    for text in texts:
        await answered(clock, 0, reformulator.reformulate(text, budget=0))
    assert reformulator.stats().flights == 11
    asked = asyncio.create_task(reformulator.reformulate(texts[9], budget=1))
    await clock.advance(0.2)
    assert blocker.done()
    assert asked.result().outcome is Outcome.REWRITTEN
    assert asked.result().source is Source.SHARED
    assert engine.calls[1] == [texts[9]]


async def test_a_caller_joins_a_late_fill_that_runs(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.1
    reformulator = build()
    await answered(clock, 0.02, reformulator.reformulate(TEXT, budget=0.02))
    asked = asyncio.create_task(reformulator.reformulate(TEXT, budget=0.2))
    other = asyncio.create_task(reformulator.reformulate("thin jacket", budget=1))
    await clock.advance(0.08)  # awaited again, so that it does not give way
    assert (asked.result().outcome, asked.result().source) == (Outcome.REWRITTEN, Source.SHARED)
    await clock.advance(0.1)
    assert other.result().outcome is Outcome.REWRITTEN
    assert engine.calls == [[TEXT], ["thin jacket"]]


async def test_the_lane_is_bounded_and_the_oldest_leave_it(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.1
    reformulator = build(limits=Limits(background=4, background_batch=2))
    blocker = asyncio.create_task(reformulator.reformulate("a first query", budget=1))
    await clock.settle()
    texts = distinct(20)
    for text in texts:
        await answered(clock, 0, reformulator.reformulate(text, budget=0))
        assert reformulator.stats().background <= 4
    await clock.advance(1)
    assert blocker.done()
    assert engine.calls[1:] == [texts[16:18], texts[18:20]]
    assert len(reformulator.memo) == 5


@pytest.mark.parametrize(
    ("limits", "stored"),
    [(Limits(late_fill=False), True), (Limits(), False), (Limits(background=0), True)],
)
async def test_where_it_serves_nobody_the_work_is_dropped(
    build: Build,
    clock: ManualClock,
    engine: ScriptedEngine,
    limits: Limits,
    stored: bool,
) -> None:
    engine.delay = 0.3
    reformulator = build(budget=0.1, limits=limits)
    asked = [
        asyncio.create_task(reformulator.reformulate(text, stored=stored)) for text in distinct(3)
    ]
    await clock.advance(0.1)
    assert {task.result().reason for task in asked} == {Reason.TIMEOUT}
    await clock.advance(engine.delay if limits.background == 0 else engine.delay / engine.steps)
    stats = reformulator.stats()
    assert (stats.foreground, stats.background, stats.running, stats.flights) == (0, 0, 0, 0)
    assert len(engine.calls) == 1


async def test_work_that_all_callers_left_is_dropped(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.3
    reformulator = build(budget=5, limits=Limits(late_fill=False))
    asked = [asyncio.create_task(reformulator.reformulate(TEXT)) for _ in range(3)]
    await clock.advance(0.1)
    for task in asked:
        task.cancel()
    await clock.advance(0.03)
    assert reformulator.stats().flights == 0
    assert len(reformulator.memo) == 0
