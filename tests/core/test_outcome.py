"""The vocabulary: each reason has its outcome, and every word can stand in a header."""

from __future__ import annotations

import re

import pytest

from middleware import ConfigurationError, Mode, Outcome, Reason, Source

# RFC 9651, 3.3.4: sf-token = ( ALPHA / "*" ) *( tchar / ":" / "/" )
TOKEN = re.compile(r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*")


@pytest.mark.parametrize("reason", list(Reason))
def test_each_reason_has_an_outcome_and_an_explanation(reason: Reason) -> None:
    """A reason belongs to ``skipped`` or ``fallback`` and says in a sentence what happened."""
    assert reason.outcome in (Outcome.SKIPPED, Outcome.FALLBACK)
    assert len(reason.explanation.split()) >= 4
    assert reason.explanation[0].islower()
    assert not reason.explanation.endswith(".")
    assert {each.value: each for each in Reason}[reason.value] is reason


@pytest.mark.parametrize("word", [*Reason, *Outcome, *Source, *Mode])
def test_words_are_tokens(word: str) -> None:
    """Words are lower-case RFC 9651 tokens and format as themselves."""
    assert TOKEN.fullmatch(word)
    assert word == word.lower() == str(word) == f"{word}"


def test_explanations_differ_and_rejections_are_fallbacks() -> None:
    """No two reasons say the same, and what acceptance refuses is a fallback."""
    assert len({reason.explanation for reason in Reason}) == len(Reason)
    rejected = [reason for reason in Reason if reason.startswith("rejected_")]
    assert {reason.outcome for reason in rejected} == {Outcome.FALLBACK}


def test_mode_parses_its_words() -> None:
    """A word names its mode; any other is told with the words there are."""
    assert [Mode.parse(mode.value) for mode in Mode] == list(Mode)
    with pytest.raises(ConfigurationError, match="replace, expand, shadow, off"):
        Mode.parse("Replace")
