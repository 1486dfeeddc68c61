"""The budget: nobody waits past it, and what comes too late serves the next."""

from __future__ import annotations

import asyncio

import pytest

from middleware import ConfigurationError, Outcome, Reason, Reformulation, Reformulator, Source
from middleware.testing import ManualClock, ScriptedEngine

from .conftest import Build

pytestmark = pytest.mark.anyio

TEXT = "warm winter jacket"


async def test_an_engine_in_time_rewrites(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.04
    asked = asyncio.create_task(build(budget=0.1).reformulate(TEXT))
    await clock.advance(0.03)
    assert not asked.done()
    await clock.advance(0.01)
    found = asked.result()
    assert (found.outcome, found.source) == (Outcome.REWRITTEN, Source.ENGINE)
    assert (found.original, found.query, found.reason) == (TEXT, f"lifted {TEXT}", None)
    assert found.timings.total == pytest.approx(0.04)
    assert found.timings.engine == pytest.approx(0.04)
    assert found.timings.queue == 0


async def test_the_original_goes_at_the_budget_exactly_and_the_next_hits(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.3
    reformulator = build(budget=0.1)
    asked = asyncio.create_task(reformulator.reformulate(TEXT))
    await clock.advance(0.0999)
    assert not asked.done()
    await clock.advance(0.0001)
    assert asked.done()
    found = asked.result()
    assert (found.outcome, found.reason) == (Outcome.FALLBACK, Reason.TIMEOUT)
    assert (found.query, found.source) == (TEXT, None)
    assert found.timings.total == pytest.approx(0.1)

    await clock.advance(0.3)
    again = await reformulator.reformulate(TEXT)
    assert (again.outcome, again.source) == (Outcome.REWRITTEN, Source.MEMO)
    assert again.query == f"lifted {TEXT}"
    assert again.timings.total == 0
    assert engine.calls == [[TEXT]]


async def test_an_answer_at_the_very_deadline_is_late(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay, engine.steps = 0.1, 1
    asked = asyncio.create_task(build(budget=0.1).reformulate(TEXT))
    await clock.advance(0.1)
    assert asked.result().reason is Reason.TIMEOUT


@pytest.mark.parametrize("budget", [0.0, -1.0, float("nan"), 1e-9, 0.001])
async def test_tiny_budgets_end_at_once_and_still_fill_the_memo(
    build: Build, clock: ManualClock, engine: ScriptedEngine, budget: float
) -> None:
    engine.delay = 0.02
    reformulator = build()
    asked = asyncio.create_task(reformulator.reformulate(TEXT, budget=budget))
    await clock.advance(max(0.0, budget) if budget == budget else 0.0)
    assert asked.result().reason is Reason.TIMEOUT
    assert asked.result().query == TEXT
    await clock.advance(0.1)
    assert (await reformulator.reformulate(TEXT, budget=budget)).source is Source.MEMO
    # What is known to take longer is not begun for such a budget at all.
    other = await reformulator.reformulate("thin summer jacket", budget=budget)
    assert other.reason is Reason.PREDICTED_LATE
    assert other.timings.total == 0


@pytest.mark.parametrize("budget", [5.0, float("inf")])
async def test_a_call_may_bring_a_larger_budget(
    build: Build, clock: ManualClock, engine: ScriptedEngine, budget: float
) -> None:
    engine.delay = 3.0
    asked = asyncio.create_task(build(budget=0.1).reformulate(TEXT, budget=budget))
    await clock.advance(2.9)
    assert not asked.done()
    await clock.advance(0.1)
    assert asked.result().outcome is Outcome.REWRITTEN


@pytest.mark.parametrize("budget", [0, -0.1, 60, 100, float("nan"), "0.1", None])
def test_a_budget_that_is_none_is_refused_at_once(build: Build, budget: object) -> None:
    with pytest.raises(ConfigurationError, match="budget"):
        build(budget=budget)


def test_what_is_no_engine_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="'t5' is not an engine; load_engine"):
        Reformulator("t5")  # type: ignore[arg-type]


async def test_times_add_up_for_the_first_and_for_those_behind(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.05
    reformulator = build(budget=1)
    first = asyncio.create_task(reformulator.reformulate(TEXT))
    await clock.advance(0.01)
    queued = asyncio.create_task(reformulator.reformulate("thin summer jacket"))
    await clock.advance(0.02)
    follower = asyncio.create_task(reformulator.reformulate(TEXT))
    await clock.advance(0.2)

    def times(task: asyncio.Task[Reformulation]) -> list[float]:
        timings = task.result().timings
        assert timings.queue + timings.engine <= timings.total + 1e-9
        return [timings.total, timings.queue, timings.engine]

    assert times(first) == pytest.approx([0.05, 0.0, 0.05])
    assert times(queued) == pytest.approx([0.09, 0.04, 0.05])
    assert times(follower) == pytest.approx([0.02, 0.0, 0.02])
    assert follower.result().source is Source.SHARED


async def test_sync_callers_get_the_same(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.3
    reformulator = build(budget=0.1)
    found: list[Reformulation] = []

    def ask() -> None:
        found.append(reformulator.reformulate_sync(TEXT))

    clock.spawn("caller", ask)
    await clock.advance(0.0999)
    assert found == []
    await clock.advance(0.0001)
    assert found[0].reason is Reason.TIMEOUT
    assert found[0].timings.total == pytest.approx(0.1)
    await clock.advance(0.3)
    clock.spawn("caller", ask)
    await clock.settle()
    assert (found[1].source, found[1].query) == (Source.MEMO, f"lifted {TEXT}")


async def test_a_sync_caller_is_answered_as_soon_as_there_is_an_answer(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.02
    reformulator = build(budget=0.1)
    found: list[Reformulation] = []
    clock.spawn("caller", lambda: found.append(reformulator.reformulate_sync(TEXT)))
    await clock.advance(0.02)
    assert (found[0].outcome, found[0].source) == (Outcome.REWRITTEN, Source.ENGINE)
    assert found[0].timings.total == pytest.approx(0.02)


@pytest.mark.parametrize("budget", [0.0, -1.0, float("nan")])
def test_a_sync_caller_without_time_does_not_wait(
    build: Build, engine: ScriptedEngine, budget: float
) -> None:
    engine.delay = 1.0
    found = build().reformulate_sync(TEXT, budget=budget)
    assert (found.query, found.reason) == (TEXT, Reason.TIMEOUT)


def test_a_sync_caller_may_have_all_the_time(build: Build) -> None:
    assert build().reformulate_sync(TEXT, budget=float("inf")).outcome is Outcome.REWRITTEN
