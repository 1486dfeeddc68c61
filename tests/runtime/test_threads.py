"""One reformulator shared by threads and event loops, on the machine's own clock.

Nothing here depends on how fast the machine is: budgets are far longer than any run.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from middleware import Limits, Memo, Outcome, Reformulation, Reformulator, Source
from middleware.testing import ScriptedEngine

from .lookups import distinct

THREADS = 8


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine(lambda text: f"lifted {text}")


@pytest.fixture
def shared(engine: ScriptedEngine) -> Iterator[Reformulator]:
    with Reformulator(engine, budget=30, limits=Limits(foreground=1000)) as reformulator:
        yield reformulator
    assert reformulator.stats().flights == 0
    assert not any(thread.name == "querylift-engine" for thread in threading.enumerate())


def in_threads(work: Callable[[int], list[Reformulation]]) -> list[Reformulation]:
    """Run the work in eight threads that begin at the same moment."""
    gate = threading.Barrier(THREADS)

    def begin(number: int) -> list[Reformulation]:
        gate.wait(10)
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return [found for each in pool.map(begin, range(THREADS)) for found in each]


def test_threads_share(shared: Reformulator, engine: ScriptedEngine) -> None:
    texts = distinct(100)
    found = in_threads(lambda number: [shared.reformulate_sync(text) for text in texts])
    assert {r.outcome for r in found} == {Outcome.REWRITTEN}
    assert all(r.query == f"lifted {r.original}" for r in found)
    assert sorted(text for call in engine.calls for text in call) == sorted(texts)


def test_event_loops_share(shared: Reformulator, engine: ScriptedEngine) -> None:
    texts = distinct(100)

    def work(number: int) -> list[Reformulation]:
        async def ask() -> list[Reformulation]:
            return list(await asyncio.gather(*(shared.reformulate(text) for text in texts)))

        return asyncio.run(ask())

    found = in_threads(work)
    assert {r.outcome for r in found} == {Outcome.REWRITTEN}
    assert all(r.query == f"lifted {r.original}" for r in found)
    assert sorted(text for call in engine.calls for text in call) == sorted(texts)


def test_loops_and_threads_mix(shared: Reformulator, engine: ScriptedEngine) -> None:
    texts = distinct(60)

    def work(number: int) -> list[Reformulation]:
        async def ask() -> list[Reformulation]:
            return list(await asyncio.gather(*(shared.reformulate(text) for text in texts)))

        if number % 2:
            return [shared.reformulate_sync(text) for text in texts]
        return asyncio.run(ask())

    found = in_threads(work)
    assert {r.outcome for r in found} == {Outcome.REWRITTEN}
    assert sorted(text for call in engine.calls for text in call) == sorted(texts)


def test_a_loop_that_ends_while_its_caller_waits_harms_no_other(
    shared: Reformulator, engine: ScriptedEngine
) -> None:
    text = "warm winter jacket"
    running, go_on = threading.Event(), threading.Event()

    def script(asked: str) -> str:
        running.set()
        assert go_on.wait(30)
        return f"lifted {asked}"

    engine.script = script

    def leave() -> None:
        loop = asyncio.new_event_loop()
        task = loop.create_task(shared.reformulate(text))
        loop.run_until_complete(asyncio.sleep(0))
        assert running.wait(30)
        task.cancel()
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        loop.close()

    leaver = threading.Thread(target=leave)
    leaver.start()
    assert running.wait(30)
    with ThreadPoolExecutor(1) as pool:
        stays = pool.submit(shared.reformulate_sync, text)
        leaver.join(30)
        go_on.set()
        assert stays.result(30).query == f"lifted {text}"


def test_a_loop_that_is_closed_under_its_caller_harms_no_other(
    shared: Reformulator, engine: ScriptedEngine
) -> None:
    """The wake for a caller whose loop is gone fails, and the next ones are still called."""
    running, go_on = threading.Event(), threading.Event()

    def script(asked: str) -> str:
        running.set()
        assert go_on.wait(30)
        return f"lifted {asked}"

    engine.script = script
    loop = asyncio.new_event_loop()
    abandoned = shared.reformulate("warm winter jacket")
    step = loop.create_task(abandoned)
    loop.run_until_complete(asyncio.sleep(0))
    assert running.wait(30)
    loop.close()
    with ThreadPoolExecutor(1) as pool:
        stays = pool.submit(shared.reformulate_sync, "warm winter jacket")
        go_on.set()
        found = stays.result(30)
    assert found.source in {Source.SHARED, Source.MEMO, Source.ENGINE}
    assert found.query == "lifted warm winter jacket"
    abandoned.close()
    step._log_destroy_pending = False  # type: ignore[attr-defined]


def test_threads_on_a_memo_that_is_too_small(engine: ScriptedEngine) -> None:
    """Entries go all the time; no caller notices anything but a miss."""
    texts = distinct(50)
    memo = Memo(max_entries=5)
    with Reformulator(engine, budget=30, memo=memo, limits=Limits(foreground=1000)) as reformulator:
        found = in_threads(
            lambda number: [reformulator.reformulate_sync(text) for text in texts * 3]
        )
    assert {r.outcome for r in found} == {Outcome.REWRITTEN}
    assert len(memo) <= 5


def test_closing_and_asking_at_the_same_time(engine: ScriptedEngine) -> None:
    """Each caller gets an answer, whatever moment the reformulator is closed at."""
    reformulator = Reformulator(engine, budget=30, limits=Limits(foreground=1000))
    texts = distinct(100)

    def work(number: int) -> list[Reformulation]:
        found = []
        for index, text in enumerate(texts):
            found.append(reformulator.reformulate_sync(text, cached=index % 2 == 0))
            if number == 0 and index % 10 == 0:
                reformulator.close()
        return found

    found = in_threads(work)
    reformulator.close()
    assert len(found) == THREADS * len(texts)
    assert {r.query == f"lifted {r.original}" for r in found} >= {True}
    assert all(r.query in {r.original, f"lifted {r.original}"} for r in found)
    assert reformulator.stats().flights == 0
