"""Spelling hints: which words get them, which words they are, and that nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware import ConfigurationError, EngineError
from middleware.engines.spelling_hints import MARK, WORDS_FILE, Lexicon, fingerprint, read_words

WORDS = (
    "the water house screen flat wireless headphones after wafer cream shirt weird because "
    "receive friend scream accommodate"
).split()
LEXICON = Lexicon(WORDS)


def bare(text: str) -> str:
    """Take the hints out of a text again."""
    kept: list[str] = []
    hint = False
    for piece in text.split(" "):
        if piece == MARK:
            hint = True
        elif hint:
            hint = False
        else:
            kept.append(piece)
    return " ".join(kept)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("awter", "after"),  # as near as "water", which has another first letter
        ("owter", "water"),
        ("ater", "after"),
        ("watre", "water"),
        ("wireles", "wireless"),
        ("hedphones", "headphones"),
        ("becuase", "because"),
        ("qater", "water"),  # another key than the first
        ("acommodat", "accommodate"),  # two edits
    ],
)
def test_the_word_meant_comes_first(typed: str, meant: str) -> None:
    """One edit before two, swaps and doubled letters before other edits."""
    assert LEXICON.candidates(typed)[0] == meant


def test_one_edit_hides_two() -> None:
    """Words at distance two are given only where none is nearer, and for longer words."""
    assert LEXICON.candidates("screm") == ["scream"]
    assert LEXICON.candidates("flbb") == []
    assert LEXICON.candidates("scrn") == []


def test_hints_stand_behind_their_word() -> None:
    """A hinted text is the text with bars and words, in the case of the word typed."""
    assert LEXICON.hinted("flat scren") == "flat scren | screen"
    assert LEXICON.hinted("Scren, flat") == "Scren, | Screen flat"


@pytest.mark.parametrize(
    "text",
    ["flat screen", "SCREN", "scr3n", "iScren", "scren.py", "wa", "http://watr", "", "zzzzzzz"],
)
def test_no_hints(text: str) -> None:
    """Known words, pieces that are no words, and words without candidates get nothing."""
    assert LEXICON.hinted(text) == text


def test_bounds() -> None:
    """At most so many hints a word and hinted words a text."""
    lexicon = Lexicon(["wate", "wated", "waten", "water", "wates"], most=2, words_hinted=1)
    assert lexicon.hinted("watez waterz").count(MARK) == 2


@given(st.text(alphabet="abcdefghiorst WA'.,-1é", max_size=60))
def test_hints_can_be_taken_out_again(text: str) -> None:
    """Nothing of the text is lost or moved, whatever it is."""
    assert bare(LEXICON.hinted(text)) == text


@given(st.text(alphabet="aerstwh", min_size=3, max_size=9))
def test_candidates_are_near_and_known(word: str) -> None:
    """Every hint is in the list, and within two edits."""
    for found in LEXICON.candidates(word):
        assert found in LEXICON
        assert abs(len(found) - len(word)) <= 2


def test_read_from_a_model_folder(tmp_path: Path) -> None:
    """The list is optional; a file that is none is refused, with its place and the fault."""
    assert Lexicon.of(tmp_path) is None
    path = tmp_path / WORDS_FILE
    path.write_text("the\nwater\n")
    lexicon = Lexicon.of(tmp_path)
    assert lexicon is not None
    assert list(lexicon) == ["the", "water"]
    for wrong in ("Water\n", "two words\n", "", "<html>\n"):
        path.write_text(wrong)
        with pytest.raises(EngineError, match=WORDS_FILE):
            Lexicon.of(tmp_path)
    path.write_bytes("wäter\n".encode())
    with pytest.raises(EngineError, match="ASCII"):
        Lexicon.of(tmp_path)


def test_words_of_the_user(tmp_path: Path) -> None:
    """Every plain word of a text file counts as right, and is hinted at like a frequent word."""
    path = tmp_path / "brands.txt"
    path.write_text("Okazaki, Sonos; sonos\nx9000 naïve wate\n")
    own = read_words(path)
    assert own == ["okazaki", "sonos", "wate"]
    lexicon = Lexicon(WORDS, own)
    assert lexicon.hinted("okazaki lamp") == "okazaki lamp"
    assert lexicon.candidates("okazki") == ["okazaki"]
    assert fingerprint(own) != fingerprint(own[:2])
    assert fingerprint([]) == ""


def test_wrong_word_files_are_refused(tmp_path: Path) -> None:
    """A missing or empty file, and words for a model without hints, are errors at the start."""
    with pytest.raises(ConfigurationError, match="gone"):
        read_words(tmp_path / "gone.txt")
    (tmp_path / "empty.txt").write_text("12 34\n")
    with pytest.raises(ConfigurationError, match="no words"):
        read_words(tmp_path / "empty.txt")
    with pytest.raises(EngineError, match="takes no spelling hints"):
        Lexicon.of(tmp_path, ["sonos"])


def test_a_word_written_twice_in_one_way_gets_no_hint() -> None:
    """Nobody misspells a word twice in the same way: it is a term."""
    lexicon = Lexicon(["flat", "screen"])
    assert lexicon.hinted("flta creen") == "flta | flat creen | screen"
    assert lexicon.hinted("flta creen, Flta") == "flta creen, | screen Flta"


@pytest.mark.parametrize(
    ("text", "answer", "restored"),
    [
        ("red screeen", "red screen", "red screen"),  # a correction
        ("flat screen", "fat screeen", "flat screen"),  # the list knows better, and no such word
        ("couette screen", "couettte screen", "couette screen"),  # a mistake
        ("Flat screen", "falt screen", "Flat screen"),
        (
            "flat screen",
            "garden screen",
            "garden screen",
        ),  # similar to none: for acceptance to judge
        ("flat screen", "screen", "screen"),
        ("flat screen", "", ""),
    ],
)
def test_miscopied_words_are_put_back(text: str, answer: str, restored: str) -> None:
    """What is no correction by the list is the text's own word."""
    assert Lexicon(["flat", "fat", "screen", "garden", "red"]).restored(text, answer) == restored
