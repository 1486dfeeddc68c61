"""The cost model: converges, follows changes, is never negative."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.core.cost_model import CostModel, text_cost

TOKENS = st.integers(0, 2_000)
SECONDS = st.floats(0.0, 60.0, allow_nan=False)


def test_knows_nothing_at_first() -> None:
    """Before any call the cost is 0, so that the first call is made."""
    assert CostModel().predict(100) == 0.0
    assert text_cost("") == 1
    assert text_cost("x" * 40) == 11


@given(st.floats(1e-3, 0.2), st.floats(0.0, 5e-3), st.permutations(range(5, 65, 5)))
def test_converges_on_a_line(fixed: float, slope: float, sizes: list[int]) -> None:
    """Calls that cost ``fixed + slope * tokens`` are predicted within 1 %, outside too."""
    model = CostModel()
    for _ in range(3):
        for tokens in sizes:
            model.observe(tokens, fixed + slope * tokens)
    for tokens in (5, 30, 80):
        assert model.predict(tokens) == pytest.approx(fixed + slope * tokens, rel=0.01)


@given(st.lists(st.tuples(TOKENS, SECONDS), max_size=30), TOKENS)
def test_never_negative_and_never_wild(calls: list[tuple[int, float]], tokens: int) -> None:
    """A prediction lies between 0 and the dearest call, scaled up by size; more is no cheaper."""
    model = CostModel()
    for seen, seconds in calls:
        model.observe(seen, seconds)
    prediction = model.predict(tokens)
    assert prediction >= 0.0
    assert model.predict(tokens + 10) >= prediction - 1e-9
    dearest = max((seconds for _, seconds in calls), default=0.0)
    smallest = max(1, min((seen for seen, _ in calls), default=1))
    assert prediction <= dearest * max(1.0, tokens / smallest) * (1 + 1e-6) + 1e-9


@given(st.integers(0, 500), st.lists(st.floats(0.01, 0.02), min_size=1, max_size=20))
def test_calls_of_one_size_give_their_mean(tokens: int, times: list[float]) -> None:
    """With one size seen no slope is made up."""
    model = CostModel()
    for seconds in times:
        model.observe(tokens, seconds)
    assert min(times) - 1e-9 <= model.predict(tokens) <= max(times) + 1e-9
    assert model.predict(tokens + 50) == pytest.approx(model.predict(tokens))


def test_follows_a_slower_machine_within_some_calls() -> None:
    """Five calls of four times the cost move the prediction more than half of the way."""
    model = CostModel()
    for _ in range(50):
        model.observe(20, 0.01)
    for _ in range(5):
        model.observe(20, 0.04)
    assert 0.025 < model.predict(20) < 0.04


def test_follows_recovery_within_two_calls() -> None:
    """After a stall of a second, two calls of 10 ms bring the prediction below 100 ms."""
    model = CostModel()
    for _ in range(50):
        model.observe(20, 1.0)
    model.observe(20, 0.01)
    assert model.predict(20) < 0.4
    model.observe(22, 0.01)
    assert model.predict(20) < 0.1
    model.observe(18, 0.01)
    assert model.predict(20) < 0.02
