"""After anything that callers do, nothing is left behind and everybody was answered in time."""

from __future__ import annotations

import asyncio
import random
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from middleware import (
    Answer,
    Breaker,
    Limits,
    Memo,
    Outcome,
    Reason,
    Record,
    Reformulation,
    Reformulator,
)
from middleware.testing import ManualClock, ScriptedEngine

from .lookups import distinct

TEXTS = distinct(8)

CALL = st.fixed_dictionaries(
    {
        "text": st.sampled_from(TEXTS),
        "budget": st.sampled_from([0.0, 0.03, 0.1, 0.4]),
        "mode": st.sampled_from(["replace", "replace", "expand", "shadow"]),
        "cached": st.booleans(),
        "stored": st.booleans(),
    }
)
STEP = st.one_of(
    st.tuples(st.just("ask"), CALL),
    st.tuples(st.just("ask in a thread"), CALL),
    st.tuples(st.just("cancel"), st.integers(0, 30)),
    st.tuples(st.just("pass"), st.sampled_from([0.01, 0.05, 0.2])),
    st.tuples(st.just("engine"), st.sampled_from([0.0, 0.02, 0.15, 0.5])),
    st.tuples(st.just("break"), st.booleans()),
)


class Play:
    """Acts out a list of steps and checks what every caller saw."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.failing = False
        self.engine = ScriptedEngine(self.answer, clock=self.clock)
        self.records: list[Record] = []
        self.reformulator = Reformulator(
            self.engine,
            clock=self.clock,
            memo=Memo(ttl=1.0, rejection_ttl=0.1),
            breaker=Breaker(window=3, cooldown=0.3, max_cooldown=1.0),
            limits=Limits(foreground=4, background=3, batch=3, background_batch=2),
            observers=[self.records.append],
        )
        self.tasks: list[asyncio.Task[None]] = []
        self.threads: list[threading.Thread] = []
        self.answered = 0
        self.faults: list[BaseException] = []

    def answer(self, text: str) -> Answer | BaseException:
        return RuntimeError("broken") if self.failing else f"lifted {text}"

    def check(self, call: dict[str, object], started: float, found: Reformulation) -> None:
        self.answered += 1
        text = call["text"]
        assert found.original == text
        assert found.query in {text, f"lifted {text}", f"{text} lifted"}
        assert (found.query != text) == (found.outcome is Outcome.REWRITTEN)
        waited = self.clock.now() - started
        assert waited <= float(str(call["budget"])) + 1e-9
        assert found.timings.total == pytest.approx(waited)
        assert found.timings.queue + found.timings.engine <= found.timings.total + 1e-9
        if call["mode"] == "shadow":
            assert (waited, found.reason) == (0, Reason.SHADOW)

    async def ask(self, call: dict[str, object]) -> None:
        started = self.clock.now()
        found = await self.reformulator.reformulate(**call)  # type: ignore[arg-type]
        self.check(call, started, found)

    def ask_in_a_thread(self, call: dict[str, object]) -> None:
        started = self.clock.now()
        try:
            found = self.reformulator.reformulate_sync(**call)  # type: ignore[arg-type]
            self.check(call, started, found)
        except BaseException as fault:
            self.faults.append(fault)

    async def act(self, steps: list[tuple[str, object]]) -> None:
        for step, given_ in steps:
            if step == "ask":
                assert isinstance(given_, dict)
                self.tasks.append(asyncio.create_task(self.ask(given_)))
                await asyncio.sleep(0)
            elif step == "ask in a thread":
                call = given_
                assert isinstance(call, dict)
                thread = self.clock.spawn("caller", lambda c=call: self.ask_in_a_thread(c))  # type: ignore[misc]
                self.threads.append(thread)
            elif step == "cancel":
                if self.tasks:
                    self.tasks[int(str(given_)) % len(self.tasks)].cancel()
            elif step == "pass":
                await self.clock.advance(float(str(given_)))
            elif step == "engine":
                self.engine.delay = float(str(given_))
            else:
                self.failing = bool(given_)
        await self.clock.advance(0.4)  # the longest budget
        assert all(task.done() for task in self.tasks)
        assert not any(thread.is_alive() for thread in self.threads)
        assert self.faults == []
        cancelled = sum(task.cancelled() for task in self.tasks)
        for task in self.tasks:
            if not task.cancelled():
                task.result()
        assert self.answered == len(self.tasks) + len(self.threads) - cancelled
        await self.clock.advance(20)  # late fills
        stats = self.reformulator.stats()
        assert (stats.foreground, stats.background, stats.running, stats.flights) == (0, 0, 0, 0)
        # Each decision and each watched rewrite was told; shadow callers cannot cancel.
        assert self.answered <= len(self.records) <= len(self.tasks) + len(self.threads)
        await self.alive()

    async def alive(self) -> None:
        """The next caller is served as if nothing had been."""
        self.failing, self.engine.delay = False, 0.01
        for text in ("one more query", "a last query"):
            asked = asyncio.create_task(self.reformulator.reformulate(text, budget=2))
            await self.clock.advance(1.1)
            found = asked.result()
        assert found.outcome is Outcome.REWRITTEN

    def end(self) -> None:
        self.clock.release()
        self.reformulator.close()
        assert self.reformulator.stats().flights == 0
        assert not any(thread.name == "querylift-engine" for thread in threading.enumerate())


def play(steps: list[tuple[str, object]]) -> None:
    scene = Play()

    async def act() -> None:
        await scene.act(steps)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left

    try:
        asyncio.run(act())
    finally:
        scene.end()


@given(steps=st.lists(STEP, max_size=30))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_callers_and_the_engine_do_nothing_is_left(
    steps: list[tuple[str, object]],
) -> None:
    play(steps)


@pytest.mark.parametrize("seed", range(5))
def test_a_crowd_that_comes_and_goes(seed: int) -> None:
    """Hundreds of callers of whom a third leaves at random moments."""
    chance = random.Random(seed)
    steps: list[tuple[str, object]] = [("engine", chance.choice([0.02, 0.15]))]
    for _ in range(300):
        call = {
            "text": chance.choice(TEXTS),
            "budget": chance.choice([0.0, 0.03, 0.1, 0.4]),
            "mode": "replace",
            "cached": chance.random() < 0.5,
            "stored": chance.random() < 0.5,
        }
        steps.append(("ask", call))
        if chance.random() < 0.3:
            steps.append(("cancel", chance.randrange(300)))
        if chance.random() < 0.2:
            steps.append(("pass", 0.01))
    play(steps)
