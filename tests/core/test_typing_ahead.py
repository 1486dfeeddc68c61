"""Which of a client's texts are still being typed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware import ConfigurationError, TypingAhead


def judged(*texts: tuple[float, str]) -> list[bool]:
    """Tell of each of one client's texts, at its second, whether it is still being typed."""
    typing = TypingAhead(window=1.0)
    return [typing.is_typing("me", text, now) for now, text in texts]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([(0.0, "re"), (0.2, "red"), (0.4, "red "), (0.6, "red l")], [False, True, True, True]),
        ([(0.0, "red lamp"), (0.3, "red lam"), (0.6, "red la")], [False, True, True]),
        ([(0.0, "re"), (0.3, "red"), (0.6, "red")], [False, True, False]),
        ([(0.0, "red"), (1.0, "red lamp")], [False, True]),
        ([(0.0, "red"), (1.1, "red lamp"), (1.2, "red lamps")], [False, False, True]),
        ([(0.0, "red lamp"), (0.2, "blue chair")], [False, False]),
        ([(0.0, ""), (0.2, "r")], [False, False]),
        ([(0.0, "red lamp"), (0.1, "")], [False, True]),
    ],
)
def test_rows(texts: list[tuple[float, str]], expected: list[bool]) -> None:
    """Texts of a row are under way; the same again, after a pause, or another one is not."""
    assert judged(*texts) == expected


def test_clients_do_not_type_for_each_other() -> None:
    """One asks for a word, another for that word and more: both texts are finished."""
    typing = TypingAhead()
    assert not typing.is_typing("me", "red", 0.0)
    assert not typing.is_typing("you", "red lamp", 0.1)
    assert typing.is_typing("me", "red l", 0.2)


@given(text=st.text(min_size=2, max_size=20), gap=st.floats(0, 0.999))
def test_every_text_between_the_first_and_the_pause_is_left_alone(text: str, gap: float) -> None:
    """Whatever is typed, key by key; and the whole of it, asked for again, is finished."""
    typed = [(gap * count, text[: count + 1]) for count in range(len(text))]
    again = (typed[-1][0] + gap, text)
    assert judged(*typed, again) == [False, *[True] * (len(text) - 1), False]


def test_clients_that_are_remembered_are_bounded() -> None:
    """The one that was quiet for longest is forgotten first."""
    typing = TypingAhead(max_entries=2)
    for client in ("a", "b", "a", "c"):
        typing.is_typing(client, "red", 0.0)
    assert len(typing) == 2
    assert typing.is_typing("a", "red l", 0.1)
    assert not typing.is_typing("b", "red l", 0.1)


def test_what_is_kept_of_them_is_bounded() -> None:
    """Who was quiet for longer than the window leaves, and a long text is never kept."""
    typing = TypingAhead(window=1.0, max_chars=10)
    for number in range(100):
        typing.is_typing(number, "red", number / 10)
    assert len(typing) == 11
    assert not typing.is_typing("me", "red lamps o", 10.0)
    assert not typing.is_typing("me", "red lamps on", 10.1), "no typing is so long"
    assert typing.is_typing("me", "red lamp", 10.2) is False
    assert not typing.is_typing("me", "red lamps on", 10.3)
    assert not typing.is_typing("me", "red lamps", 10.4), "nor is what comes after it"
    assert typing.is_typing("me", "red lamps ", 10.5)


@pytest.mark.parametrize(
    "options",
    [{"window": 0.0}, {"window": float("nan")}, {"max_entries": 0}, {"max_chars": 0}],
)
def test_bounds_have_to_make_sense(options: dict[str, Any]) -> None:
    """What is wrong is told at construction."""
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        TypingAhead(**options)
