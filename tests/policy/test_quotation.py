"""Quotations in a letter: found, and kept by every rewrite that passes."""

from __future__ import annotations

import pytest

from middleware import Acceptance, Reason
from middleware.policy.quotation import quotations, quoted_pieces

LETTER = 'could you find papers that tell what "all the world is a stage" means in hamlit please'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('say "a b" and “c”', ['"a b"', "“c”"]),
        ('12" wheel and 5" tyre', []),
        ("„genau“ und «là»", ["„genau“", "«là»"]),
        ("it's 'fine'", []),
        ("", []),
    ],
)
def test_quotations(text: str, found: list[str]) -> None:
    """Pairs of marks are found in order; inches and apostrophes are none."""
    assert quotations(text) == found


def test_pieces_that_a_quotation_touches() -> None:
    """Marks glued to a word make it part of what is quoted."""
    assert quoted_pieces('say "a b", now') == [False, True, True, False]


@pytest.mark.parametrize(
    ("rewrite", "reason"),
    [
        ('"all the world is a stage" hamlet', None),
        ('"all the world is a stage" means hamlet', None),
        ("all the world is a stage means hamlet", Reason.REJECTED_LOST_TERM),
        ('"all the world" means hamlet', Reason.REJECTED_LOST_TERM),
        ('"all the world is a stage means hamlet', Reason.REJECTED_LOST_TERM),
        ('"all the world is a stagge" means hamlet', Reason.REJECTED_LOST_TERM),
    ],
)
def test_a_rewrite_keeps_what_is_quoted(rewrite: str, reason: Reason | None) -> None:
    """A quotation comes through as it was, marks included, or the rewrite does not."""
    assert Acceptance(max_lost=0.5).check(LETTER, rewrite) is reason


def test_single_edits_leave_what_is_quoted() -> None:
    """Where a rewrite went too far, words around a quotation still go, its own never."""
    sent, reason = Acceptance().judge(LETTER, "hamlet be")
    assert reason is None
    assert sent is not None
    assert '"all the world is a stage"' in sent
    assert "hamlit" not in sent


SPACED = LETTER.replace("all the world", "all  the world")


@pytest.mark.parametrize(
    ("rewrite", "reason"),
    [
        ('"all  the world is a stage" hamlet', None),
        ('"all the world is a stage" hamlet', Reason.REJECTED_LOST_TERM),
        ('"all  the world  is a stage" hamlet', Reason.REJECTED_LOST_TERM),
    ],
)
def test_blanks_in_a_quotation_are_kept(rewrite: str, reason: Reason | None) -> None:
    """They are part of what is quoted."""
    assert Acceptance(max_lost=0.5).check(SPACED, rewrite) is reason


@pytest.mark.parametrize("rewrite", ["hamlet be", 'tell "all  the world is a stage" hamlet please'])
def test_edits_and_remains_leave_blanks_in_a_quotation(rewrite: str) -> None:
    """What is sent has the quotation as it was, or is the text."""
    sent, _ = Acceptance(max_lost=0.5).judge(SPACED, rewrite)
    assert sent is None or '"all  the world is a stage"' in sent
