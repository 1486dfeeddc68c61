"""Measures against their definitions."""

from __future__ import annotations

from math import log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from middleware import ConfigurationError
from middleware.lab.evaluation.measures import MEASURES, measured


def _ndcg(order: list[str], grades: dict[str, int], exponential: bool) -> float:
    def gain(grade: int) -> float:
        return 2.0**grade - 1 if exponential else float(grade)

    found = sum(gain(grades.get(d, 0)) / log2(i + 2) for i, d in enumerate(order[:10]))
    ideal = sorted(grades.values(), reverse=True)[:10]
    return found / sum(gain(grade) / log2(i + 2) for i, grade in enumerate(ideal))


@settings(max_examples=50, deadline=None)
@given(
    order=st.permutations([f"d{i}" for i in range(15)]),
    grades=st.dictionaries(
        st.sampled_from([f"d{i}" for i in range(18)]), st.integers(1, 3), min_size=1
    ),
    exponential=st.booleans(),
)
def test_values_are_those_of_the_definitions(
    order: list[str], grades: dict[str, int], exponential: bool
) -> None:
    """NDCG, reciprocal rank within ten and recall, computed again by hand."""
    hits = {"q": [(document, 1.0 - i / 100) for i, document in enumerate(order)]}
    gain = "exponential" if exponential else "linear"
    values = measured(hits, {"q": grades}, gain=gain)["q"]
    ranks = [i for i, document in enumerate(order[:10], 1) if document in grades]
    assert values["ndcg@10"] == pytest.approx(_ndcg(order, grades, exponential), abs=1e-4)
    assert values["mrr@10"] == pytest.approx(1 / ranks[0] if ranks else 0.0, abs=1e-4)
    assert values["recall@100"] == pytest.approx(
        sum(document in grades for document in order) / len(grades), abs=1e-4
    )


def test_a_query_without_hits_measures_nothing() -> None:
    """It counts as 0 and is not left out of the mean."""
    values = measured({"a": [("d", 1.0)], "b": []}, {"a": {"d": 1}, "b": {"d": 1}})
    assert values["a"] == dict.fromkeys(MEASURES, 1.0)
    assert values["b"] == dict.fromkeys(MEASURES, 0.0)


def test_grades_below_one_are_not_relevant() -> None:
    """A judgment of 0 or less says that a document is wrong."""
    values = measured({"a": [("bad", 2.0), ("d", 1.0)]}, {"a": {"bad": -1, "d": 2}})
    assert values["a"]["mrr@10"] == pytest.approx(0.5)


def test_an_unknown_gain_is_refused() -> None:
    """By name, with those there are."""
    with pytest.raises(ConfigurationError, match="linear"):
        measured({}, {}, gain="cubic")


def test_grades_that_are_too_large_for_the_gain_are_told() -> None:
    """Two to the power of a percentage is no gain; as it is, it measures."""
    qrels = {"q": {"d": 100, "e": 50}}
    with pytest.raises(ConfigurationError, match="--gain linear"):
        measured({"q": [("d", 1.0)]}, qrels)
    assert measured({"q": [("d", 1.0)]}, qrels, gain="linear")["q"]["mrr@10"] == 1.0
