"""The lanes by themselves: predictions, and their invariants under any order of events."""

from __future__ import annotations

import pytest

from middleware.core.breaker import Breaker, BreakerState
from middleware.core.cost_model import CostModel
from middleware.core.deadline import Deadline
from middleware.core.memo import MemoKey
from middleware.core.outcome import Mode, Reason
from middleware.runtime.lanes import Lanes, Limits
from middleware.runtime.single_flight import Flight, SingleFlight

NOW = 100.0


class Desk:
    """Lanes with flights that are opened, awaited and submitted in one go."""

    def __init__(self, **limits: int) -> None:
        self.flights = SingleFlight()
        self.lanes = Lanes(self.flights, Limits(**limits), Breaker())

    def learn(self, tokens: int, seconds: float) -> None:
        for _ in range(20):
            self.lanes.forecast.cost.observe(tokens, seconds)

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


@pytest.mark.parametrize(("budget", "reason"), [(0.71, None), (0.69, Reason.PREDICTED_LATE)])
def test_what_is_left_of_the_call_under_way_comes_on_top(
    budget: float, reason: Reason | None
) -> None:
    """Where there is a wait, all counts for two fifths more than expected, as it is not sure."""
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


@pytest.mark.parametrize(("budget", "reason"), [(0.85, None), (0.83, Reason.PREDICTED_LATE)])
def test_those_who_wait_go_first_in_calls_of_several(budget: float, reason: Reason | None) -> None:
    desk = Desk(batch=2)
    desk.learn(5, 0.3)  # the same for one text and for two: nothing else was seen
    desk.lanes.forecast.cost = FlatCost(0.3)
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


def test_how_late_the_event_loop_is_comes_on_top() -> None:
    desk = Desk()
    desk.learn(5, 0.05)
    desk.lanes.forecast.lateness = 0.06
    assert desk.ask("a", 0.10)[1] is Reason.PREDICTED_LATE
    assert desk.ask("b", 0.12)[1] is None


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
    assert desk.lanes.forecast.cost.predict(5) == pytest.approx(0.3)
    desk.lanes.answered(batch, 3.0, NOW + 3, complete=False)
    assert desk.lanes.forecast.cost.predict(5) > 0.5


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
