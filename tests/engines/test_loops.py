"""Loops are told at the third time, and never where the text itself repeats."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.engines.loops import loop_end, loops

TOKENS = st.lists(st.integers(0, 5), max_size=40)


@pytest.mark.parametrize(
    ("tokens", "end"),
    [
        ([1, 2, 3, 2, 3, 2, 3], 7),
        ([1, 2, 3, 2, 3, 2, 3, 2, 3], 7),
        ([7] * 7, None),
        ([7] * 9, 8),
        ([4, 5, 6, 4, 5, 6], None),
        ([], None),
        (list(range(25)) * 3, None),  # too long to be told
    ],
)
def test_a_loop_ends_at_its_third_time(tokens: list[int], end: int | None) -> None:
    """One token alone needs eight times, as numbers have zeros."""
    assert loop_end(tokens, []) == end


def test_what_the_text_repeats_is_no_loop() -> None:
    """Cha cha cha."""
    assert not loops([1, 2, 1, 2, 1, 2], [9, 1, 2, 1, 2, 1, 2, 1])
    assert loops([1, 2, 1, 2, 1, 2], [9, 1, 2, 1, 2, 1])


@given(TOKENS, TOKENS)
def test_the_end_is_the_first_place(tokens: list[int], source: list[int]) -> None:
    """Told step by step or at once, a loop ends at the same place."""
    told = [n for n in range(1, len(tokens) + 1) if loops(tokens[:n], source)]
    assert loop_end(tokens, source) == (told[0] if told else None)
