"""Which forms that people write are words and names, and which are slips."""

from __future__ import annotations

import gzip
import json
import math
from collections import Counter
from pathlib import Path

import pytest

from middleware.lab.training.frequencies import Usage, read_usage, words_in_use
from middleware.lab.training.lexicon import build_words


def test_forms_of_a_word_are_one_word_with_a_share_of_capitals(tmp_path: Path) -> None:
    file = tmp_path / "table.json.gz"
    table = {"Nadal": -14.0, "NADAL": -16.0, "nadal": -16.0, "it's": -9.0, "naïve": -12.0}
    with gzip.open(file, "wt", encoding="utf-8") as out:
        json.dump(table, out)
    usage = read_usage(file)
    assert list(usage) == ["nadal"]
    total = math.exp(-14) + 2 * math.exp(-16)
    assert usage["nadal"].share == pytest.approx(total)
    assert usage["nadal"].capitals == pytest.approx(1 - math.exp(-16) / total)


USAGE = {
    "soda": Usage(1e-5, 0.1),
    "america": Usage(1e-4, 0.9),
    "definitely": Usage(2e-4, 0.1),
    "config": Usage(3e-6, 0.2),
}


@pytest.mark.parametrize(
    ("word", "usage", "taken"),
    [
        ("skoda", Usage(8e-8, 0.9), True),  # a name: nobody writes "soda" with a capital
        ("skoda", Usage(8e-8, 0.2), False),
        ("amercia", Usage(1e-7, 0.9), False),  # a slip in a name
        ("definately", Usage(3e-6, 0.2), False),
        ("numpad", Usage(4e-7, 0.1), True),
        ("numpad", Usage(1e-8, 0.1), False),  # too rare to tell
        ("etihad", Usage(1e-8, 0.9), True),  # a name may be as rare
        ("config", USAGE["config"], False),  # known
        ("xi", Usage(1e-6, 0.9), False),  # short
    ],
)
def test_what_is_written_on_purpose_is_taken(word: str, usage: Usage, taken: bool) -> None:
    known = {"soda", "america", "definitely", "config"}
    assert (word in set(words_in_use({**USAGE, word: usage}, known))) is taken


def test_what_people_list_as_misspelled_is_no_word_however_usual() -> None:
    usage = {"occured": Usage(1e-6, 0.0), "numpad": Usage(1e-6, 0.0)}
    words = build_words(Counter(), {"occurred": ["occured"]}, usage=usage)
    assert "numpad" in words
    assert "occured" not in words
