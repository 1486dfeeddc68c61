"""The index of words by distance: what it finds is what measuring them all would find."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from middleware.engines.spelling_index import SpellingIndex

words = st.text("abcdez", min_size=1, max_size=7)


@given(st.lists(words, unique=True, max_size=60), words, st.integers(0, 2))
def test_the_same_as_measuring_all(known: list[str], word: str, distance: int) -> None:
    """No near word is passed over for its letters."""
    near = {other for other in known if OSA.distance(word, other) <= distance}
    assert set(SpellingIndex(known).within(word, distance)) == near


@pytest.mark.parametrize(
    ("word", "distance", "found"),
    [("flta", 1, ["flat"]), ("lfat", 1, ["flat"]), ("flax", 1, ["flat"]), ("loan", 2, [])],
)
def test_edits(word: str, distance: int, found: list[str]) -> None:
    """A swap of neighbours is one edit, as another letter is."""
    assert SpellingIndex(["flat", "screen"]).within(word, distance) == found


def test_only_what_starts_so() -> None:
    """Other first letters are left out where some are given."""
    index = SpellingIndex(["cat", "hat"])
    assert index.within("bat", 1, "c") == ["cat"]
    assert sorted(index.within("bat", 1)) == ["cat", "hat"]
