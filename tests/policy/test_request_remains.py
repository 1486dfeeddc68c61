"""What is left of a request that a rewrite took away for the most part."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware import Acceptance, Mode
from middleware.core.text import words
from middleware.policy.request_remains import without_remains
from middleware.policy.request_words import droppable_words


@pytest.mark.parametrize(
    ("text", "rewrite", "rest"),
    [
        ("do me a favor and pull up some drill bits", "favor pull drill bits", "drill bits"),
        ("my son asked about red bikes and i have no clue", "red bikes clue", "red bikes"),
        ("where can one find what oil lamps cost", "find oil lamps cost", "oil lamps cost"),
        (
            "has a lamp been made for the use of sailors",
            "lamp been made for the use of sailors",
            "lamp made use sailors",
        ),
        (
            "red lamps, especially those for the ships of sailors",
            "red lamps those for the ships of sailors",
            "red lamps ships sailors",
        ),
        ("would you have something about oil lamps", "about oil lamps", "oil lamps"),
    ],
)
def test_the_rest_of_a_request_goes(text: str, rewrite: str, rest: str) -> None:
    """Words ahead of the query and behind it go once most of their request has gone."""
    assert without_remains(text, rewrite) == rest


@pytest.mark.parametrize(
    ("text", "rewrite"),
    [
        ("how to list files python", "list files python"),
        ("what is the who tour", "who tour"),
        ("how to make a lamp", "make lamp"),
        ("how to buy my lamp", "buy lamp"),
        ("looking for flights from paris to rome", "flights from paris to rome"),
        ("the lamps of the ships for the sailors", "the lamps of the ships for the sailors"),
        ("the isoform A of the red lamp is in use", "isoform A red lamp use"),
        ("can you search my lamps", "you search my lamps"),
        ("show me the show", "show"),
        ("what is it", "what"),
        ("red lamps", "red lamp's shade"),
        ("red lamps", ""),
    ],
)
def test_what_may_belong_to_the_query_stays(text: str, rewrite: str) -> None:
    """Nothing goes that touches the query, or of a request that was mostly kept."""
    assert without_remains(text, rewrite) == rewrite


def test_words_are_only_left_out_where_the_original_is_not_kept() -> None:
    """In ``expand`` mode the rewrite stands beside the text, and stays as it is."""
    text, rewrite = "my son asked about red bikes and i have no clue", "red bikes clue"
    assert Acceptance().judge(text, rewrite, Mode.REPLACE) == ("red bikes", None)
    assert Acceptance().judge(text, rewrite, Mode.EXPAND) == (rewrite, None)


_WORDS = st.sampled_from(
    "can you me my the a about for of show find lamp red list what who please clue and one".split()
)


@given(st.lists(_WORDS, max_size=10), st.lists(_WORDS, max_size=8))
def test_only_words_that_may_go_do(text: list[str], rewrite: list[str]) -> None:
    """The result is the rewrite, in its order, without words that the text could do without."""
    asked, made = " ".join(text), " ".join(rewrite)
    rest = iter(rewrite)
    result = without_remains(asked, made).split()
    assert all(word in rest for word in result)
    gone = Counter(rewrite) - Counter(result)
    assert gone.keys() <= {word for word, may in droppable_words(asked) if may}


@given(st.lists(_WORDS, max_size=8))
def test_the_text_itself_is_whole(text: list[str]) -> None:
    """A copy keeps all of its request."""
    asked = " ".join(text)
    assert words(without_remains(asked, asked)) == text


@pytest.mark.parametrize(
    ("text", "rewrite", "wanted"),
    [
        (
            "for my mum's birthday next week i'd like to see red lamps if you have any",
            "mum's birthday next week i'd like see red lamps",
            "mum's birthday next week red lamps",
        ),
        (
            "It\u2019s a bit random, but could you find red lamps? My book club meets tonight",
            "It\u2019s bit random but find red lamps? book club meets tonight",
            "bit random red lamps? book club meets tonight",
        ),
        (
            "my wife sent me in to ask about red lamps because she's been ill",
            "wife sent ask red lamps because she's ill",
            "wife sent red lamps ill",
        ),
        # No one asks here, or not in an unbroken run.
        (
            "how to list files in a folder of mine",
            "list files folder",
            "list files folder",
        ),
        (
            "what is the best way to find help for children who need it",
            "best way find help children need",
            "best way find help children",
        ),
    ],
)
def test_a_request_inside_of_a_query_goes_as_a_whole(text: str, rewrite: str, wanted: str) -> None:
    """Somebody asks in it: a pronoun, a verb of asking, and nothing else between."""
    sent, reason = Acceptance().judge(text, rewrite)
    assert (sent or text, reason) == (wanted, None)
