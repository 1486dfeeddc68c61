"""The lanes by themselves: predictions, and their invariants under any order of events."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from middleware.core.breaker import Breaker, BreakerState
from middleware.core.cost_model import CostModel
from middleware.core.deadline import Deadline
from middleware.core.memo import MemoKey
from middleware.core.outcome import Mode, Reason
from middleware.core.reformulation import Verdict
from middleware.runtime.lanes import Lanes, Limits
from middleware.runtime.single_flight import Flight, Landing, SingleFlight, Wake

NOW = 100.0


class Desk:
    """Lanes with flights that are opened, awaited and submitted in one go."""

    def __init__(self, **limits: int) -> None:
        self.flights = SingleFlight()
        self.lanes = Lanes(self.flights, Limits(**limits), Breaker())

    def learn(self, tokens: int, seconds: float) -> None:
        for _ in range(20):
            self.lanes.cost.observe(tokens, seconds)

    def ask(
        self, text: str, seconds: float, *, tokens: int = 5, fill: bool = True, now: float = NOW
    ) -> tuple[Flight, Reason | None]:
        key = MemoKey(text, "engine", "policy", Mode.REPLACE, "")
        flight = Flight(key, text, tokens, now)
        flight.store(True, late_fill=fill)
        self.flights.open(flight)
        flight.waiters[text] = (Deadline(now + seconds), lambda landing: None)
        return flight, self.lanes.submit(flight, now)

    def run(self, now: float) -> list[Flight]:
        batch = self.lanes.next_batch(now)
        self.lanes.began(batch, now)
        return batch


# --- Predictions ---


def test_without_experience_all_are_taken() -> None:
    desk = Desk()
    assert desk.ask("a", 0.001) == (desk.lanes.live[0], None)


@pytest.mark.parametrize(("budget", "reason"), [(0.31, None), (0.29, Reason.PREDICTED_LATE)])
def test_one_call_is_predicted(budget: float, reason: Reason | None) -> None:
    desk = Desk()
    desk.learn(5, 0.3)
    flight, said = desk.ask("a", budget)
    assert said is reason
    assert (flight in desk.lanes.live, flight in desk.lanes.late) == (reason is None, bool(reason))


@pytest.mark.parametrize(("budget", "reason"), [(0.51, None), (0.49, Reason.PREDICTED_LATE)])
def test_what_is_left_of_the_call_under_way_comes_on_top(
    budget: float, reason: Reason | None
) -> None:
    desk = Desk()
    desk.learn(5, 0.3)
    desk.ask("a", 1.0)
    desk.run(NOW)
    assert desk.ask("b", budget, now=NOW + 0.1)[1] is reason


@pytest.mark.parametrize(("budget", "reason"), [(0.31, None), (0.29, Reason.PREDICTED_LATE)])
def test_a_late_fill_under_way_gives_way_and_costs_nothing(
    budget: float, reason: Reason | None
) -> None:
    desk = Desk()
    desk.learn(5, 0.3)
    assert desk.ask("a", 0.0)[1] is Reason.PREDICTED_LATE
    desk.run(NOW)
    assert desk.ask("b", budget, now=NOW + 0.1)[1] is reason


@pytest.mark.parametrize(("budget", "reason"), [(0.61, None), (0.59, Reason.PREDICTED_LATE)])
def test_those_who_wait_go_first_in_calls_of_several(budget: float, reason: Reason | None) -> None:
    desk = Desk(batch=2)
    desk.learn(5, 0.3)  # the same for one text and for two: nothing else was seen
    desk.lanes.cost = FlatCost(0.3)
    for text in "ab":
        assert desk.ask(text, 1.0)[1] is None
    assert desk.ask("c", budget)[1] is reason


class FlatCost(CostModel):
    """Every call takes the same, however much is in it."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def predict(self, tokens: int) -> float:
        return self.seconds


def test_an_overdue_call_is_expected_to_take_as_long_again() -> None:
    desk = Desk()
    desk.learn(5, 0.1)
    desk.ask("a", 10.0)
    desk.run(NOW)
    assert desk.ask("b", 0.5, now=NOW + 0.2)[1] is None  # .1 over, and .1 for itself
    assert desk.ask("c", 0.5, now=NOW + 0.6)[1] is Reason.PREDICTED_LATE


def test_a_full_lane_turns_away() -> None:
    desk = Desk(live=2)
    assert [desk.ask(text, 9.0)[1] for text in "abc"] == [None, None, Reason.OVERLOADED]


def test_what_waited_too_long_is_let_go_before_its_deadline() -> None:
    desk = Desk()
    waiting, _ = desk.ask("a", 0.25)
    desk.learn(5, 0.2)
    assert desk.run(NOW + 0.1) == [waiting]  # as a late fill, as nobody else waits
    [(_, landing)] = desk.lanes.outbox
    assert (landing.verdict, landing.reason) == (None, Reason.PREDICTED_LATE)
    assert landing.queue == pytest.approx(0.1)
    assert not waiting.awaited(NOW + 0.1)


def test_a_batch_ends_where_it_would_make_one_of_its_texts_late() -> None:
    desk = Desk()
    for tokens in (2, 4, 6, 8, 10):
        desk.learn(tokens, 0.01 * tokens)
    flights = [
        desk.ask(text, seconds, tokens=2)[0]
        for text, seconds in zip("abcd", (9, 9, 0.065, 9), strict=True)
    ]
    assert desk.run(NOW) == flights[:3]
    assert list(desk.lanes.live) == flights[3:]


def test_late_fills_run_only_when_nobody_waits_and_oldest_first() -> None:
    desk = Desk(late_batch=2)
    late = [desk.ask(text, 0.0)[0] for text in "abc"]
    live, _ = desk.ask("d", 1.0, now=NOW + 1)
    assert desk.run(NOW + 1) == [live]
    assert desk.run(NOW + 1) == late[:2]
    assert desk.run(NOW + 1) == late[2:]


def test_a_flight_without_use_is_closed_at_once() -> None:
    desk = Desk()
    desk.learn(5, 0.3)
    desk.lanes.ended(NOW)  # just now, so that no sounding is due
    flight, reason = desk.ask("a", 0.1, fill=False)
    assert reason is Reason.PREDICTED_LATE
    assert flight.closed
    assert len(desk.flights) == 0


def test_a_call_cut_short_tells_nothing_of_the_cost_unless_it_was_slow() -> None:
    desk = Desk()
    desk.learn(5, 0.3)
    desk.ask("a", 1.0)
    batch = desk.run(NOW)
    desk.lanes.answered(batch, 0.01, NOW + 0.01, complete=False)
    assert desk.lanes.cost.predict(5) == pytest.approx(0.3)
    desk.lanes.answered(batch, 3.0, NOW + 3, complete=False)
    assert desk.lanes.cost.predict(5) > 0.5


def test_one_who_comes_while_a_text_gives_way_finds_a_full_lane() -> None:
    desk = Desk(live=1)
    flight, _ = desk.ask("a", 0.1)
    desk.run(NOW)
    desk.ask("b", 9.0)
    flight.waiters["late"] = (Deadline(NOW + 5), lambda landing: None)
    desk.lanes.take_back(flight, NOW + 1)
    assert len(desk.lanes.live) == 1
    assert flight in desk.lanes.late
    assert {landing.reason for _, landing in desk.lanes.outbox} == {Reason.OVERLOADED}
    assert not flight.waiters


def test_a_failure_from_before_neither_ends_the_probe_nor_lengthens_the_rest() -> None:
    desk = Desk()
    desk.lanes.breaker = breaker = Breaker(window=1, rest=1.0, max_rest=60.0)
    old, _ = desk.ask("old", 99.0)
    desk.run(NOW)
    desk.ask("failing", 99.0)
    desk.lanes.failed(desk.lanes.live.popleft(), NOW)
    assert breaker.state(NOW + 0.9) is BreakerState.OPEN
    probe, reason = desk.ask("probe", 99.0, now=NOW + 1)
    assert (reason, probe.probe) == (None, True)
    desk.lanes.failed(old, NOW + 1)
    assert breaker.probing
    assert probe in desk.lanes.live
    assert breaker.state(NOW + 1) is BreakerState.HALF_OPEN


def test_the_cost_model_follows_a_change_of_speed() -> None:
    model = CostModel()
    assert model.predict(10) == 0
    for _ in range(20):
        model.observe(4, 0.04)
        model.observe(8, 0.08)
    assert model.predict(6) == pytest.approx(0.06)
    assert model.predict(0) >= 0
    model.observe(6, 0.02)  # much quicker at once
    assert model.predict(6) < 0.04
    for _ in range(10):
        model.observe(6, 0.2)
    assert model.predict(6) == pytest.approx(0.2, rel=0.2)


# --- Invariants ---

KEYS = st.integers(0, 11)
SECONDS = st.sampled_from([0.0, 0.05, 0.2, 1.0, 5.0])


class Machine(RuleBasedStateMachine):
    """What the reformulator and the worker do to the lanes, in any order."""

    @initialize(
        live=st.integers(1, 4),
        late=st.integers(0, 3),
        batch=st.integers(1, 3),
        late_batch=st.integers(1, 3),
        window=st.integers(1, 4),
    )
    def set_up(self, live: int, late: int, batch: int, late_batch: int, window: int) -> None:
        self.now = 0.0
        self.limits = Limits(live=live, late=late, batch=batch, late_batch=late_batch)
        self.flights = SingleFlight()
        self.breaker = Breaker(window=window, rest=1.0, max_rest=8.0)
        self.lanes = Lanes(self.flights, self.limits, self.breaker)
        self.all: list[Flight] = []
        self.callers = 0
        self.owed: set[int] = set()  # callers who wait, and watchers
        self.told: list[int] = []
        self.batch: list[Flight] = []

    def caller(self) -> tuple[int, Wake]:
        self.callers += 1
        number = self.callers

        def wake(landing: Landing) -> None:
            self.told.append(number)
            self.owed.remove(number)  # a second time is a KeyError

        self.owed.add(number)
        return number, wake

    def deliver(self) -> None:
        while self.lanes.outbox:
            wake, landing = self.lanes.outbox.popleft()
            wake(landing)

    @rule(key=KEYS, seconds=SECONDS, fill=st.booleans())
    def ask(self, key: int, seconds: float, fill: bool) -> None:
        self.lanes.sort_out(self.now)
        memo_key = MemoKey(f"text {key}", "", "", Mode.REPLACE, "")
        flight = self.flights.get(memo_key)
        number, wake = self.caller()
        deadline = Deadline(self.now + seconds)
        if flight is None:
            flight = Flight(memo_key, memo_key.text, 2 + key % 3, self.now)
            flight.store(True, late_fill=fill)
            self.all.append(flight)
            self.flights.open(flight)
            flight.waiters[number] = (deadline, wake)
            reason = self.lanes.submit(flight, self.now)
        else:
            flight.store(True, late_fill=fill)
            reason = self.lanes.rejoin(flight, deadline, self.now)
            if reason is None:
                flight.waiters[number] = (deadline, wake)
        if reason is not None:
            self.owed.remove(number)
            assert number not in flight.waiters
        self.deliver()

    @rule(key=KEYS)
    def watch(self, key: int) -> None:
        self.lanes.sort_out(self.now)
        memo_key = MemoKey(f"text {key}", "", "", Mode.REPLACE, "")
        flight = self.flights.get(memo_key)
        number, wake = self.caller()
        if flight is not None:
            flight.watchers.append(wake)
            self.deliver()
            return
        flight = Flight(memo_key, memo_key.text, 2, self.now)
        self.all.append(flight)
        self.flights.open(flight)
        flight.watchers.append(wake)
        if self.lanes.submit(flight, self.now) is not None:
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
        self.batch = self.lanes.next_batch(self.now)
        self.lanes.began(self.batch, self.now)
        assert all(not flight.closed for flight in self.batch)
        self.deliver()

    @precondition(lambda self: self.batch)
    @rule(data=st.data())
    def land(self, data: st.DataObject) -> None:
        """The engine answers each text, or gives way on those that nobody waits for."""
        batch, self.batch = self.batch, []
        cut = [not f.closed and not f.awaited(self.now) and data.draw(st.booleans()) for f in batch]
        elapsed = data.draw(st.sampled_from([0.01, 0.1, 0.5]))
        self.lanes.answered(batch, elapsed, self.now, complete=not all(cut))
        for flight, gave_way in zip(batch, cut, strict=True):
            if gave_way:
                self.lanes.take_back(flight, self.now)
            else:
                self.lanes.close(flight, Landing(Verdict()))
        self.end(batch)

    @precondition(lambda self: self.batch)
    @rule()
    def crash(self) -> None:
        batch, self.batch = self.batch, []
        for flight in batch:
            if self.lanes.resting(self.now) and not flight.probe:
                self.lanes.close(flight, Landing(reason=Reason.BREAKER_OPEN))
            else:
                self.lanes.failed(flight, self.now)
        self.end(batch)

    @precondition(lambda self: self.batch)
    @rule()
    def vanish(self) -> None:
        """The worker lost the batch by a fault of its own."""
        batch, self.batch = self.batch, []
        self.end(batch)

    def end(self, batch: list[Flight]) -> None:
        self.lanes.ended(self.now)
        self.deliver()
        waiting = [*self.lanes.live, *self.lanes.late]
        assert all(flight.closed or flight in waiting for flight in batch)

    @rule()
    def close(self) -> None:
        self.lanes.clear()
        self.deliver()
        assert len(self.flights) == 0
        assert not self.owed

    @invariant()
    def the_lanes_are_bounded(self) -> None:
        assert len(self.lanes.live) <= self.limits.live
        assert len(self.lanes.late) <= max(1, self.limits.late)
        assert len(self.lanes.running) <= max(self.limits.batch, self.limits.late_batch)

    @invariant()
    def each_flight_is_in_one_place(self) -> None:
        places: list[Callable[[Flight], bool]] = [
            lambda f: f in self.lanes.live,
            lambda f: f in self.lanes.late,
            lambda f: f in self.lanes.running and not f.closed,
            lambda f: f.closed,
        ]
        for flight in self.all:
            assert sum(place(flight) for place in places) == 1
            assert (self.flights.get(flight.key) is flight) == (not flight.closed)
        for lane in (self.lanes.live, self.lanes.late, self.lanes.running):
            assert len(set(map(id, lane))) == len(lane)

    @invariant()
    def nobody_is_forgotten(self) -> None:
        on_flights = {number for f in self.all for number in f.waiters}
        watched = sum(len(f.watchers) for f in self.all)
        assert on_flights <= self.owed
        assert len(self.owed) == len(on_flights) + watched
        assert all(not f.waiters and not f.watchers for f in self.all if f.closed)
        assert not self.lanes.outbox

    @invariant()
    def a_lent_probe_is_on_its_way(self) -> None:
        probes = [flight for flight in self.all if flight.probe and not flight.closed]
        assert len(probes) <= 1
        if self.breaker.probing:
            assert len(probes) == 1
            assert self.breaker.state(self.now) is not BreakerState.CLOSED

    def teardown(self) -> None:
        if hasattr(self, "lanes"):
            self.lanes.clear()
            self.deliver()
            assert not self.owed


Machine.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestMachine = Machine.TestCase
