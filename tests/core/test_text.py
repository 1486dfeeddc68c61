"""The normal form of a text: what is one request, and what is another."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.core.text import normalize

MARKS = "\"“”„‟«»‹›「」『』《》〈〉〝〞〟＂❝❞❛❜'‘’‚‛`"


@pytest.mark.parametrize(
    ("opened", "closed"),
    ['""', "“”", "””", "„“", "„”", "«»", "»«", "»»", "‹›", "›‹", "「」", "『』", "《》", "〈〉",
     "〝〞", "〝〟", "＂＂", "❝❞", "❛❜", "''", "‘’", "’’", "‚‘", "‚’", "‛’", "``", "`'"],
)  # fmt: skip
@pytest.mark.parametrize("blank", ["  ", "   ", " \u00a0", "\u3000\u3000", " \t"])
def test_blanks_in_quotations_are_part_of_the_text(opened: str, closed: str, blank: str) -> None:
    """With every pair of marks that languages use, and every kind of blank."""
    quoted = f"{opened}blue{blank}door{closed}"
    assert normalize(quoted) == quoted
    assert normalize(f"  red {blank}{quoted}{blank} lamp{blank}") == f"red {quoted} lamp"
    assert normalize(f"red ({quoted})") != normalize(f"red ({opened}blue door{closed})")


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ('"blue  door"  and  "red  lamp"', '"blue  door" and "red  lamp"'),
        ('title:"blue  door"  x', 'title:"blue  door" x'),
        ('+"blue  door"~2  x', '+"blue  door"~2 x'),
        ("\"a  'b  c'  d\"  e", "\"a  'b  c'  d\" e"),
        ("“a  “b”  c”  d", "“a  “b”  c” d"),
        ("„a  ‚b‘  c“  d", "„a  ‚b‘  c“ d"),
        ("'don't  stop'  now", "'don't  stop' now"),
        ("‘don’t  stop’  now", "‘don’t  stop’ now"),
        # Marks without an end reach to the end.
        ('red  "blue  door', 'red "blue  door'),
        ("red  “blue  door  ", "red “blue  door"),
        ("«blue  door", "«blue  door"),
        ('a  "b"  "c  d', 'a "b" "c  d'),
        # Inches, feet, minutes and seconds.
        ('24"  monitor   stand', '24" monitor stand'),
        ('12" x  5"   tile', '12" x 5" tile'),
        ("6'  2\"   ladder", "6' 2\" ladder"),
        ('12"  wheel  "blue  door"', '12" wheel "blue  door"'),
        ('5"blue  door"  x', '5"blue  door" x'),
        ('"wheel  12"  rim', '"wheel  12" rim'),
        # Apostrophes.
        ("don't  look   at  it", "don't look at it"),
        ("dogs'  bones   and  cats'  toys", "dogs' bones and cats' toys"),
        ("'tis  the   season", "'tis the season"),
        ("'90s   music", "'90s music"),
        ("rock 'n'   roll", "rock 'n' roll"),
        ("l’été   à  l’ombre", "l’été à l’ombre"),
        ("O’Neill’s   ‘blue  door’", "O’Neill’s ‘blue  door’"),
        ("the dogs’   bone", "the dogs’ bone"),
        # Marks that only end something.
        ("blue   door”", "blue door”"),
        ("blue   door»   x", "blue door»   x"),
        # No marks at all.
        ("  blue\t door\r\n", "blue door"),
        ("cafe\u0301   x", "café x"),
        ("", ""),
        (" \t ", ""),
        ('"  "', '"  "'),
    ],
)
def test_what_is_collapsed(text: str, normal: str) -> None:
    """Blanks outside of quotations."""
    assert normalize(text) == normal


TEXTS = st.text(st.sampled_from(f"{MARKS}ab1é \t\u00a0.,():"), max_size=30)


@given(TEXTS)
def test_a_normal_form_is_its_own(text: str) -> None:
    """And only white space is ever changed."""
    normal = normalize(text)
    assert normalize(normal) == normal
    assert "".join(normal.split()) == "".join(text.split())
    assert normal == normal.strip()


@given(TEXTS, st.text("ab1 ", min_size=1, max_size=9))
def test_a_quotation_keeps_what_it_holds(before: str, quoted: str) -> None:
    """Whatever stands before it, where that is none itself."""
    before = re.sub(f"[{MARKS}0-9]", "", before)
    phrase = f'"{quoted}"'
    assert normalize(f"{before}  {phrase}  x").endswith(f"{phrase} x")


@pytest.mark.slow
@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("unit", ["{0}", "{0}a", "a{0}", " {0}a", "{0} ", "{0}a{0}  ", "1{0}a"])
def test_its_time_is_linear(mark: str, unit: str) -> None:
    """The longest text that is normalized takes some milliseconds, ten times as much ten times."""
    text = unit.format(mark) * 100_000
    assert "".join(normalize(f"{text}  x").split()) == "".join(f"{text}x".split())
