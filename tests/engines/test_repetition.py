"""A repetition ends at the third time, unless the source has it, too."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.engines.repetition import ends_in_repetition, repetition_end

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
        (list(range(25)) * 3, None),  # longer than is looked for
    ],
)
def test_a_repetition_ends_at_the_third_time(tokens: list[int], end: int | None) -> None:
    """One token alone needs eight times, as numbers have zeros."""
    assert repetition_end(tokens, []) == end


def test_what_the_source_repeats_is_no_repetition() -> None:
    """Cha cha cha."""
    assert not ends_in_repetition([1, 2, 1, 2, 1, 2], [9, 1, 2, 1, 2, 1, 2, 1])
    assert ends_in_repetition([1, 2, 1, 2, 1, 2], [9, 1, 2, 1, 2, 1])


@given(TOKENS, TOKENS)
def test_the_end_is_the_first_place(tokens: list[int], source: list[int]) -> None:
    """Found step by step or at once, a repetition ends at the same place."""
    found = [n for n in range(1, len(tokens) + 1) if ends_in_repetition(tokens[:n], source)]
    assert repetition_end(tokens, source) == (found[0] if found else None)
