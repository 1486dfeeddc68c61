"""Modes, scopes, what the memo is asked and given, and who is told."""

from __future__ import annotations

import asyncio

import pytest

from middleware import (
    Acceptance,
    ConfigurationError,
    Limits,
    Memo,
    Mode,
    Outcome,
    Policy,
    Reason,
    Record,
    Source,
)
from middleware.testing import ManualClock, ScriptedEngine

from .conftest import Build
from .lookups import answered

pytestmark = pytest.mark.anyio

TEXT = "warm winter jacket"


async def test_off_does_nothing_at_all(
    build: Build, engine: ScriptedEngine, records: list[Record]
) -> None:
    found = await build(mode="off").reformulate(TEXT)
    assert (found.query, found.outcome, found.reason) == (TEXT, Outcome.SKIPPED, Reason.DISABLED)
    assert engine.calls == []
    assert [record.reformulation for record in records] == [found]


async def test_expand_adds_to_the_original(build: Build, clock: ManualClock) -> None:
    engine = ScriptedEngine({TEXT: "winter coat parka"}, clock=clock)
    reformulator = build(engine=engine, policy=Policy(acceptance=Acceptance(max_new=1.0)))
    found = await reformulator.reformulate(TEXT, mode="expand")
    assert (found.query, found.added) == (f"{TEXT} coat parka", ("coat", "parka"))
    again = await reformulator.reformulate(TEXT, mode=Mode.EXPAND)
    assert (again.query, again.source) == (found.query, Source.MEMO)
    # The same answer loses too much in the original's place: modes do not share.
    other = await reformulator.reformulate(TEXT)
    assert other.reason is Reason.REJECTED_DRIFT
    assert len(engine.calls) == 2


async def test_expand_with_nothing_new_is_unchanged(build: Build, clock: ManualClock) -> None:
    engine = ScriptedEngine({TEXT: "winter jacket"}, clock=clock)
    found = await build(engine=engine, mode="expand").reformulate(TEXT)
    assert (found.query, found.outcome, found.added) == (TEXT, Outcome.UNCHANGED, ())


async def test_a_mode_that_is_none_is_the_programmers_fault(build: Build) -> None:
    with pytest.raises(ConfigurationError, match="replace, expand, shadow, off"):
        build(mode="bold")


# --- Shadow ---


async def test_shadow_sends_the_original_at_once_and_tells_what_would_have_been(
    build: Build, clock: ManualClock, engine: ScriptedEngine, records: list[Record]
) -> None:
    engine.delay = 0.05
    reformulator = build(mode="shadow")
    found = await reformulator.reformulate(TEXT)
    assert (found.query, found.outcome, found.reason) == (TEXT, Outcome.SKIPPED, Reason.SHADOW)
    assert found.timings.total == 0
    assert records == []
    await clock.advance(0.05)
    [record] = records
    assert record.mode is Mode.SHADOW
    assert record.engine == "scripted"
    assert record.reformulation.query == f"lifted {TEXT}"
    assert record.reformulation.outcome is Outcome.REWRITTEN
    assert record.reformulation.timings.total == pytest.approx(0.05)

    again = await reformulator.reformulate(TEXT)
    assert (again.query, again.reason) == (TEXT, Reason.SHADOW)
    assert records[1].reformulation.source is Source.MEMO
    # What shadow mode has found out serves replace mode.
    used = await reformulator.reformulate(TEXT, mode="replace")
    assert (used.query, used.source) == (f"lifted {TEXT}", Source.MEMO)


async def test_shadow_by_sync_call(build: Build, records: list[Record]) -> None:
    found = build(mode="shadow").reformulate_sync(TEXT)
    assert (found.query, found.reason) == (TEXT, Reason.SHADOW)


@pytest.mark.parametrize(("late_fill", "stored"), [(False, True), (True, False)])
async def test_shadow_is_recorded_where_nothing_is_kept(
    build: Build,
    clock: ManualClock,
    engine: ScriptedEngine,
    records: list[Record],
    late_fill: bool,
    stored: bool,
) -> None:
    engine.delay = 0.05
    await build(mode="shadow", limits=Limits(late_fill=late_fill)).reformulate(TEXT, stored=stored)
    await clock.advance(0.05)
    assert [record.reformulation.query for record in records] == [f"lifted {TEXT}"]


async def test_shadow_watches_a_flight_of_others_and_others_join_its_own(
    build: Build, clock: ManualClock, engine: ScriptedEngine, records: list[Record]
) -> None:
    engine.delay = 0.05
    reformulator = build()
    used = asyncio.create_task(reformulator.reformulate(TEXT))
    await clock.settle()
    await reformulator.reformulate(TEXT, mode="shadow")
    await reformulator.reformulate("thin jacket", mode="shadow")
    joined = asyncio.create_task(reformulator.reformulate("thin jacket", budget=1))
    await clock.advance(0.1)
    assert used.result().outcome is joined.result().outcome is Outcome.REWRITTEN
    assert engine.calls == [[TEXT], ["thin jacket"]]
    told = sorted((r.mode.value, r.reformulation.original) for r in records)
    assert told == [
        ("replace", "thin jacket"),
        ("replace", TEXT),
        ("shadow", "thin jacket"),
        ("shadow", TEXT),
    ]


async def test_every_shadow_call_is_told_once_however_it_ends(
    build: Build, clock: ManualClock, engine: ScriptedEngine, records: list[Record]
) -> None:
    engine.delay = 0.1
    reformulator = build(mode="shadow", limits=Limits(background=2))
    texts = ["first query", "second query", "third query", "fourth query", "title:skipped"]
    for text in texts:
        await reformulator.reformulate(text)
        await clock.settle()
    assert {r.reformulation.reason for r in records} == {Reason.OVERLOADED, Reason.SYNTAX}
    await clock.advance(1)
    assert sorted(r.reformulation.original for r in records) == sorted(texts)
    await reformulator.reformulate("fifth query")
    reformulator.close()
    assert len(records) == 6


# --- Scope, memo ---


async def test_scopes_do_not_share(build: Build, engine: ScriptedEngine) -> None:
    reformulator = build()
    for scope in ("", "tenant a", "tenant b"):
        found = await reformulator.reformulate(TEXT, scope=scope)
        assert found.source is Source.ENGINE
    assert (await reformulator.reformulate(TEXT, scope="tenant a")).source is Source.MEMO
    assert len(engine.calls) == 3


async def test_scopes_do_not_share_a_flight_either(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.02
    reformulator = build()
    asked = [
        asyncio.create_task(reformulator.reformulate(TEXT, scope=scope)) for scope in ("a", "b")
    ]
    await clock.advance(0.1)
    assert [task.result().source for task in asked] == [Source.ENGINE] * 2
    assert [text for call in engine.calls for text in call] == [TEXT, TEXT]


async def test_other_weights_or_policies_do_not_share_a_memo(
    build: Build, clock: ManualClock
) -> None:
    memo = Memo()
    engines = [ScriptedEngine(clock=clock, revision=revision) for revision in ("1", "2")]
    for engine in engines:
        assert (await build(engine=engine, memo=memo).reformulate(TEXT)).source is Source.ENGINE
    same = ScriptedEngine(clock=clock, revision="1")
    strict = build(engine=same, memo=memo, policy=Policy(acceptance=Acceptance(max_new=0.1)))
    assert (await strict.reformulate(TEXT)).source is Source.ENGINE
    assert (await build(engine=engines[0], memo=memo).reformulate(TEXT)).source is Source.MEMO


async def test_uncached_asks_the_engine_again_and_renews_the_memo(
    build: Build, engine: ScriptedEngine
) -> None:
    reformulator = build()
    await reformulator.reformulate(TEXT)
    engine.script = lambda text: f"raised {text}"
    found = await reformulator.reformulate(TEXT, cached=False)
    assert (found.query, found.source) == (f"raised {TEXT}", Source.ENGINE)
    again = await reformulator.reformulate(TEXT)
    assert (again.query, again.source) == (f"raised {TEXT}", Source.MEMO)


async def test_unstored_leaves_no_trace(build: Build, engine: ScriptedEngine) -> None:
    reformulator = build()
    for _ in range(2):
        found = await reformulator.reformulate(TEXT, stored=False)
        assert (found.outcome, found.source) == (Outcome.REWRITTEN, Source.ENGINE)
    assert len(reformulator.memo) == 0
    await reformulator.reformulate(TEXT)
    assert (await reformulator.reformulate(TEXT, stored=False)).source is Source.MEMO


async def test_one_who_may_store_is_enough(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.02
    reformulator = build()
    asked = [
        asyncio.create_task(reformulator.reformulate(TEXT, stored=stored))
        for stored in (False, True, False)
    ]
    await clock.advance(0.02)
    assert all(task.done() for task in asked)
    assert len(reformulator.memo) == 1


async def test_what_has_expired_is_asked_for_again(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    reformulator = build(memo=Memo(ttl=10))
    await reformulator.reformulate(TEXT)
    await clock.advance(9.9)
    assert (await reformulator.reformulate(TEXT)).source is Source.MEMO
    await clock.advance(0.1)
    assert (await reformulator.reformulate(TEXT)).source is Source.ENGINE
    assert len(engine.calls) == 2


# --- Observers ---


async def test_each_decision_is_told_once(
    build: Build, clock: ManualClock, engine: ScriptedEngine, records: list[Record]
) -> None:
    engine.delay = 0.2
    reformulator = build()
    told = [
        await answered(clock, 0.2, reformulator.reformulate(TEXT)),  # timeout
        await reformulator.reformulate(TEXT),  # memo
        await reformulator.reformulate("title:jacket"),  # admission
        await reformulator.reformulate("thin jacket"),  # predicted late
        reformulator.reformulate_sync(TEXT, mode="off"),
    ]
    assert [record.reformulation for record in records] == told
    assert {record.mode for record in records} == {Mode.REPLACE, Mode.OFF}


async def test_an_observer_that_raises_harms_nobody(
    build: Build, records: list[Record], caplog: pytest.LogCaptureFixture
) -> None:
    def broken(record: Record) -> None:
        raise RuntimeError("broken observer")

    reformulator = build(observers=[broken, records.append])
    found = await reformulator.reformulate(TEXT)
    await reformulator.reformulate(TEXT, mode="shadow")
    assert found.outcome is Outcome.REWRITTEN
    assert len(records) == 2
    assert "broken observer" in caplog.text


async def test_an_observer_may_ask_the_reformulator(build: Build) -> None:
    """No lock is held while observers are told."""
    seen = []

    def observer(record: Record) -> None:
        seen.append(reformulator.stats().flights)
        if record.reformulation.original == TEXT:
            reformulator.reformulate_sync("thin jacket", budget=0)

    reformulator = build(observers=[observer])
    await reformulator.reformulate(TEXT)
    assert len(seen) == 2
