"""Typos and requests: what they change, and that training shares none of them."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from middleware.lab.evaluation.typos import misspelled, misspelled_word
from middleware.lab.evaluation.variants import TEMPLATES, VARIANTS, as_request, variant
from middleware.lab.training import phrases, wrappers

_QUERY = "wireless headphones without microphone USB-C 20 hours 1.75 iPhone NASA c++ B07NCQWCQS"
_WORD = st.text("abcdefghijklmnopqrstuvwxyz", min_size=4, max_size=12)


@given(word=_WORD, seed=st.integers(0, 2**32))
def test_a_typo_is_near_the_word_and_never_the_word(word: str, seed: int) -> None:
    """A typo changes a word by a few letters at most."""
    wrong = misspelled_word(word, random.Random(seed))
    assert wrong != word
    assert abs(len(wrong) - len(word)) <= 2


def test_most_typos_are_readable() -> None:
    """Nearly all typos are at most two edits away from the word."""
    words = "relevant necessary independent pressure aerodynamic beginner kitchen leather".split()
    drawn = [
        (word, misspelled_word(word, random.Random(seed))) for word in words for seed in range(50)
    ]
    near = sum(OSA.distance(wrong, word) <= 2 for word, wrong in drawn)
    assert near > 0.95 * len(drawn)


@given(seed=st.integers(0, 2**32), count=st.integers(1, 6))
def test_what_must_stay_is_never_misspelled(seed: int, count: int) -> None:
    """Numbers, units, negations, acronyms and identifiers keep every character."""
    typed = misspelled(_QUERY, count, random.Random(seed)).split()
    for before, after in zip(_QUERY.split(), typed, strict=True):
        if before not in ("wireless", "headphones", "microphone"):
            assert before == after
    changed = sum(a != b for a, b in zip(_QUERY.split(), typed, strict=True))
    assert changed == min(count, 3)


def test_a_text_without_plain_words_stays() -> None:
    """There is nothing to misspell in a part number."""
    assert misspelled("B07NCQWCQS 20 cm", 2, random.Random(1)) == "B07NCQWCQS 20 cm"


def test_variants_depend_on_the_seed_and_the_query_alone() -> None:
    """The same arguments give the same text, in any order of asking."""
    texts = {name: variant(name, "q7", "thin leather strap", 3) for name in VARIANTS}
    again = {name: variant(name, "q7", "thin leather strap", 3) for name in reversed(VARIANTS)}
    assert texts == again
    assert texts["clean"] == "thin leather strap"
    others = {variant("typo1", f"q{i}", "thin leather strap", 3) for i in range(20)}
    assert len(others) > 10


def test_both_together_are_each_alone() -> None:
    """The request of one and the error of the other."""
    text = "thin leather strap"
    request = variant("chatty", "q7", text, 3)
    typo = variant("typo1", "q7", text, 3)
    assert variant("chatty+typo1", "q7", text, 3) == request.replace(text, typo)


def test_a_request_keeps_the_text() -> None:
    """Only a full stop or a question mark at the end goes."""
    for seed in range(50):
        request = as_request("what is lift?", random.Random(seed), TEMPLATES["chatty"])
        assert "what is lift" in request


def _parts() -> set[tuple[str, ...]]:
    """Return the phrases that the requests of training are made of."""
    found: set[str] = set()
    for name, value in vars(phrases).items():
        if name.isupper():
            for phrase in value:
                found.update((phrase,) if isinstance(phrase, str) else phrase)
    assert len(found) > 200
    return {tuple(_words(phrase)) for phrase in found if phrase}


def _words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())


def _made_of(words: list[str], parts: set[tuple[str, ...]]) -> bool:
    """Tell whether the words are a sequence of parts."""
    reached = {0}
    for start in range(len(words)):
        if start in reached:
            reached |= {
                start + len(part)
                for part in parts
                if tuple(words[start : start + len(part)]) == part
            }
    return len(words) in reached


@pytest.mark.parametrize("template", [*TEMPLATES["chatty"], *TEMPLATES["rambling"]])
def test_no_request_can_be_made_from_parts_of_training(template: str) -> None:
    """The generator of training cannot produce a template of the evaluation."""
    front, _, back = template.partition("{}")
    parts = _parts()
    assert not (_made_of(_words(front), parts) and _made_of(_words(back), parts))


def test_segmentation_finds_what_training_writes() -> None:
    """The check above works: all requests of training are made of its parts."""
    parts = _parts()
    for seed in range(200):
        text = wrappers.wrap("QUERY", random.Random(seed))
        front, _, back = text.partition("QUERY")
        assert _made_of(_words(front), parts)
        assert _made_of(_words(back), parts)
