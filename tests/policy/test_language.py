"""The guess at a text's language: evidence or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.policy.language import foreign_script, is_foreign, scripts_of

ENGLISH_WORDS = (
    "red shoes table lamp phone garden paper blue kitchen wireless case winter camera pro dove "
    "van las vegas los angeles la le de dan tai co como crème café naïve jalapeño les paul"
).split()


@pytest.mark.parametrize(
    "text",
    [
        "oscar de la renta dress", "las vegas los angeles flights", "creme de la creme",
        "la la land soundtrack", "los lobos la bamba", "van der waals", "der spiegel in english",
        "estée lauder", "são tomé", "mötley crüe", "dvořák symphony", "smörgåsbord ideas",
        "pan am", "till death do us part", "when was el niño", "no man sky",
    ],
)  # fmt: skip
def test_names_and_borrowed_words_are_no_evidence(text: str) -> None:
    """Particles of names, accents and words that English has as well prove nothing."""
    assert not is_foreign(text)


@given(st.lists(st.sampled_from(ENGLISH_WORDS), min_size=1, max_size=2))
def test_two_words_of_an_english_query_are_never_foreign(found: list[str]) -> None:
    """No two words that English queries hold make a foreign text."""
    assert not is_foreign(" ".join(found))


@given(st.text(max_size=40), st.sampled_from(["en", "de", "ru", "zh", "xx"]))
def test_never_raises(text: str, code: str) -> None:
    """Any text and language has an answer."""
    assert is_foreign(text, frozenset({code})) in (True, False)
    assert foreign_script("") is False


def test_scripts() -> None:
    """Most letters decide; an unknown language is taken to be written in Latin letters."""
    assert foreign_script("купить iphone сейчас")
    assert not foreign_script("buy протеин powder for women")
    assert scripts_of(["en", "ru", "xx"]) == {"LATIN", "CYRILLIC"}
    assert scripts_of(["ja"]) > {"HIRAGANA", "CJK"}
    assert not is_foreign("東京の天気", frozenset({"ja"}))
    assert is_foreign("東京の天気", frozenset({"ru"}))
