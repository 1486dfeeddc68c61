"""The record of first pages: what it returns, and what bounds it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware import ConfigurationError, PaginationKey, PaginationMemory, SentQuery


def key(text: str = "red lamp", **other: Any) -> PaginationKey:
    """Make a key."""
    return PaginationKey("", "me", "/i/_search", text, True)._replace(**other)


def test_a_later_page_has_what_the_first_one_was_sent_with() -> None:
    """The last first page counts, also one that was sent as it came."""
    pages = PaginationMemory()
    assert pages.first(key(), 0.0) is None
    pages.note(key(), SentQuery("lamp", ("light",)), 0.0)
    assert pages.first(key(), 1.0) == ("lamp", ("light",))
    pages.note(key(), SentQuery("red light"), 2.0)
    assert pages.first(key(), 3.0) == ("red light", ())
    pages.note(key(), None, 4.0)
    assert pages.first(key(), 5.0) is None
    assert len(pages) == 0


@pytest.mark.parametrize(
    "other",
    [
        {"scope": "b"},
        {"client": "you"},
        {"path": "/j/_search"},
        {"text": "Red lamp"},
        {"expands": False},
    ],
)
def test_other_searches_have_nothing_to_do_with_it(other: dict[str, Any]) -> None:
    """Each part of the key tells searches apart."""
    pages = PaginationMemory()
    pages.note(key(), SentQuery("lamp"), 0.0)
    pages.note(key(**other), None, 0.0)
    assert pages.first(key(**other), 0.0) is None
    assert pages.first(key(), 0.0) == SentQuery("lamp")


def test_entries_leave_some_time_after_the_last_page() -> None:
    """Each page read makes the time anew; an entry that has had its time is gone."""
    pages = PaginationMemory(ttl=10.0)
    pages.note(key(), SentQuery("lamp"), 0.0)
    pages.note(key("other"), SentQuery("x"), 1.0)
    assert pages.first(key(), 9.0) is not None
    assert pages.first(key("other"), 11.0) is None
    assert len(pages) == 1
    assert pages.first(key(), 18.9) is not None
    assert pages.first(key(), 28.9) is None
    assert len(pages) == 0


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["note", "clear", "first"]),
            st.integers(0, 6),
            st.floats(0, 4, allow_nan=False),
        ),
        max_size=60,
    )
)
def test_it_does_what_a_plain_list_would_do(steps: list[tuple[str, int, float]]) -> None:
    """Bounds hold at every step, and nothing is returned that a simple model has not."""
    pages = PaginationMemory(max_entries=3, ttl=5.0)
    model: list[tuple[int, float, str]] = []
    now = 0.0
    for count, (step, number, passed) in enumerate(steps):
        now += passed
        model = [entry for entry in model if entry[1] > now]
        kept = [entry for entry in model if entry[0] != number]
        mine = [entry for entry in model if entry[0] == number]
        if step == "first":
            found = pages.first(key(str(number)), now)
            assert found == (SentQuery(mine[0][2]) if mine else None)
            model = kept + [(number, now + 5.0, entry[2]) for entry in mine]
        elif step == "note":
            pages.note(key(str(number)), SentQuery(str(count)), now)
            model = [*kept, (number, now + 5.0, str(count))][-3:]
        else:
            pages.note(key(str(number)), None, now)
            model = kept
        assert len(pages) == len(model)


@pytest.mark.parametrize("options", [{"max_entries": 0}, {"ttl": 0.0}, {"ttl": float("nan")}])
def test_bounds_have_to_make_sense(options: dict[str, Any]) -> None:
    """What is wrong is told at construction."""
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        PaginationMemory(**options)
