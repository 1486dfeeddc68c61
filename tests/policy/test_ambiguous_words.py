"""Words of grammar that are now and then the very thing that is searched for."""

from __future__ import annotations

import pytest

from middleware import Acceptance
from middleware.policy.request_words import droppable_words

MEANT = [
    ("stainless steel can opener for seniors", "can"),
    ("what is the best trash can for a kitchen", "can"),
    ("can opener", "can"),
    ("how to contest a will in the state of texas", "will"),
    ("at will employment rules", "will"),
    ("will smith movies", "will"),
    ("what happens in may 2021", "may"),
    ("may day parade", "may"),
    ("holidays in May", "may"),
    ("visa rules for us citizens in japan", "us"),
    ("what are the best us universities", "us"),
    ("cost of living in the us", "us"),
    ("flights to the us in may", "us"),
    ("how to outsource it support for a small company", "it"),
    ("who guidelines on masks in schools", "who"),
    ("difference between where and having clause in sql", "where"),
    ("difference between where and having clause in sql", "having"),
    ("how to leave a do while loop", "do"),
    ("how to leave a for loop in python", "for"),
    ("under armour shirt", "under"),
    ("laptop under 500 dollars", "under"),
    ("movies like before sunrise", "before"),
    ("off white shoes", "off"),
    ("right to work laws by state", "right"),
    ("how to get an order of protection form", "order"),
]
GRAMMAR = [
    ("can dogs eat raw grapes", "can"),
    ("which foods can cause cancer in dogs", "can"),
    ("what can i plant in spring", "can"),
    ("foods that may harm dogs", "may"),
    ("will it rain in paris", "will"),
    ("show us some red lamps please", "us"),
    ("could you please help us find lamps", "us"),
    ("let us know about cheap hotels", "us"),
    ("is it safe to eat raw eggs", "it"),
    ("i would like to know who invented the telephone", "who"),
    ("where can i buy lamps", "where"),
    ("what is the price for a lamp", "for"),
    ("please tell me right now about red lamps", "right"),
    ("i want to order red lamps online", "order"),
    ("could you find out more about red lamps", "out"),
]


def goes(text: str, word: str) -> bool:
    """Tell whether the last word of this name may go."""
    return dict(droppable_words(text))[word]


@pytest.mark.parametrize(("text", "word"), MEANT)
def test_a_word_that_is_meant_stays(text: str, word: str) -> None:
    assert not goes(text, word)
    found = text.split()
    at = [piece.casefold() for piece in found].index(word)
    without = " ".join(found[:at] + found[at + 1 :])
    sent, _ = Acceptance().judge(text, without)
    assert sent is None or word in sent.casefold().split()


@pytest.mark.parametrize(("text", "word"), GRAMMAR)
def test_a_word_of_grammar_may_go(text: str, word: str) -> None:
    assert goes(text, word)


def test_what_a_rewrite_left_out_of_the_query_is_put_back() -> None:
    """The rest of the rewrite is as good as it was."""
    text = "what is the best stainless steel can opener for seniors"
    sent, _ = Acceptance().judge(text, "best stainless steel opener seniors")
    assert sent is not None
    assert "steel can opener" in sent
