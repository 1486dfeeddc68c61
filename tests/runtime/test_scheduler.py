"""The lanes by themselves: predictions, and their invariants under any order of events."""

from __future__ import annotations

from typing import Any

import pytest

from middleware import Breaker, BreakerState, Deadline, Limits, MemoKey, Mode, Reason
from middleware.core.cost_model import CostModel
from middleware.runtime.flights import Flight, SingleFlight
from middleware.runtime.scheduler import Scheduler

NOW = 100.0


class Dispatcher:
    """Scheduler with flights that are opened, awaited and submitted in one go."""

    def __init__(self, **limits: Any) -> None:
        self.flights = SingleFlight()
        self.scheduler = Scheduler(self.flights, Limits(**limits), Breaker())

    def learn(self, tokens: int, seconds: float) -> None:
        for _ in range(20):
            self.scheduler.estimator.cost.observe(tokens, seconds)

    def ask(
        self, text: str, seconds: float, *, tokens: int = 5, fill: bool = True, now: float = NOW
    ) -> tuple[Flight, Reason | None]:
        key = MemoKey(text, "engine", "policy", Mode.REPLACE, "")
        flight = Flight(key, text, tokens, now)
        flight.allow_storing(True, late_fill=fill)
        self.flights.open(flight)
        flight.waiters[text] = (Deadline(now + seconds), lambda result: None)
        return flight, self.scheduler.submit(flight, now)

    def run(self, now: float) -> list[Flight]:
        batch = self.scheduler.next_batch(now)
        self.scheduler.began(batch, now)
        return batch


# --- Predictions ---


def test_without_experience_all_are_taken() -> None:
    dispatcher = Dispatcher()
    assert dispatcher.ask("a", 0.001) == (dispatcher.scheduler.foreground[0], None)


@pytest.mark.parametrize(("budget", "reason"), [(0.31, None), (0.29, Reason.PREDICTED_LATE)])
def test_one_call_is_predicted(budget: float, reason: Reason | None) -> None:
    dispatcher = Dispatcher()
    dispatcher.learn(5, 0.3)
    flight, said = dispatcher.ask("a", budget)
    assert said is reason
    assert (
        flight in dispatcher.scheduler.foreground,
        flight in dispatcher.scheduler.background,
    ) == (
        reason is None,
        bool(reason),
    )


@pytest.mark.parametrize(("budget", "reason"), [(0.71, None), (0.69, Reason.PREDICTED_LATE)])
def test_what_is_left_of_the_call_under_way_comes_on_top(
    budget: float, reason: Reason | None
) -> None:
    """Where there is a wait, all counts for two fifths more than expected, as it is not sure."""
    dispatcher = Dispatcher()
    dispatcher.learn(5, 0.3)
    dispatcher.ask("a", 1.0)
    dispatcher.run(NOW)
    assert dispatcher.ask("b", budget, now=NOW + 0.1)[1] is reason


@pytest.mark.parametrize(("budget", "reason"), [(0.31, None), (0.29, Reason.PREDICTED_LATE)])
def test_a_late_fill_under_way_gives_way_and_costs_nothing(
    budget: float, reason: Reason | None
) -> None:
    dispatcher = Dispatcher()
    dispatcher.learn(5, 0.3)
    assert dispatcher.ask("a", 0.0)[1] is Reason.PREDICTED_LATE
    dispatcher.run(NOW)
    assert dispatcher.ask("b", budget, now=NOW + 0.1)[1] is reason


@pytest.mark.parametrize(("budget", "reason"), [(0.85, None), (0.83, Reason.PREDICTED_LATE)])
def test_those_who_wait_go_first_in_calls_of_several(budget: float, reason: Reason | None) -> None:
    dispatcher = Dispatcher(batch=2)
    dispatcher.learn(5, 0.3)  # the same for one text and for two: nothing else was seen
    dispatcher.scheduler.estimator.cost = FlatCost(0.3)
    for text in "ab":
        assert dispatcher.ask(text, 1.0)[1] is None
    assert dispatcher.ask("c", budget)[1] is reason


class FlatCost(CostModel):
    """Every call takes the same, however much is in it."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def predict(self, tokens: int) -> float:
        return self.seconds


def test_an_overdue_call_is_expected_to_take_as_long_again() -> None:
    dispatcher = Dispatcher()
    dispatcher.learn(5, 0.1)
    dispatcher.ask("a", 10.0)
    dispatcher.run(NOW)
    assert dispatcher.ask("b", 0.5, now=NOW + 0.2)[1] is None  # .1 over, and .1 for itself
    assert dispatcher.ask("c", 0.5, now=NOW + 0.6)[1] is Reason.PREDICTED_LATE


def test_how_late_the_event_loop_is_comes_on_top() -> None:
    dispatcher = Dispatcher()
    dispatcher.learn(5, 0.05)
    dispatcher.scheduler.estimator.loop_delay = 0.06
    assert dispatcher.ask("a", 0.10)[1] is Reason.PREDICTED_LATE
    assert dispatcher.ask("b", 0.12)[1] is None


def test_a_full_lane_turns_away() -> None:
    dispatcher = Dispatcher(foreground=2)
    assert [dispatcher.ask(text, 9.0)[1] for text in "abc"] == [None, None, Reason.OVERLOADED]


def test_what_waited_too_long_is_let_go_before_its_deadline() -> None:
    dispatcher = Dispatcher()
    waiting, _ = dispatcher.ask("a", 0.25)
    dispatcher.learn(5, 0.2)
    assert dispatcher.run(NOW + 0.1) == [waiting]  # as a late fill, as nobody else waits
    [(_, result)] = dispatcher.scheduler.outbox
    assert (result.verdict, result.reason) == (None, Reason.PREDICTED_LATE)
    assert result.queue == pytest.approx(0.1)
    assert not waiting.has_waiters(NOW + 0.1)


def test_a_batch_ends_where_it_would_make_one_of_its_texts_late() -> None:
    dispatcher = Dispatcher()
    for tokens in (2, 4, 6, 8, 10):
        dispatcher.learn(tokens, 0.01 * tokens)
    flights = [
        dispatcher.ask(text, seconds, tokens=2)[0]
        for text, seconds in zip("abcd", (9, 9, 0.065, 9), strict=True)
    ]
    assert dispatcher.run(NOW) == flights[:3]
    assert list(dispatcher.scheduler.foreground) == flights[3:]


def test_late_fills_run_only_when_nobody_waits_and_oldest_first() -> None:
    dispatcher = Dispatcher(background_batch=2)
    late = [dispatcher.ask(text, 0.0)[0] for text in "abc"]
    live, _ = dispatcher.ask("d", 1.0, now=NOW + 1)
    assert dispatcher.run(NOW + 1) == [live]
    assert dispatcher.run(NOW + 1) == late[:2]
    assert dispatcher.run(NOW + 1) == late[2:]


def test_a_flight_without_use_is_closed_at_once() -> None:
    dispatcher = Dispatcher()
    dispatcher.learn(5, 0.3)
    dispatcher.scheduler.ended(NOW)  # just now, so that no sounding is due
    flight, reason = dispatcher.ask("a", 0.1, fill=False)
    assert reason is Reason.PREDICTED_LATE
    assert flight.closed
    assert len(dispatcher.flights) == 0


def test_a_call_cut_short_tells_nothing_of_the_cost_unless_it_was_slow() -> None:
    dispatcher = Dispatcher()
    dispatcher.learn(5, 0.3)
    dispatcher.ask("a", 1.0)
    batch = dispatcher.run(NOW)
    dispatcher.scheduler.answered(batch, 0.01, NOW + 0.01, complete=False)
    assert dispatcher.scheduler.estimator.cost.predict(5) == pytest.approx(0.3)
    dispatcher.scheduler.answered(batch, 3.0, NOW + 3, complete=False)
    assert dispatcher.scheduler.estimator.cost.predict(5) > 0.5


def test_one_who_comes_while_a_text_gives_way_finds_a_full_lane() -> None:
    dispatcher = Dispatcher(foreground=1)
    flight, _ = dispatcher.ask("a", 0.1)
    dispatcher.run(NOW)
    dispatcher.ask("b", 9.0)
    flight.waiters["late"] = (Deadline(NOW + 5), lambda result: None)
    dispatcher.scheduler.requeue(flight, NOW + 1)
    assert len(dispatcher.scheduler.foreground) == 1
    assert flight in dispatcher.scheduler.background
    assert {result.reason for _, result in dispatcher.scheduler.outbox} == {Reason.OVERLOADED}
    assert not flight.waiters


def test_a_failure_from_before_neither_ends_the_probe_nor_lengthens_the_rest() -> None:
    dispatcher = Dispatcher()
    dispatcher.scheduler.breaker = breaker = Breaker(window=1, cooldown=1.0, max_cooldown=60.0)
    old, _ = dispatcher.ask("old", 99.0)
    dispatcher.run(NOW)
    dispatcher.ask("failing", 99.0)
    dispatcher.scheduler.failed(dispatcher.scheduler.foreground.popleft(), NOW)
    assert breaker.state(NOW + 0.9) is BreakerState.OPEN
    probe, reason = dispatcher.ask("probe", 99.0, now=NOW + 1)
    assert (reason, probe.breaker_probe) == (None, True)
    dispatcher.scheduler.failed(old, NOW + 1)
    assert breaker.probing
    assert probe in dispatcher.scheduler.foreground
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
