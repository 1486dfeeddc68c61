"""Normal forms, expansion, conclusions, deadlines and edit distance."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware import Deadline, Mode, Outcome, Reason, Reformulation, Source, Timings, Verdict
from middleware.core.reformulation import conclude, expansion_terms
from middleware.core.text import normalize, words


@given(st.text(st.characters(), max_size=60))
def test_normalize_is_idempotent_and_only_touches_white_space(text: str) -> None:
    """Normal forms are their own, hold single blanks but in quotations, and keep the rest."""
    normal = normalize(text)
    assert normalize(normal) == normal
    assert normal == normal.strip()
    if not any(mark in normal for mark in "\"'`“”„‟‘’‚‛«»‹›「『《〈〝＂❝❛"):
        assert normal.split() == (normal.split(" ") if normal else [])
    composed = unicodedata.normalize("NFC", text)
    assert "".join(normal.split()) == "".join(composed.split())


@pytest.mark.parametrize(
    ("text", "normal"),
    [("  Red\t\nShoes ", "Red Shoes"), ("cafe\u0301", "café"), ('"Exact  Phrase"',
     '"Exact  Phrase"'), ("don’t", "don’t"), ("ﬁne ½ ＡＢ", "ﬁne ½ ＡＢ"), ("a\u3000b", "a b")],
)  # fmt: skip
def test_normalize_keeps_case_accents_and_quotes(text: str, normal: str) -> None:
    """Only white space and composition change: no folding of compatible forms."""
    assert normalize(text) == normal


def test_expansion_terms_are_new_and_once_each() -> None:
    """Order and case are the rewrite's; what the original has in any case is left out."""
    assert expansion_terms("Red shose", "red Shoes footwear shoes") == ("Shoes", "footwear")
    assert expansion_terms("red shoes", "shoes red") == ()
    assert expanded("red shose", "red shoes") == ("red shose shoes", ("shoes",))
    assert expanded("red shoes", "shoes") == ("red shoes", ())


def expanded(original: str, rewrite: str) -> tuple[str, tuple[str, ...]]:
    found = conclude(original, Verdict(rewrite), Mode.EXPAND, Source.ENGINE)
    return found.query, found.added


@given(st.text(max_size=40), st.text(max_size=40))
def test_expansion_keeps_the_original_and_holds_every_word(original: str, rewrite: str) -> None:
    """The expanded query starts with the original and has all words of the rewrite."""
    query, added = expanded(original, rewrite)
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
