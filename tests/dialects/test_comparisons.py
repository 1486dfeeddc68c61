"""Looking for texts inside of others: found as long as it is cheap, taken for found beyond."""

from __future__ import annotations

from middleware.dialects.comparisons import Comparisons


def test_short_values_are_searched() -> None:
    compared = Comparisons()
    for number in range(1000):
        assert compared.may_hold(f"color = red AND size = {number}", "color = red")
        assert not compared.may_hold(f"color = blue AND size = {number}", "color = red")


def test_a_longer_text_costs_nothing() -> None:
    compared = Comparisons(10)
    for _ in range(100):
        assert not compared.may_hold("lamp", "red lamp")
    assert compared.allow("lamp", "la")


def test_beyond_the_bound_a_text_counts_as_found() -> None:
    compared = Comparisons(100)
    assert not compared.may_hold("a" * 20, "b" * 5)
    assert compared.may_hold("a" * 20, "b" * 5)
    assert not compared.allow("a", "b")


def test_long_values_are_cheap() -> None:
    compared = Comparisons()
    assert not compared.may_hold("a " * 40_000, "b" * 4000)
    assert compared.allow("a", "b")
