"""Starting, loading, closing, starting again, and forking."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from typing import Any

import pytest

from middleware import (
    ConfigurationError,
    EngineError,
    ModelError,
    Outcome,
    Reason,
    Reformulation,
    Reformulator,
    Source,
)
from middleware.runtime.scheduler import Scheduler
from middleware.testing import ManualClock, ScriptedEngine

from .conftest import Build
from .lookups import answered

pytestmark = pytest.mark.anyio

TEXT = "warm winter jacket"


class LoadingEngine(ScriptedEngine):
    """An engine that takes 3 seconds to load, and fails as often as it is told to."""

    failures: list[BaseException]
    loads = 0

    def __init__(self, clock: ManualClock | None = None, *failures: BaseException) -> None:
        super().__init__(lambda text: f"lifted {text}", clock=clock)
        self.failures = list(failures)

    def load(self) -> None:
        self.loads += 1
        if self.clock is not None:
            self.clock.sleep(3)
        if self.failures:
            raise self.failures.pop(0)


async def test_texts_pass_until_the_engine_is_loaded(build: Build, clock: ManualClock) -> None:
    engine = LoadingEngine(clock)
    reformulator = build(engine=engine)
    for _ in range(3):
        found = await reformulator.reformulate(TEXT)
        assert (found.query, found.reason) == (TEXT, Reason.NOT_READY)
        assert not reformulator.ready
        await clock.advance(0.9)
    assert reformulator.reformulate_sync(TEXT).reason is Reason.NOT_READY
    await clock.advance(0.3)
    assert reformulator.ready
    assert (await reformulator.reformulate(TEXT)).outcome is Outcome.REWRITTEN
    assert engine.loads == 1


async def test_before_that_admission_and_the_memo_answer_as_ever(
    build: Build, clock: ManualClock
) -> None:
    first = build(engine=LoadingEngine(clock))
    first.start()
    await clock.advance(3)
    await first.reformulate(TEXT)
    second = build(engine=LoadingEngine(clock), memo=first.memo)
    assert (await second.reformulate(TEXT)).source is Source.MEMO
    assert (await second.reformulate("title:jacket")).reason is Reason.SYNTAX


async def test_starting_twice_is_starting_once(build: Build, clock: ManualClock) -> None:
    engine = LoadingEngine(clock)
    reformulator = build(engine=engine)
    reformulator.start()
    reformulator.start()
    await clock.advance(3)
    assert engine.loads == 1


@pytest.mark.parametrize("fault", [OSError("no such file"), ModelError("no T5"), SystemExit(1)])
async def test_an_engine_that_cannot_be_loaded_stays_out(
    build: Build, clock: ManualClock, fault: BaseException
) -> None:
    engine = LoadingEngine(clock, fault)
    reformulator = build(engine=engine)
    await reformulator.reformulate(TEXT)
    await clock.advance(3)
    for _ in range(3):
        found = await reformulator.reformulate(TEXT)
        assert (found.query, found.reason) == (TEXT, Reason.NOT_READY)
    assert engine.loads == 1
    assert not reformulator.ready
    assert reformulator.stats().failure == str(fault)


async def test_after_closing_it_may_be_tried_again(build: Build, clock: ManualClock) -> None:
    engine = LoadingEngine(clock, OSError("disk asleep"))
    reformulator = build(engine=engine)
    reformulator.start()
    await clock.advance(3)
    assert reformulator.stats().failure is not None
    reformulator.close()
    reformulator.start()
    await clock.advance(3)
    assert reformulator.ready
    assert reformulator.stats().failure is None
    assert (await reformulator.reformulate(TEXT)).outcome is Outcome.REWRITTEN


async def test_waiting_for_it_has_an_end(build: Build, clock: ManualClock) -> None:
    reformulator = build(engine=LoadingEngine(clock))
    ended: list[BaseException | None] = []

    def wait(seconds: float) -> None:
        try:
            reformulator.wait_ready(seconds)
        except EngineError as error:
            ended.append(error)
        else:
            ended.append(None)

    clock.spawn("impatient", lambda: wait(2))
    clock.spawn("patient", lambda: wait(4))
    await clock.advance(1.9)
    assert ended == []
    await clock.advance(0.1)
    assert [str(error) for error in ended] == ["engine scripted did not load in 2 s"]
    await clock.advance(1)
    assert ended[1:] == [None]


def test_with_waits_until_it_is_ready_and_closes() -> None:
    before = threading.active_count()
    engine = LoadingEngine()
    with Reformulator(engine, budget=30) as reformulator:
        assert reformulator.ready
        assert reformulator.reformulate_sync(TEXT).outcome is Outcome.REWRITTEN
    assert threading.active_count() == before


async def test_async_with_waits_until_it_is_ready_and_closes() -> None:
    async with Reformulator(LoadingEngine(), budget=30) as reformulator:
        assert reformulator.ready
        assert (await reformulator.reformulate(TEXT)).outcome is Outcome.REWRITTEN
    assert not any(t.name == "querylift-engine" for t in threading.enumerate())


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (OSError("no such file"), "engine scripted cannot be started: no such file"),
        (ModelError("no T5"), "no T5"),
    ],
)
async def test_both_raise_where_it_cannot_be_loaded(fault: Exception, said: str) -> None:
    with pytest.raises(EngineError) as caught, Reformulator(LoadingEngine(None, fault)):
        raise AssertionError("entered")
    assert str(caught.value) == said
    with pytest.raises(EngineError) as caught:
        async with Reformulator(LoadingEngine(None, fault)):
            raise AssertionError("entered")
    assert str(caught.value) == said
    assert not any(t.name == "querylift-engine" for t in threading.enumerate())


@pytest.mark.slow  # closing waits for the load, which stands still on this clock
async def test_with_waits_for_the_load_timeout_at_most(clock: ManualClock) -> None:
    entered: list[str] = []

    def enter(reformulator: Reformulator) -> None:
        try:
            with reformulator:
                entered.append("ready" if reformulator.ready else "degraded")
        except EngineError as error:
            entered.append(str(error))

    for options in ({}, {"allow_degraded_start": True}):
        engine = LoadingEngine(clock)
        reformulator = Reformulator(engine, load_timeout=2.0, clock=clock, **options)  # type: ignore[arg-type]
        clock.spawn("entering", lambda entering=reformulator: enter(entering))  # type: ignore[misc]
        await clock.advance(4)
    assert entered == ["engine scripted did not load in 2.0 s", "degraded"]
    with pytest.raises(ConfigurationError, match="load_timeout"):
        Reformulator(ScriptedEngine(), load_timeout=0)


async def test_async_with_waits_for_the_load_timeout_at_most(
    build: Build, clock: ManualClock
) -> None:
    reformulator = build(engine=LoadingEngine(clock), load_timeout=2.0)
    entering = asyncio.create_task(reformulator.__aenter__())
    await clock.settle()
    while not entering.done():
        await clock.advance(0.5)
    with pytest.raises(EngineError, match=r"did not load in 2.0 s"):
        await entering
    await clock.advance(3)


async def test_a_cancelled_async_with_leaves_nothing_behind(
    build: Build, clock: ManualClock
) -> None:
    """Not even the thread that waits; the one that loads ends with the load."""
    before = {thread.name for thread in threading.enumerate()}
    engine = LoadingEngine(clock)
    reformulator = build(engine=engine)
    entering = asyncio.create_task(reformulator.__aenter__())
    await clock.settle()
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(entering, 5)  # the clock stands still
    await clock.advance(3)
    assert not reformulator.ready or engine.loads == 1
    left = {thread.name for thread in threading.enumerate()} - before
    assert not {name for name in left if name.startswith("querylift")}
    async with reformulator:  # may be started again
        assert (await reformulator.reformulate(TEXT)).outcome is Outcome.REWRITTEN
    assert engine.loads == 1


async def test_a_degraded_start_goes_on_without_the_engine(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for failing in (ModelError("no T5"), OSError("no such file")):
        engine = LoadingEngine(None, failing)
        async with Reformulator(engine, allow_degraded_start=True) as reformulator:
            assert (await reformulator.reformulate(TEXT)).reason is Reason.NOT_READY
        assert str(failing) in caplog.text


# --- Closing ---


async def test_closing_lets_all_go_at_once_even_while_the_engine_runs(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay, engine.steps = 50.0, 1  # nothing can stop it
    reformulator = build(budget=59)
    running = asyncio.create_task(reformulator.reformulate(TEXT))
    await clock.settle()
    waiting = asyncio.create_task(reformulator.reformulate("thin jacket"))
    found: list[Reformulation] = []
    sync = clock.spawn("sync", lambda: found.append(reformulator.reformulate_sync(TEXT)))
    await clock.settle()
    closing = asyncio.create_task(asyncio.to_thread(reformulator.close))
    for task in (running, waiting):
        ended = await task  # the clock stands still
        assert (ended.query, ended.outcome) == (ended.original, Outcome.FALLBACK)
    await asyncio.to_thread(sync.join, 5)
    assert found[0].query == TEXT
    assert not closing.done()
    await clock.advance(50)
    await closing
    assert reformulator.stats().flights == 0


async def test_after_closing_a_call_starts_it_again(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    reformulator = build()
    for turn in range(3):
        found = await reformulator.reformulate(f"{TEXT} {'abc'[turn]}lue")
        assert (found.outcome, found.source) == (Outcome.REWRITTEN, Source.ENGINE)
        reformulator.close()
        reformulator.close()
    assert (await reformulator.reformulate(f"{TEXT} alue")).source is Source.MEMO


async def test_a_loaded_engine_is_not_loaded_again(build: Build, clock: ManualClock) -> None:
    engine = LoadingEngine(clock)
    reformulator = build(engine=engine)
    reformulator.start()
    await clock.advance(3)
    reformulator.close()
    assert (await reformulator.reformulate(TEXT)).outcome is Outcome.REWRITTEN
    assert engine.loads == 1


async def test_the_engine_is_never_called_twice_at_once(build: Build, clock: ManualClock) -> None:
    """A call that outlasts a close goes on while the reformulator is started again."""
    at_once = [0, 0]

    class Counting(ScriptedEngine):
        def generate(self, texts: Any, cancelled: Any) -> Any:
            at_once[0] += 1
            at_once[1] = max(at_once)
            try:
                return super().generate(texts, cancelled)
            finally:
                at_once[0] -= 1

    engine = Counting(lambda text: f"lifted {text}", delay=10, steps=1, clock=clock)
    reformulator = build(engine=engine, budget=50)
    left = asyncio.create_task(reformulator.reformulate(TEXT))
    await clock.settle()
    reformulator.close(timeout=0.0)
    assert (await left).outcome is Outcome.FALLBACK
    again = asyncio.create_task(reformulator.reformulate(TEXT))
    other = asyncio.create_task(reformulator.reformulate("thin jacket"))
    await clock.advance(9)
    assert engine.calls == [[TEXT]]
    await clock.advance(21)
    assert at_once == [0, 1]
    assert again.result().outcome is other.result().outcome is Outcome.REWRITTEN
    await clock.settle()
    assert sum(t.name == "querylift-engine" for t in threading.enumerate()) == 1


async def test_an_engine_that_was_cut_off_by_closing_leaves_no_flight(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    """It gives way after the thread was replaced; what it ran had been closed with the rest."""
    engine.delay = 10
    reformulator = build(budget=50)
    left = asyncio.create_task(reformulator.reformulate(TEXT))
    await clock.settle()
    reformulator.close(timeout=0.0)
    await left
    engine.delay = 0
    again = await answered(clock, 2, reformulator.reformulate("thin jacket"))
    assert again.outcome is Outcome.REWRITTEN
    assert engine.calls == [[TEXT], ["thin jacket"]]
    assert reformulator.stats().flights == 0


async def test_a_fault_of_the_runtime_does_not_end_its_thread(
    build: Build, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    reformulator = build()
    assert (await reformulator.reformulate(TEXT)).outcome is Outcome.REWRITTEN

    def broken(*given: object, **named: object) -> None:
        raise RuntimeError("a fault of our own")

    with monkeypatch.context() as patch:
        patch.setattr(Scheduler, "next_batch", broken)
        found = await reformulator.reformulate("thin jacket")
        assert (found.query, found.outcome) == ("thin jacket", Outcome.FALLBACK)
    assert (await reformulator.reformulate("thin jacket")).outcome is Outcome.REWRITTEN


async def test_a_thread_that_cannot_be_started_is_a_fallback(
    build: Build, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    reformulator = build()

    def exhausted(name: str, target: object) -> threading.Thread:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(clock, "spawn", exhausted)
        for _ in range(3):
            found = await reformulator.reformulate(TEXT)
            assert (found.query, found.reason) == (TEXT, Reason.ENGINE_ERROR)
        assert reformulator.stats().flights == 0
    assert (await reformulator.reformulate(TEXT)).outcome is Outcome.REWRITTEN


def test_one_that_is_forgotten_after_closing_is_freed() -> None:
    reformulator = Reformulator(ScriptedEngine(), budget=30)
    with reformulator:
        reformulator.reformulate_sync(TEXT)
    gone = weakref.ref(reformulator)
    del reformulator
    gc.collect()
    assert gone() is None
