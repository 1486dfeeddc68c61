"""Normal forms, expansion, conclusions, deadlines and edit distance."""

from __future__ import annotations

import unicodedata
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.core.deadline import Deadline
from middleware.core.edit_distance import close_spelling, edit_distance
from middleware.core.outcome import Mode, Outcome, Reason, Source
from middleware.core.reformulation import (
    Reformulation,
    Timings,
    Verdict,
    conclude,
    effective_query,
    expansion_terms,
)
from middleware.core.text import normalize, words


@given(st.text(st.characters(), max_size=60))
def test_normalize_is_idempotent_and_only_touches_white_space(text: str) -> None:
    """Normal forms are their own, hold single blanks, and keep every other character."""
    normal = normalize(text)
    assert normalize(normal) == normal
    assert normal == normal.strip()
    assert normal.split() == (normal.split(" ") if normal else [])
    composed = unicodedata.normalize("NFC", text)
    assert "".join(normal.split()) == "".join(composed.split())


@pytest.mark.parametrize(
    ("text", "normal"),
    [("  Red\t\nShoes ", "Red Shoes"), ("cafe\u0301", "café"), ('"Exact  Phrase"',
     '"Exact Phrase"'), ("don’t", "don’t"), ("ﬁne ½ ＡＢ", "ﬁne ½ ＡＢ"), ("a\u3000b", "a b")],
)  # fmt: skip
def test_normalize_keeps_case_accents_and_quotes(text: str, normal: str) -> None:
    """Only white space and composition change: no folding of compatible forms."""
    assert normalize(text) == normal


def test_expansion_terms_are_new_and_once_each() -> None:
    """Order and case are the rewrite's; what the original has in any case is left out."""
    assert expansion_terms("Red shose", "red Shoes footwear shoes") == ("Shoes", "footwear")
    assert expansion_terms("red shoes", "shoes red") == ()
    assert effective_query("red shose", "red shoes", Mode.EXPAND) == (
        "red shose shoes",
        ("shoes",),
    )
    assert effective_query("red shoes", "shoes", Mode.EXPAND) == ("red shoes", ())
    assert effective_query("red shose", "red shoes", Mode.REPLACE) == ("red shoes", ())


@given(st.text(max_size=40), st.text(max_size=40))
def test_expansion_keeps_the_original_and_holds_every_word(original: str, rewrite: str) -> None:
    """The expanded query starts with the original and has all words of the rewrite."""
    query, added = effective_query(original, rewrite, Mode.EXPAND)
    assert query.startswith(original)
    assert query == original or added
    known = {word.casefold() for word in words(original)}
    assert {word.casefold() for word in words(rewrite)} == {
        word.casefold() for word in words(rewrite) if word.casefold() in known
    } | {word.casefold() for word in added}


@pytest.mark.parametrize(
    ("verdict", "mode", "expected"),
    [
        (Verdict("red shoes"), Mode.REPLACE, (Outcome.REWRITTEN, "red shoes", None)),
        (Verdict("red shoes"), Mode.EXPAND, (Outcome.REWRITTEN, "red shose shoes", None)),
        (Verdict("red shose"), Mode.REPLACE, (Outcome.UNCHANGED, "red shose", None)),
        (Verdict("red"), Mode.EXPAND, (Outcome.UNCHANGED, "red shose", None)),
        (Verdict(), Mode.REPLACE, (Outcome.UNCHANGED, "red shose", None)),
        (Verdict(reason=Reason.REJECTED_LOOP), Mode.REPLACE,
         (Outcome.FALLBACK, "red shose", Reason.REJECTED_LOOP)),
        (Verdict(reason=Reason.UNENCODABLE), Mode.EXPAND,
         (Outcome.SKIPPED, "red shose", Reason.UNENCODABLE)),
    ],
)  # fmt: skip
def test_conclude(
    verdict: Verdict, mode: Mode, expected: tuple[Outcome, str, Reason | None]
) -> None:
    """A verdict and a mode give outcome, query and reason; the original is always kept."""
    result = conclude("red shose", verdict, mode, Source.MEMO, Timings(0.5))
    assert (result.outcome, result.query, result.reason) == expected
    assert result.original == "red shose"
    assert result.changed is (result.query != result.original)
    assert (result.source, result.timings.total) == (Source.MEMO, 0.5)


@pytest.mark.parametrize("reason", list(Reason))
def test_untouched_sends_the_original(reason: Reason) -> None:
    """Whatever the reason, the original goes on under the reason's outcome."""
    result = Reformulation.untouched("q", reason)
    assert (result.query, result.outcome, result.reason) == ("q", reason.outcome, reason)
    assert not result.changed


@given(st.floats(0, 1e6), st.floats(-10, 1e3), st.floats(0, 1e6))
def test_deadline(now: float, budget: float, later: float) -> None:
    """Time left is never negative, is nothing once passed, and deadlines nest by minimum."""
    deadline = Deadline.after(now, budget)
    assert deadline.at >= now
    assert deadline.remaining(later) >= 0.0
    assert deadline.passed(later) is (deadline.remaining(later) == 0.0)
    assert deadline.passed(deadline.at)
    assert min(deadline, Deadline.after(now, 5.0)).at == min(deadline.at, now + 5.0)


def slow_distance(a: str, b: str) -> int:
    """Optimal string alignment, as its definition says."""

    @cache
    def distance(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        best = min(
            distance(i - 1, j) + 1,
            distance(i, j - 1) + 1,
            distance(i - 1, j - 1) + (a[i - 1] != b[j - 1]),
        )
        if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
            best = min(best, distance(i - 2, j - 2) + 1)
        return best

    return distance(len(a), len(b))


SHORT = st.text("abc", max_size=7)


@given(SHORT, SHORT, st.integers(0, 8))
def test_edit_distance_against_its_definition(a: str, b: str, limit: int) -> None:
    """Within the limit the distance is exact; beyond, it is one more than the limit."""
    assert edit_distance(a, b, limit) == min(slow_distance(a, b), limit + 1)
    assert edit_distance(a, b, limit) == edit_distance(b, a, limit)


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
