"""What is slow, and what hangs, against what is usual of the engine itself."""

from __future__ import annotations

import math

import pytest

from middleware import Breaker, BreakerState, ConfigurationError, SlowCallDetector


def used(seconds: float, *, above: float = 0.1) -> SlowCallDetector:
    slow_calls = SlowCallDetector(above=above)
    for _ in range(30):
        assert not slow_calls.observe(10, seconds)
    return slow_calls


def test_nothing_is_slow_before_a_call_was_seen() -> None:
    slow_calls = SlowCallDetector()
    assert slow_calls.slow_after(10) == math.inf
    assert not slow_calls.observe(10, 60.0)
    assert SlowCallDetector().hangs_after(10) < 60


def test_twenty_times_slower_is_slow_and_in_time_is_not() -> None:
    slow_calls = used(0.010)
    assert not slow_calls.observe(10, 0.099)
    assert slow_calls.observe(10, 0.200)
    assert not used(0.001).observe(10, 0.020), "within the budget all the same"


def test_an_engine_that_was_always_slow_is_not() -> None:
    slow_calls = used(1.0)
    assert not slow_calls.observe(10, 2.0)
    assert slow_calls.hangs_after(10) > 10


@pytest.mark.parametrize("tokens", [10, 40])
def test_what_stays_slower_is_usual_in_the_end_and_not_sooner(tokens: int) -> None:
    slow_calls = used(0.010)
    slow = [slow_calls.observe(tokens, 0.200) for _ in range(400)]
    assert all(slow[:10])
    assert not any(slow[-10:])


@pytest.mark.parametrize("options", [{"factor": 1.0}, {"above": 0.0}, {"factor": math.nan}])
def test_nonsense_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="slow calls"):
        SlowCallDetector(**options)


def test_a_breaker_that_is_tripped_opens_and_a_hanging_probe_doubles_the_rest() -> None:
    breaker = Breaker(cooldown=5.0)
    breaker.trip(0.0)
    assert breaker.state(4.9) is BreakerState.OPEN
    breaker.trip(4.0)
    assert breaker.allows(5.0), "tripping an open one again changes nothing"
    breaker.trip(6.0)
    assert breaker.state(15.9) is BreakerState.OPEN
    assert breaker.allows(16.0)
    breaker.record(failed=False, now=16.0)
    assert breaker.state(16.0) is BreakerState.CLOSED
