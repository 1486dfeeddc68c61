"""The clock and the engine that tests are written with."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from middleware import Cancelled, ConfigurationError, Truncated
from middleware.runtime.clock import SystemClock
from middleware.testing import ManualClock, ScriptedEngine

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def never(index: int) -> bool:
    return False


async def test_time_passes_only_when_told(clock: ManualClock) -> None:
    before = clock.now()
    await asyncio.sleep(0)
    assert clock.now() == before
    await clock.advance(2.5)
    assert clock.now() == before + 2.5


async def test_timers_fire_at_their_time_in_order(clock: ManualClock) -> None:
    fired: list[tuple[str, float]] = []
    start = clock.now()
    for name, after in (("late", 3.0), ("early", 1.0), ("off", 2.0)):
        timer = clock.call_at(start + after, lambda n=name: fired.append((n, clock.now() - start)))  # type: ignore[misc]
        if name == "off":
            timer.cancel()
    await clock.advance(0.999)
    assert fired == []
    await clock.advance(0.001)
    assert fired == [("early", 1.0)]
    await clock.advance(10)
    assert fired == [("early", 1.0), ("late", 3.0)]


async def test_a_timer_can_call_off_one_of_the_same_time(clock: ManualClock) -> None:
    fired: list[str] = []

    def call_off() -> None:
        fired.append("first")
        second.cancel()

    first = clock.call_at(clock.now() + 1, call_off)
    second = clock.call_at(clock.now() + 1, lambda: fired.append("second"))
    await clock.advance(1)
    assert fired == ["first"]
    assert not first.active


async def test_a_thread_sleeps_until_its_time_and_is_waited_for(clock: ManualClock) -> None:
    woke: list[float] = []
    start = clock.now()

    def work() -> None:
        for _ in range(3):
            clock.sleep(1.0)
            woke.append(clock.now() - start)

    thread = clock.spawn("sleeper", work)
    await clock.advance(2.0)
    assert woke == [1.0, 2.0]
    await clock.advance(1.0)
    assert woke == [1.0, 2.0, 3.0]
    assert not thread.is_alive()


async def test_a_thread_whose_work_is_done_has_ended_once_the_clock_is_at_rest(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = threading.Thread.run

    def run_slowly(thread: threading.Thread) -> None:
        run(thread)
        for _ in range(1000):  # the interpreter's own work between the target and the end
            os.sched_yield()

    monkeypatch.setattr(threading.Thread, "run", run_slowly)
    threads = [clock.spawn("short", lambda: None) for _ in range(20)]
    await clock.settle()
    assert not any(thread.is_alive() for thread in threads)
    assert clock.threads == []


async def test_a_notified_thread_is_waited_for(clock: ManualClock) -> None:
    desk = threading.Condition()
    orders: list[str] = []
    done: list[str] = []

    def work() -> None:
        with desk:
            while len(done) < 100:
                while not orders:
                    clock.wait(desk)
                done.append(orders.pop())

    thread = clock.spawn("worker", work)
    for number in range(100):
        with desk:
            orders.append(f"order {number}")
            clock.notify(desk)
        await clock.settle()
        assert done[-1] == f"order {number}"
    thread.join(5)


async def test_notifying_wakes_each_of_many_threads(clock: ManualClock) -> None:
    desk = threading.Condition()
    gate: list[int] = []
    passed: list[int] = []

    def work(turns: int) -> None:
        for turn in range(turns):
            with desk:
                while len(gate) <= turn:
                    clock.wait(desk, clock.now() + 1000)
                passed.append(turn)

    threads = [clock.spawn(f"worker {i}", lambda: work(20)) for i in range(8)]
    for turn in range(20):
        await clock.settle()
        with desk:
            gate.append(turn)
            clock.notify(desk)
        await clock.settle()
        assert passed.count(turn) == 8
    for thread in threads:
        thread.join(5)


async def test_a_foreign_thread_that_was_woken_is_not_waited_for(clock: ManualClock) -> None:
    desk = threading.Condition()
    waits, go_on = threading.Event(), threading.Event()

    def work() -> None:
        with desk:
            waits.set()
            clock.wait(desk)
        go_on.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    waits.wait(10)
    with desk:  # held by the thread until it waits
        clock.notify(desk)
    await clock.settle()  # returns although the thread goes on
    assert thread.is_alive()
    go_on.set()
    thread.join(5)


async def test_a_timer_calls_back_on_its_own_event_loop(clock: ManualClock) -> None:
    called: list[str] = []
    set_up, fired = threading.Event(), threading.Event()

    async def other() -> None:
        done = asyncio.Event()

        def callback() -> None:
            called.append(threading.current_thread().name)
            done.set()

        clock.call_at(clock.now() + 1, callback)
        set_up.set()
        await done.wait()
        fired.set()

    thread = threading.Thread(target=lambda: asyncio.run(other()), name="other loop")
    thread.start()
    assert set_up.wait(10)
    await clock.advance(1)
    assert fired.wait(10)
    thread.join(5)
    assert called == ["other loop"]


async def test_release_gives_all_their_time_and_keeps_notifications(clock: ManualClock) -> None:
    desk = threading.Condition()
    orders: list[str] = []
    seen: list[str] = []
    start = clock.now()

    def sleeper() -> None:
        clock.sleep(50)

    def timed() -> None:
        with desk:
            while clock.now() < start + 70:
                clock.wait(desk, start + 70)
        seen.append("timed")

    def worker() -> None:
        with desk:
            while not orders:
                clock.wait(desk)
        seen.append("told")

    quick = [clock.spawn("sleeper", sleeper), clock.spawn("timed", timed)]
    slow = clock.spawn("worker", worker)
    await clock.settle()
    clock.release()
    for thread in quick:
        thread.join(5)
        assert not thread.is_alive()
    assert seen == ["timed"]
    with desk:
        orders.append("end")
        clock.notify(desk)
    slow.join(5)
    assert seen == ["timed", "told"]


async def test_the_engine_answers_from_a_mapping_or_a_function() -> None:
    by_mapping = ScriptedEngine({"a": "b", "endless": Truncated()})
    assert by_mapping.generate(["a", "endless", "other"], never) == ["b", Truncated(), "other"]
    assert ScriptedEngine(str.upper).generate(["a"], never) == ["A"]
    assert by_mapping.calls == [["a", "endless", "other"]]


async def test_the_engine_raises_what_the_script_holds() -> None:
    with pytest.raises(OverflowError, match="too much"):
        ScriptedEngine({"a": OverflowError("too much")}).generate(["b", "a"], never)


async def test_the_engine_takes_its_time_and_asks_between_steps(clock: ManualClock) -> None:
    engine = ScriptedEngine(str.upper, delay=1.0, steps=4, clock=clock)
    asked: list[tuple[int, float]] = []
    answers: list[object] = []
    start = clock.now()

    def cancelled(index: int) -> bool:
        asked.append((index, clock.now() - start))
        return index == 1 and clock.now() - start >= 0.5

    thread = clock.spawn("engine", lambda: answers.extend(engine.generate(["a", "b"], cancelled)))
    await clock.advance(0.999)
    assert answers == []
    await clock.advance(0.001)
    assert answers == ["A", Cancelled()]
    assert asked == [(0, 0.25), (1, 0.25), (0, 0.5), (1, 0.5), (0, 0.75), (0, 1.0)]
    thread.join(5)


async def test_the_engine_stops_once_nothing_is_wanted(clock: ManualClock) -> None:
    engine = ScriptedEngine(str.upper, delay=1.0, steps=4, clock=clock)
    answers: list[object] = []
    thread = clock.spawn(
        "engine", lambda: answers.extend(engine.generate(["a", "b"], lambda index: True))
    )
    await clock.advance(0.25)
    assert answers == [Cancelled(), Cancelled()]
    thread.join(5)


@pytest.mark.parametrize("options", [{"delay": 0.1}, {"steps": 0}])
async def test_an_engine_that_could_not_work_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        ScriptedEngine(**options)  # type: ignore[arg-type]


def test_the_system_clock_waits_for_any_time() -> None:
    """``threading`` itself refuses an infinite time."""
    clock = SystemClock()
    condition = threading.Condition()

    def notify() -> None:
        with condition:
            clock.notify(condition)

    with condition:
        thread = clock.spawn("notifier", notify)
        clock.wait(condition, float("inf"))
        clock.wait(condition, clock.now() - 1)
    thread.join(5)
