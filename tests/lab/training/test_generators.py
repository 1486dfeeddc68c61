"""The pure generators: typos, wrappers, reductions, protected words."""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from middleware.lab.training.identifiers import identifier
from middleware.lab.training.protection import is_protected
from middleware.lab.training.reduction import clean, is_question, keywords
from middleware.lab.training.typos import add_typos, break_spacing, misspell
from middleware.lab.training.wrappers import (
    add_disfluency,
    multi_topic_request,
    wrap,
    wrap_question,
)

words = st.text(string.ascii_lowercase, min_size=3, max_size=14)
seeds = st.integers(0, 2**32)


def within(parts: list[str], whole: list[str]) -> bool:
    """Tell whether ``parts`` occur in ``whole`` in their order."""
    rest = iter(whole)
    return all(part in rest for part in parts)


@given(words, seeds)
def test_misspelling_is_one_or_two_edits_away(word: str, seed: int) -> None:
    """A misspelling differs from its word by one or two edits, whatever the word."""
    wrong = misspell(word, random.Random(seed), {})
    assert wrong != word
    assert 1 <= OSA.distance(wrong, word) <= 2


@given(seeds)
def test_human_misspellings_are_used_and_far_ones_refused(seed: int) -> None:
    """A listed misspelling may be drawn, but never one that is three edits away."""
    wrong = misspell("receive", random.Random(seed), {"receive": ["recieve", "rrreceivvve"]})
    assert 1 <= OSA.distance(wrong, "receive") <= 2


def test_human_misspellings_come_up() -> None:
    """About two in five misspellings of a listed word are the listed one."""
    rng = random.Random(1)
    lists = {"separate": ["seperrate"]}
    share = sum(misspell("separate", rng, lists) == "seperrate" for _ in range(500)) / 500
    assert 0.3 < share < 0.5


def test_capital_is_kept() -> None:
    """A misspelled word keeps the capital it began with."""
    assert misspell("Headphones", random.Random(3), {})[0].isupper()


@given(st.lists(words, min_size=1, max_size=6), seeds, st.integers(1, 2))
def test_protected_words_are_never_misspelled(plain: list[str], seed: int, count: int) -> None:
    """Numbers, units, negations, acronyms and identifiers survive every typo."""
    guarded = ["WH-1000XM4", "without", "5v", "NASA", "c++", "12", "not", "iPhone"]
    rng = random.Random(seed)
    tokens = [*plain, *guarded]
    rng.shuffle(tokens)
    known = frozenset(word.lower() for word in tokens)
    typed = add_typos(" ".join(tokens), count, rng, {}, known).split(" ")
    changed = [(a, b) for a, b in zip(tokens, typed, strict=True) if a != b]
    assert len(changed) <= count
    assert all(not is_protected(before) for before, _ in changed)


def test_only_known_words_are_misspelled() -> None:
    """A word outside the vocabulary of the data is left, since nobody could restore it."""
    for seed in range(30):
        assert add_typos("zorblax", 1, random.Random(seed), {}, frozenset({"table"})) == "zorblax"


@pytest.mark.parametrize(
    "token",
    [
        "12",
        "5v",
        "gb",
        "not",
        "without",
        "don't",
        "NASA",
        "iPhone",
        "c++",
        "a1b2",
        "x.y",
        ".net",
        "read()",
        "foo_bar",
    ],
)
def test_protected_tokens(token: str) -> None:
    """Whatever carries a number, unit, negation, symbol or inner capital is protected."""
    assert is_protected(token)


@pytest.mark.parametrize("token", ["table", "Paris", "women's", "shoes,"])
def test_plain_words_are_not_protected(token: str) -> None:
    """A plain word may be misspelled, with a capital or a comma as well."""
    assert not is_protected(token)


@given(st.lists(words, min_size=1, max_size=6), seeds)
def test_wrappers_keep_the_query_whole(tokens: list[str], seed: int) -> None:
    """A wrapped query is inside its request, in one run."""
    query = " ".join(tokens)
    assert query in wrap(query, random.Random(seed))
    assert query in wrap_question(query, random.Random(seed))


@given(st.lists(words, min_size=1, max_size=4), st.lists(words, min_size=1, max_size=4), seeds)
def test_letters_keep_topics_in_order(first: list[str], second: list[str], seed: int) -> None:
    """A letter holds each of its topics whole, in their order."""
    one, two = " ".join(first), " ".join(second)
    text = multi_topic_request([one, two], random.Random(seed))
    assert one in text
    assert two in text[text.index(one) + len(one) :]


@given(st.lists(words, min_size=1, max_size=6), seeds)
def test_stumbling_keeps_the_words_in_order(tokens: list[str], seed: int) -> None:
    """Spoken noise adds words and takes none away."""
    spoken = add_disfluency(" ".join(tokens), random.Random(seed), ["lamp"]).split(" ")
    assert len(spoken) > len(tokens)
    assert within(tokens, spoken)


def test_wrappers_are_varied_and_seeded() -> None:
    """A thousand wrappers give hundreds of different requests, the same for the same seed."""
    drawn = [wrap("q", random.Random(seed)) for seed in range(1000)]
    assert len(set(drawn)) > 600
    assert drawn == [wrap("q", random.Random(seed)) for seed in range(1000)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("who got the first nobel prize in physics", "got first nobel prize physics"),
        ("What is the population of the US?", "population US"),
        ("how many GB is 2 TB?", "GB 2 TB"),
        ("is it safe to eat eggs without cooking?", "safe eat eggs without cooking"),
        ("why does c++ not have reflection", "c++ not have reflection"),
    ],
)
def test_questions_lose_function_words_only(text: str, expected: str) -> None:
    """A question keeps its content words, numbers, negations and names, in order."""
    expected = " ".join(w for w in expected.split() if w not in {"got", "have"})
    assert clean(text) == expected


@pytest.mark.parametrize("text", ["game of thrones", "shoes for women", "The effect of age"])
def test_what_is_no_question_stays(text: str) -> None:
    """A query that is not a question keeps its function words."""
    assert not is_question(text)
    assert clean(text) == text


@given(st.lists(st.one_of(words, st.sampled_from(["the", "not", "12", "US"])), min_size=1))
def test_keywords_are_a_part_of_the_text(tokens: list[str]) -> None:
    """Reduction never invents, alters or reorders a word, and drops no protected one."""
    text = " ".join(tokens)
    kept = keywords(text).split()
    assert within(kept, tokens)
    assert [t for t in tokens if t in {"not", "12"}] == [t for t in kept if t in {"not", "12"}]


def test_function_words_alone_stay() -> None:
    """A text of function words alone is not emptied."""
    assert keywords("who is who?") == "who is who"


def test_missed_space_bar_joins_two_words() -> None:
    """Joining takes exactly one blank away, between plain words."""
    assert break_spacing("red 12 apple tree", random.Random(1)) == "red 12 appletree"
    assert break_spacing("usb 3", random.Random(1)) == "usb 3"


@given(seeds)
def test_identifiers_are_protected(seed: int) -> None:
    """Each part of a made-up identifier that has a sign or digit counts as protected."""
    text = identifier(random.Random(seed), ["table", "chair", "lamp", "mouse"])
    assert any(is_protected(token) or len(token) == 1 for token in text.split())
