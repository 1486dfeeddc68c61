"""Single flight: equal texts at once are one engine call, and each caller keeps its own time."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from middleware import (
    Deadline,
    Limits,
    MemoKey,
    Mode,
    Outcome,
    PendingLookup,
    Reason,
    Source,
    Verdict,
)
from middleware.runtime.flights import Flight, FlightResult, SingleFlight
from middleware.testing import ManualClock, ScriptedEngine

from .conftest import Build
from .lookups import answered

pytestmark = pytest.mark.anyio

TEXT = "quiet kitchen fan"


async def test_fifty_at_once_are_one_call(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.05
    reformulator = build()
    asked = [asyncio.create_task(reformulator.reformulate(TEXT)) for _ in range(50)]
    await clock.advance(0.05)
    found = [task.result() for task in asked]
    assert engine.calls == [[TEXT]]
    assert {(r.outcome, r.query) for r in found} == {(Outcome.REWRITTEN, f"lifted {TEXT}")}
    assert Counter(r.source for r in found) == {Source.ENGINE: 1, Source.SHARED: 49}


async def test_texts_that_are_equal_to_the_model_share_too(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.05
    reformulator = build()
    texts = ["café chairs", "  café   chairs ", "cafe\u0301 chairs"]
    asked = [asyncio.create_task(reformulator.reformulate(text)) for text in texts]
    await clock.advance(0.05)
    assert engine.calls == [["café chairs"]]
    assert [task.result().original for task in asked] == texts


async def test_the_first_caller_leaving_does_not_harm_the_others(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.05
    reformulator = build(limits=Limits(late_fill=False))  # so that it is they who keep it going
    first = asyncio.create_task(reformulator.reformulate(TEXT, stored=False))
    await clock.settle()
    others = [asyncio.create_task(reformulator.reformulate(TEXT)) for _ in range(49)]
    await clock.advance(0.02)
    first.cancel()
    await clock.advance(0.03)
    assert first.cancelled()
    assert [task.result().outcome for task in others] == [Outcome.REWRITTEN] * 49
    assert engine.calls == [[TEXT]]


async def test_each_follower_keeps_its_own_deadline(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.5
    reformulator = build()
    start = clock.now()
    ended: dict[float, tuple[float, Reason | None]] = {}

    async def ask(budget: float) -> None:
        found = await reformulator.reformulate(TEXT, budget=budget)
        ended[budget] = (round(clock.now() - start, 6), found.reason)

    tasks = [asyncio.create_task(ask(budget)) for budget in (0.3, 0.1, 1.0, 0.2)]
    await clock.advance(1)
    assert ended == {
        0.1: (0.1, Reason.TIMEOUT),
        0.2: (0.2, Reason.TIMEOUT),
        0.3: (0.3, Reason.TIMEOUT),
        1.0: (0.5, None),
    }
    assert engine.calls == [[TEXT]]
    assert all(task.done() for task in tasks)


async def test_a_follower_with_more_time_keeps_a_flight_from_being_dropped(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.5
    reformulator = build(limits=Limits(late_fill=False))
    short = asyncio.create_task(reformulator.reformulate(TEXT, budget=0.1))
    await clock.advance(0.05)
    patient = asyncio.create_task(reformulator.reformulate(TEXT, budget=1.0))
    await clock.advance(0.45)
    assert short.result().reason is Reason.TIMEOUT
    assert patient.result().outcome is Outcome.REWRITTEN


async def test_a_follower_who_could_not_be_served_is_told_at_once(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.3
    reformulator = build(budget=1)
    await answered(clock, 0.3, reformulator.reformulate("warm-up text here"))
    leader = asyncio.create_task(reformulator.reformulate(TEXT))
    await clock.advance(0.1)
    follower = await reformulator.reformulate(TEXT, budget=0.1)  # .2 s are to go
    assert follower.reason is Reason.PREDICTED_LATE
    assert follower.timings.total == 0
    await clock.advance(0.2)
    assert leader.result().outcome is Outcome.REWRITTEN


async def test_a_verdict_that_comes_between_the_memo_and_the_queue_is_found(
    build: Build, engine: ScriptedEngine, clock: ManualClock
) -> None:
    """The memo misses, the flight closes, and only then the lookup is queued."""
    engine.delay = 0.05
    reformulator = build()
    leader = asyncio.create_task(reformulator.reformulate(TEXT))
    await clock.settle()
    pending = reformulator.look_up(TEXT)
    uncached = reformulator.look_up(TEXT, cached=False)
    assert isinstance(pending, PendingLookup)
    assert isinstance(uncached, PendingLookup)
    await clock.advance(0.05)
    assert leader.done()
    found = await reformulator.resolve(pending)
    assert (found.query, found.source) == (f"lifted {TEXT}", Source.SHARED)
    assert engine.calls == [[TEXT]]
    fresh = await answered(clock, 0.05, reformulator.resolve(uncached))
    assert fresh.source is Source.ENGINE
    assert engine.calls == [[TEXT], [TEXT]]


# --- The parts ---


def flight(text: str = TEXT) -> Flight:
    return Flight(MemoKey(text, "e", "p", Mode.REPLACE, ""), text, 5, 0.0)


def test_a_flight_is_open_until_it_is_closed_and_tells_each_once() -> None:
    flights, one = SingleFlight(), flight()
    flights.open(one)
    assert flights.get(one.key) is one
    told: list[str] = []
    one.waiters[1] = (Deadline(1.0), lambda result: told.append("waiter"))
    one.shadows.append(lambda result: told.append("watcher"))
    result = FlightResult(Verdict())
    wakes = flights.close(one, result)
    for wake, given in wakes:
        assert given is result
        wake(given)
    assert told == ["waiter", "watcher"]
    assert flights.close(one, result) == []
    assert (len(flights), one.closed, one.waiters, one.shadows) == (0, True, {}, [])


def test_verdicts_of_closed_flights_are_found_by_lookups_that_began_before() -> None:
    flights, verdict = SingleFlight(), Verdict("lifted")
    before = flights.closed
    for text in ("first", TEXT, "last"):
        one = flight(text)
        flights.open(one)
        flights.close(one, FlightResult(verdict if text == TEXT else None))
    assert flights.verdict_since(flight().key, before) is verdict
    assert flights.verdict_since(flight().key, flights.closed) is None
    assert flights.verdict_since(flight("first").key, before) is None


def test_closing_an_old_flight_again_leaves_a_new_one_of_its_key_alone() -> None:
    flights, old, new = SingleFlight(), flight(), flight()
    flights.open(old)
    flights.close(old, FlightResult())
    flights.open(new)
    assert flights.close(old, FlightResult()) == []
    assert flights.get(new.key) is new


def test_releasing_lets_the_waiters_go_and_keeps_the_watchers() -> None:
    flights, one = SingleFlight(), flight()
    flights.open(one)
    one.waiters[1] = (Deadline(1.0), lambda result: None)
    one.shadows.append(lambda result: None)
    assert len(flights.release(one, FlightResult(reason=Reason.PREDICTED_LATE))) == 1
    assert flights.get(one.key) is one
    assert (len(one.waiters), len(one.shadows)) == (0, 1)


def test_a_flight_is_awaited_until_its_last_deadline() -> None:
    one = flight()
    assert not one.has_waiters(-1e9)
    one.waiters[1] = (Deadline(1.0), lambda result: None)
    one.waiters[2] = (Deadline(3.0), lambda result: None)
    assert one.deadline() == Deadline(3.0)
    assert one.has_waiters(2.9)
    assert not one.has_waiters(3.0)


def test_one_caller_who_lets_it_be_stored_is_enough() -> None:
    one = flight()
    one.allow_storing(False, late_fill=True)
    assert (one.stored, one.fills_memo, one.worth_running) == (False, False, False)
    one.allow_storing(True, late_fill=True)
    one.allow_storing(False, late_fill=True)
    assert (one.stored, one.fills_memo, one.worth_running) == (True, True, True)
    one.allow_storing(True, late_fill=False)
    assert (one.stored, one.fills_memo) == (True, False)
