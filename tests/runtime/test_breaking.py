"""The breaker in the decision path: a failing engine costs nothing and is tried again."""

from __future__ import annotations

import asyncio

import pytest

from middleware import Breaker, BreakerState, Outcome, Reason, Record, Reformulator
from middleware.testing import ManualClock, ScriptedEngine

from .conftest import Build
from .lookups import answered, distinct

pytestmark = pytest.mark.anyio


@pytest.fixture
def broken(clock: ManualClock) -> ScriptedEngine:
    """An engine that fails on everything until its script is changed."""
    return ScriptedEngine(lambda text: RuntimeError("broken"), clock=clock)


def breaker() -> Breaker:
    return Breaker(window=4, share=0.5, cooldown=5.0, max_cooldown=60.0)


async def fail(reformulator: Reformulator, count: int = 4) -> None:
    for text in distinct(count, behind="failure"):
        assert (await reformulator.reformulate(text)).reason is Reason.ENGINE_ERROR


async def test_it_opens_and_answers_without_the_engine(
    build: Build, clock: ManualClock, broken: ScriptedEngine
) -> None:
    reformulator = build(engine=broken, breaker=breaker())
    await fail(reformulator)
    assert reformulator.stats().breaker is BreakerState.OPEN
    for text in distinct(10):
        found = await reformulator.reformulate(text)
        assert (found.query, found.reason) == (text, Reason.BREAKER_OPEN)
        assert found.timings.total == 0
    assert len(broken.calls) == 4
    assert reformulator.stats().flights == 0


async def test_one_probe_brings_it_back(
    build: Build, clock: ManualClock, broken: ScriptedEngine
) -> None:
    reformulator = build(engine=broken, breaker=breaker())
    await fail(reformulator)
    await clock.advance(5.0)
    broken.script = {}
    broken.delay = 0.02
    probe, *others = [asyncio.create_task(reformulator.reformulate(text)) for text in distinct(5)]
    await clock.advance(0.02)
    assert probe.result().outcome is Outcome.UNCHANGED
    assert {task.result().reason for task in others} == {Reason.BREAKER_OPEN}
    assert reformulator.stats().breaker is BreakerState.CLOSED
    found = await answered(clock, 0.02, reformulator.reformulate("one more query"))
    assert found.outcome is Outcome.UNCHANGED


async def test_a_failed_probe_makes_the_rest_longer(
    build: Build, clock: ManualClock, broken: ScriptedEngine
) -> None:
    reformulator = build(engine=broken, breaker=breaker())
    await fail(reformulator)
    await clock.advance(5.0)
    assert (await reformulator.reformulate("a probing query")).reason is Reason.ENGINE_ERROR
    await clock.advance(9.9)
    assert (await reformulator.reformulate("another query")).reason is Reason.BREAKER_OPEN
    await clock.advance(0.1)
    assert (await reformulator.reformulate("another query")).reason is Reason.ENGINE_ERROR


async def test_what_waits_when_it_opens_is_let_go_and_does_not_lengthen_the_rest(
    build: Build, clock: ManualClock, broken: ScriptedEngine
) -> None:
    broken.delay = 0.02
    reformulator = build(engine=broken, breaker=breaker(), budget=1)
    first, *others = distinct(24)
    asked = [asyncio.create_task(reformulator.reformulate(first))]
    await clock.settle()
    asked += [asyncio.create_task(reformulator.reformulate(text)) for text in others]
    await clock.advance(0.2)
    assert broken.calls == [[first], others[:8], *([text] for text in others[:3])]
    reasons = [task.result().reason for task in asked]
    assert reasons.count(Reason.ENGINE_ERROR) == 4
    assert reasons.count(Reason.BREAKER_OPEN) == 20
    broken.script = {}
    await clock.advance(5.0)
    found = await answered(clock, 0.02, reformulator.reformulate("a probing query"))
    assert found.outcome is Outcome.UNCHANGED


@pytest.mark.parametrize("stored", [True, False])
async def test_a_probe_whose_caller_leaves_is_not_lost(
    build: Build, clock: ManualClock, broken: ScriptedEngine, stored: bool
) -> None:
    """Else the breaker would never let a call through again."""
    reformulator = build(engine=broken, breaker=breaker())
    await fail(reformulator)
    await clock.advance(5.0)
    broken.script = {}
    broken.delay = 0.2
    probe = asyncio.create_task(reformulator.reformulate("a probing query", stored=stored))
    await clock.advance(0.01)
    probe.cancel()
    await clock.advance(0.3)
    # One that was cut short says nothing of the engine.
    assert (reformulator.stats().breaker is BreakerState.CLOSED) is stored
    found = await answered(clock, 0.2, reformulator.reformulate("one more query", budget=1))
    assert found.outcome is Outcome.UNCHANGED


async def test_a_probe_that_is_closed_away_is_not_lost(
    build: Build, clock: ManualClock, broken: ScriptedEngine
) -> None:
    reformulator = build(engine=broken, breaker=breaker())
    await fail(reformulator)
    await clock.advance(5.0)
    broken.script = {}
    broken.delay = 0.05
    probe = asyncio.create_task(reformulator.reformulate("a probing query"))
    await clock.settle()
    closing = asyncio.create_task(asyncio.to_thread(reformulator.close))
    await probe
    await clock.advance(0.05)
    await closing
    found = await answered(clock, 0.1, reformulator.reformulate("one more query"))
    assert found.outcome is Outcome.UNCHANGED


async def test_shadow_calls_are_told_of_an_open_breaker(
    build: Build, broken: ScriptedEngine, records: list[Record]
) -> None:
    reformulator = build(engine=broken, breaker=breaker())
    await fail(reformulator)
    records.clear()
    found = await reformulator.reformulate("a shadowy query", mode="shadow")
    assert found.reason is Reason.SHADOW
    assert [record.reformulation.reason for record in records] == [Reason.BREAKER_OPEN]


async def test_the_memo_answers_while_it_is_open(build: Build, broken: ScriptedEngine) -> None:
    broken.script = {}
    reformulator = build(engine=broken, breaker=breaker())
    await reformulator.reformulate("a kept query")
    broken.script = lambda text: RuntimeError("broken")
    await fail(reformulator, 3)
    assert reformulator.stats().breaker is BreakerState.OPEN
    assert (await reformulator.reformulate("a kept query")).outcome is Outcome.UNCHANGED
