"""Texts as query syntaxes read them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given

from middleware.dialects.operators import GROONGA, LUCENE, SIMPLE, WORDS, QuerySyntax

from .requests import ADVERSARIAL, QUICK

SYNTAXES = [LUCENE, SIMPLE, GROONGA, WORDS]


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
    assert LUCENE.is_used_in(text)


@pytest.mark.parametrize("text", ["wi-fi router", "c++ primer", "men's shoes", "and or not", "r&b"])
def test_words_are_words_in_lucene(text: str) -> None:
    """Marks within a word are part of it, and stay as they are."""
    assert not LUCENE.is_used_in(text)
    assert LUCENE.neutralize(text) == text


@pytest.mark.parametrize("syntax", SYNTAXES)
@QUICK
@given(text=ADVERSARIAL)
def test_neutralized_texts_hold_no_operator(syntax: QuerySyntax, text: str) -> None:
    """With escaped marks taken away, nothing is left that is read as one."""
    neutral = syntax.neutralize(text)
    assert not syntax.is_used_in(re.sub(r"\\(?:&&|\|\||.)", "x", neutral, flags=re.DOTALL))


@pytest.mark.parametrize("syntax", SYNTAXES)
@QUICK
@given(text=ADVERSARIAL)
def test_a_rewrite_with_nothing_in_it_is_the_original(syntax: QuerySyntax, text: str) -> None:
    """Marks alone are no query; some parsers refuse them."""
    encoded = syntax.neutralizing(str.encode, "red shoes")(text.replace("\ud800", "")).decode()
    assert any(map(str.isalnum, encoded))
    assert syntax.neutralizing(str.encode, text)(text) == text.encode()


def test_simple_query_strings_have_no_keywords() -> None:
    """But marks of their own."""
    assert not SIMPLE.is_used_in("a AND b:c")
    assert SIMPLE.is_used_in("a | b")
    assert SIMPLE.is_used_in("salt+pepper")
    assert not SIMPLE.is_used_in("x-ray")
    assert SIMPLE.neutralize("salt+pepper") == "salt\\+pepper"
    assert SIMPLE.neutralize("-a (b)") == "\\-a \\(b\\)"


def test_apis_without_escapes_get_blanks() -> None:
    """An excluded word becomes a word."""
    assert WORDS.neutralize('tv -samsung "55"') == "tv  samsung  55 "
