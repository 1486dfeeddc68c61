"""Which words may be spellings of one another."""

from __future__ import annotations

import pytest

from middleware.policy.spelling import close_spelling


@pytest.mark.parametrize(
    ("a", "b", "close"),
    [("shose", "shoes", True), ("teh", "the", True), ("tv", "tc", False), ("red", "blue", False),
     ("recieve", "receive", True), ("accomodation", "accommodation", True), ("lamp", "camera",
     False), ("boots", "booths", True), ("definately", "definitely", True)],
)  # fmt: skip
def test_close_spelling(a: str, b: str, close: bool) -> None:
    """Misspellings are close, other words are not, in either order."""
    assert close_spelling(a, b) is close
    assert close_spelling(b, a) is close
