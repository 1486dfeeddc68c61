"""The lanes' invariants under any order of events."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from middleware import Breaker, BreakerState, Deadline, Limits, MemoKey, Mode, Reason, Verdict
from middleware.runtime.flights import Flight, FlightResult, SingleFlight, Wake
from middleware.runtime.scheduler import Scheduler
from tests.conftest import at_most

KEYS = st.integers(0, 11)
SECONDS = st.sampled_from([0.0, 0.05, 0.2, 1.0, 5.0])


class Machine(RuleBasedStateMachine):
    """What the reformulator and the worker do to the lanes, in any order."""

    @initialize(
        foreground=st.integers(1, 4),
        background=st.integers(0, 3),
        batch=st.integers(1, 3),
        background_batch=st.integers(1, 3),
        window=st.integers(1, 4),
    )
    def set_up(
        self, foreground: int, background: int, batch: int, background_batch: int, window: int
    ) -> None:
        self.now = 0.0
        self.limits = Limits(
            foreground=foreground,
            background=background,
            batch=batch,
            background_batch=background_batch,
        )
        self.flights = SingleFlight()
        self.breaker = Breaker(window=window, cooldown=1.0, max_cooldown=8.0)
        self.scheduler = Scheduler(self.flights, self.limits, self.breaker)
        self.all: list[Flight] = []
        self.callers = 0
        self.owed: set[int] = set()  # callers who wait, and watchers
        self.told: list[int] = []
        self.batch: list[Flight] = []

    def caller(self) -> tuple[int, Wake]:
        self.callers += 1
        number = self.callers

        def wake(result: FlightResult) -> None:
            self.told.append(number)
            self.owed.remove(number)  # a second time is a KeyError

        self.owed.add(number)
        return number, wake

    def deliver(self) -> None:
        while self.scheduler.outbox:
            wake, result = self.scheduler.outbox.popleft()
            wake(result)

    @rule(key=KEYS, seconds=SECONDS, fill=st.booleans())
    def ask(self, key: int, seconds: float, fill: bool) -> None:
        self.scheduler.demote_abandoned(self.now)
        memo_key = MemoKey(f"text {key}", "", "", Mode.REPLACE, "")
        flight = self.flights.get(memo_key)
        number, wake = self.caller()
        deadline = Deadline(self.now + seconds)
        if flight is None:
            flight = Flight(memo_key, memo_key.text, 2 + key % 3, self.now)
            flight.allow_storing(True, late_fill=fill)
            self.all.append(flight)
            self.flights.open(flight)
            flight.waiters[number] = (deadline, wake)
            reason = self.scheduler.submit(flight, self.now)
        else:
            flight.allow_storing(True, late_fill=fill)
            reason = self.scheduler.join(flight, deadline, self.now)
            if reason is None:
                flight.waiters[number] = (deadline, wake)
        if reason is not None:
            self.owed.remove(number)
            assert number not in flight.waiters
        self.deliver()

    @rule(key=KEYS)
    def watch(self, key: int) -> None:
        self.scheduler.demote_abandoned(self.now)
        memo_key = MemoKey(f"text {key}", "", "", Mode.REPLACE, "")
        flight = self.flights.get(memo_key)
        number, wake = self.caller()
        if flight is not None:
            flight.shadows.append(wake)
            self.deliver()
            return
        flight = Flight(memo_key, memo_key.text, 2, self.now)
        self.all.append(flight)
        self.flights.open(flight)
        flight.shadows.append(wake)
        if self.scheduler.submit(flight, self.now) is not None:
            self.owed.remove(number)  # told by its return value
        self.deliver()

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        waiting = [(f, number) for f in self.all for number in f.waiters]
        if waiting:
            flight, number = data.draw(st.sampled_from(waiting))
            del flight.waiters[number]
            assert isinstance(number, int)
            self.owed.remove(number)

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        self.now += seconds
        for flight in self.all:
            for number, (deadline, _) in list(flight.waiters.items()):
                if deadline.passed(self.now):
                    del flight.waiters[number]
                    assert isinstance(number, int)
                    self.owed.remove(number)

    @precondition(lambda self: not self.batch)
    @rule()
    def take_off(self) -> None:
        self.batch = self.scheduler.next_batch(self.now)
        self.scheduler.began(self.batch, self.now)
        assert all(not flight.closed for flight in self.batch)
        self.deliver()

    @precondition(lambda self: self.batch)
    @rule(data=st.data())
    def land(self, data: st.DataObject) -> None:
        """The engine answers each text, or gives way on those that nobody waits for."""
        batch, self.batch = self.batch, []
        cut = [
            not f.closed and not f.has_waiters(self.now) and data.draw(st.booleans()) for f in batch
        ]
        elapsed = data.draw(st.sampled_from([0.01, 0.1, 0.5]))
        self.scheduler.answered(batch, elapsed, self.now, complete=not all(cut))
        for flight, gave_way in zip(batch, cut, strict=True):
            if gave_way:
                self.scheduler.requeue(flight, self.now)
            else:
                self.scheduler.close(flight, FlightResult(Verdict()))
        self.end(batch)

    @precondition(lambda self: self.batch)
    @rule()
    def crash(self) -> None:
        batch, self.batch = self.batch, []
        for flight in batch:
            if self.scheduler.breaker_open(self.now) and not flight.breaker_probe:
                self.scheduler.close(flight, FlightResult(reason=Reason.BREAKER_OPEN))
            else:
                self.scheduler.failed(flight, self.now)
        self.end(batch)

    @precondition(lambda self: self.batch)
    @rule()
    def vanish(self) -> None:
        """The worker lost the batch by a fault of its own."""
        batch, self.batch = self.batch, []
        self.end(batch)

    def end(self, batch: list[Flight]) -> None:
        self.scheduler.ended(self.now)
        self.deliver()
        waiting = [*self.scheduler.foreground, *self.scheduler.background]
        assert all(flight.closed or flight in waiting for flight in batch)

    @rule()
    def close(self) -> None:
        self.scheduler.clear()
        self.deliver()
        assert len(self.flights) == 0
        assert not self.owed

    @invariant()
    def the_lanes_are_bounded(self) -> None:
        assert len(self.scheduler.foreground) <= self.limits.foreground
        assert len(self.scheduler.background) <= max(1, self.limits.background)
        assert len(self.scheduler.running) <= max(self.limits.batch, self.limits.background_batch)

    @invariant()
    def each_flight_is_in_one_place(self) -> None:
        places: list[Callable[[Flight], bool]] = [
            lambda f: f in self.scheduler.foreground,
            lambda f: f in self.scheduler.background,
            lambda f: f in self.scheduler.running and not f.closed,
            lambda f: f.closed,
        ]
        for flight in self.all:
            assert sum(place(flight) for place in places) == 1
            assert (self.flights.get(flight.key) is flight) == (not flight.closed)
        for lane in (self.scheduler.foreground, self.scheduler.background, self.scheduler.running):
            assert len(set(map(id, lane))) == len(lane)

    @invariant()
    def nobody_is_forgotten(self) -> None:
        on_flights = {number for f in self.all for number in f.waiters}
        watched = sum(len(f.shadows) for f in self.all)
        assert on_flights <= self.owed
        assert len(self.owed) == len(on_flights) + watched
        assert all(not f.waiters and not f.shadows for f in self.all if f.closed)
        assert not self.scheduler.outbox

    @invariant()
    def a_lent_probe_is_on_its_way(self) -> None:
        probes = [flight for flight in self.all if flight.breaker_probe and not flight.closed]
        assert len(probes) <= 1
        if self.breaker.probing:
            assert len(probes) == 1
            assert self.breaker.state(self.now) is not BreakerState.CLOSED

    def teardown(self) -> None:
        if hasattr(self, "scheduler"):
            self.scheduler.clear()
            self.deliver()
            assert not self.owed


Machine.TestCase.settings = settings(
    max_examples=at_most(120), stateful_step_count=40, deadline=None
)
TestMachine = Machine.TestCase
