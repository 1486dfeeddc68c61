"""The breaker: opens on a share of failures, lends one probe, rests longer each time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from middleware import Breaker, BreakerState, ConfigurationError
from tests.conftest import at_most


def opened(**options: Any) -> Breaker:
    """Return a breaker that two failures opened at time 0."""
    breaker = Breaker(window=2, share=1.0, **options)
    for _ in range(2):
        assert breaker.allows(0.0)
        breaker.record(failed=True, now=0.0)
    return breaker


def test_opens_when_the_share_is_reached_and_not_before_the_window_is_full() -> None:
    """Nine failures are not yet a window of ten, and four of ten not yet half."""
    breaker = Breaker(window=10, share=0.5)
    for _ in range(9):
        breaker.record(failed=True, now=0.0)
    assert breaker.state(0.0) is BreakerState.CLOSED
    breaker.record(failed=True, now=0.0)
    assert breaker.state(0.0) is BreakerState.OPEN
    assert not breaker.allows(4.9)
    mixed = Breaker(window=10, share=0.5)
    for index in range(100):
        mixed.record(failed=index % 5 < 2, now=0.0)
    assert mixed.state(0.0) is BreakerState.CLOSED


def test_one_probe_that_succeeds_closes_and_one_that_fails_doubles_the_rest() -> None:
    """The rest grows up to its bound and is forgotten by a success."""
    breaker = opened(cooldown=5.0, max_cooldown=15.0)
    assert breaker.allows(5.0)
    assert not breaker.allows(5.0)
    breaker.record(failed=True, now=5.0)
    assert breaker.state(14.9) is BreakerState.OPEN
    assert breaker.allows(15.0)
    breaker.record(failed=True, now=15.0)
    assert breaker.state(29.9) is BreakerState.OPEN
    assert breaker.allows(30.0)
    breaker.record(failed=False, now=30.0)
    assert breaker.state(30.0) is BreakerState.CLOSED
    breaker.record(failed=True, now=31.0)
    assert breaker.state(31.0) is BreakerState.CLOSED
    breaker.record(failed=True, now=31.0)
    assert breaker.state(35.9) is BreakerState.OPEN
    assert breaker.state(36.0) is BreakerState.HALF_OPEN


def test_a_released_probe_is_lent_again() -> None:
    """A probe whose call never ran does not keep the breaker open for good."""
    breaker = opened(cooldown=5.0)
    assert breaker.allows(6.0)
    breaker.release()
    assert breaker.state(6.0) is BreakerState.HALF_OPEN
    assert breaker.allows(6.0)
    assert not breaker.allows(6.0)


@pytest.mark.parametrize("failed", [True, False])
def test_calls_from_before_it_opened_change_nothing(failed: bool) -> None:
    """Only a probe's end says something about an engine that rests."""
    breaker = opened(cooldown=5.0)
    breaker.record(failed=failed, now=1.0)
    assert breaker.state(1.0) is BreakerState.OPEN
    assert breaker.state(5.0) is BreakerState.HALF_OPEN


@pytest.mark.parametrize(
    "options", [{"window": 0}, {"share": 0.0}, {"share": 1.1}, {"share": float("nan")},
                {"cooldown": 0.0}, {"cooldown": 9.0, "max_cooldown": 8.0},
                {"cooldown": float("nan")}],
)  # fmt: skip
def test_wrong_options(options: dict[str, float]) -> None:
    """Options that make no sense are told at construction."""
    with pytest.raises(ConfigurationError, match="breaker"):
        Breaker(**options)  # type: ignore[arg-type]


class Machine(RuleBasedStateMachine):
    """Calls start, end and are dropped in any order while time goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(window=3, share=0.6, cooldown=2.0, max_cooldown=8.0)
        self.now = 0.0
        self.plain = 0  # calls under way that started while closed
        self.probe = False
        self.ends: list[bool] = []

    @rule(seconds=st.sampled_from([0.0, 0.5, 2.0, 9.0]))
    def wait(self, seconds: float) -> None:
        """Let time go on."""
        self.now += seconds

    @rule()
    def start(self) -> None:
        """Ask for a call."""
        state = self.breaker.state(self.now)
        allowed = self.breaker.allows(self.now)
        assert allowed == (
            state is BreakerState.CLOSED or (state is BreakerState.HALF_OPEN and not self.probe)
        )
        if allowed and state is BreakerState.HALF_OPEN:
            self.probe = True
        elif allowed:
            self.plain += 1

    @precondition(lambda self: self.plain and not self.probe)
    @rule(failed=st.booleans())
    def end(self, failed: bool) -> None:
        """End a call that started while the breaker was closed."""
        self.plain -= 1
        before = self.breaker.state(self.now)
        self.breaker.record(failed=failed, now=self.now)
        after = self.breaker.state(self.now)
        if before is BreakerState.CLOSED:
            self.ends = [*self.ends, failed][-3:]
            opens = len(self.ends) == 3 and sum(self.ends) >= 2
            assert after is (BreakerState.OPEN if opens else BreakerState.CLOSED)
        else:
            assert after is before

    @precondition(lambda self: self.probe)
    @rule(failed=st.booleans())
    def end_probe(self, failed: bool) -> None:
        """End the probe."""
        self.probe = False
        self.breaker.record(failed=failed, now=self.now)
        self.ends = []
        expected = BreakerState.OPEN if failed else BreakerState.CLOSED
        assert self.breaker.state(self.now) is expected

    @precondition(lambda self: self.probe)
    @rule()
    def drop_probe(self) -> None:
        """Give the probe back unused."""
        self.probe = False
        self.breaker.release()
        assert self.breaker.state(self.now) is BreakerState.HALF_OPEN

    @invariant()
    def at_most_one_probe(self) -> None:
        """The breaker lends its probe once."""
        assert self.breaker.probing is self.probe

    @invariant()
    def it_always_comes_back(self) -> None:
        """After the longest rest the breaker is never open."""
        assert self.breaker.state(self.now + 8.0) is not BreakerState.OPEN


Machine.TestCase.settings = settings(
    max_examples=at_most(60), stateful_step_count=40, deadline=None
)
TestMachine = Machine.TestCase
