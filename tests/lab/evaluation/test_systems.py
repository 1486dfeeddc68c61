"""The baselines that an engine has to beat."""

from __future__ import annotations

import pytest

from middleware import Outcome
from middleware.lab.evaluation.systems import BASELINES, baselines


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Could you please show me articles on heat transfer?", "heat transfer?"),
        ("papers about the flow of gases", "flow gases"),
        ("what is it", "what is it"),  # nothing would be left
        ("table top bandsaw for metal", "table top bandsaw metal"),
    ],
)
def test_the_stoplist_leaves_content(text: str, left: str) -> None:
    """Words of grammar and of requests go, in any case and with their punctuation."""
    assert baselines({"stoplist"})["stoplist"](text).query == left


def test_baselines_do_what_their_names_say() -> None:
    """Spelling mends plain words and nothing else; both together do both."""
    systems = baselines()
    assert tuple(systems) == BASELINES
    text = "please find me an espreso machien 15bar IPX7"
    assert systems["original"](text).query == text
    assert systems["spelling"](text).query == "please find me an espresso machine 15bar IPX7"
    assert systems["stoplist+spelling"](text).query == "espresso machine 15bar IPX7"


def test_what_did_not_change_is_said_to_be_unchanged() -> None:
    """Shares of rewritten queries count texts that differ, and the time is told."""
    spelling = baselines()["spelling"]
    assert spelling("espresso machine").outcome is Outcome.UNCHANGED
    changed = spelling("espreso machine")
    assert changed.outcome is Outcome.REWRITTEN
    assert changed.timings.total > 0
