"""Texts as query languages read them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given

from middleware.dialects.operators import GROONGA, LUCENE, SIMPLE, WORDS, Language

from .requests import ADVERSARIAL, QUICK

LANGUAGES = [LUCENE, SIMPLE, GROONGA, WORDS]


@pytest.mark.parametrize(
    "text",
    [
        *('user:/ki.*/ AND -tag:old t:"red shoe"~2 p:[10 TO 20}', "*", "ac/dc", "what is it?"),
        *("{!edismax v=$qq}", '_val_:"x"', "a OR b", "NOT a", "a && b", "a^2", "hey!", "a - b"),
        *("<a", "(a)", "+a", "a~"),
    ],
)
def test_lucene_syntax_is_seen(text: str) -> None:
    """All that its parser would read as more than words."""
    assert LUCENE.holds(text)


@pytest.mark.parametrize("text", ["wi-fi router", "c++ primer", "men's shoes", "and or not", "r&b"])
def test_words_are_words_in_lucene(text: str) -> None:
    """Marks within a word are part of it, and stay as they are."""
    assert not LUCENE.holds(text)
    assert LUCENE.words(text) == text


@pytest.mark.parametrize("language", LANGUAGES)
@QUICK
@given(text=ADVERSARIAL)
def test_neutralized_texts_hold_no_operator(language: Language, text: str) -> None:
    """With escaped marks taken away, nothing is left that is read as one."""
    said = language.words(text)
    assert not language.holds(re.sub(r"\\(?:&&|\|\||.)", "x", said, flags=re.DOTALL))


@pytest.mark.parametrize("language", LANGUAGES)
@QUICK
@given(text=ADVERSARIAL)
def test_a_rewrite_with_nothing_in_it_is_the_original(language: Language, text: str) -> None:
    """Marks alone are no query; some parsers refuse them."""
    spelled = language.wrap(str.encode, "red shoes")(text.replace("\ud800", "")).decode()
    assert any(map(str.isalnum, spelled))
    assert language.wrap(str.encode, text)(text) == text.encode()


def test_simple_query_strings_have_no_keywords() -> None:
    """But marks of their own."""
    assert not SIMPLE.holds("a AND b:c")
    assert SIMPLE.holds("a | b")
    assert SIMPLE.holds("salt+pepper")
    assert not SIMPLE.holds("x-ray")
    assert SIMPLE.words("salt+pepper") == "salt\\+pepper"
    assert SIMPLE.words("-a (b)") == "\\-a \\(b\\)"


def test_apis_without_escapes_get_blanks() -> None:
    """An excluded word becomes a word."""
    assert WORDS.words('tv -samsung "55"') == "tv  samsung  55 "
