"""What one client may take of the engine, and that nobody makes it grow."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware import ConfigurationError, RateLimiter


def test_a_burst_and_then_the_rate() -> None:
    rate_limiter = RateLimiter(2.0, burst=3)
    assert [rate_limiter.take("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert not rate_limiter.take("a", 0.4)
    assert rate_limiter.take("a", 0.5)
    assert not rate_limiter.take("a", 0.5)
    assert rate_limiter.take("b", 0.5), "another client has its own"
    assert [rate_limiter.take("a", 100.0) for _ in range(4)] == [True, True, True, False]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 5)), max_size=60),
    st.floats(0.1, 5),
    st.integers(1, 5),
)
def test_no_client_ever_has_more_than_its_burst_and_its_rate(
    asked: list[tuple[str, float]], rate: float, burst: int
) -> None:
    rate_limiter, now = RateLimiter(rate, burst=burst), 0.0
    taken: dict[str, int] = {}
    for client, pause in asked:
        now += pause
        taken[client] = taken.get(client, 0) + rate_limiter.take(client, now)
        assert taken[client] <= burst + rate * now + 1e-6


def test_a_clock_that_stands_or_goes_back_gives_nothing() -> None:
    rate_limiter = RateLimiter(1.0, burst=1)
    assert rate_limiter.take("a", 10.0)
    assert not any(rate_limiter.take("a", now) for now in (10.0, 9.0, 0.0, 10.9))
    assert rate_limiter.take("a", 11.0)


def test_clients_by_the_million_are_not_kept() -> None:
    rate_limiter = RateLimiter(1.0, max_entries=100)
    for number in range(1000):
        assert rate_limiter.take(number, float(number))
    assert len(rate_limiter) == 100


@pytest.mark.parametrize(
    "options", [{"rate": 0.0}, {"rate": -1.0}, {"burst": 0.5}, {"max_entries": 0}]
)
def test_bounds_have_to_make_sense(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="rate limit"):
        RateLimiter(**{"rate": 1.0, **options})
