"""Words and names in use that dictionaries lack, from how often people write each form of a word.

The table is spaCy's ``en_lexeme_prob`` (package ``spacy-lookups-data``, MIT licence): natural
logarithms of the probabilities of a million forms in text of the web, misspelled ones among them.
"""

from __future__ import annotations

import gzip
import json
import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from rapidfuzz.distance import OSA

__all__ = ["Usage", "read_usage", "words_in_use"]

_NAME = 0.6  # the share of capitals from which a word counts as a name
_RARE_NAME, _RARE_WORD = math.exp(-19.0), math.exp(-17.5)
_TYPO_OF_NAME, _TYPO_OF_WORD = 30.0, 10.0  # how often a word is written for one slip in it
_LEAST = 3  # letters; slips of two are as frequent as words


class Usage(NamedTuple):
    """How often a word is written, as a probability, and the share of it with capitals."""

    share: float
    capitals: float


def read_usage(path: Path) -> dict[str, Usage]:
    """Return the plain words of the table, in lower case."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        table: Mapping[str, float] = json.load(file)
    total: dict[str, float] = defaultdict(float)
    capitals: dict[str, float] = defaultdict(float)
    for form, logarithm in table.items():
        if form.isascii() and form.isalpha():
            word, probability = form.lower(), math.exp(logarithm)
            total[word] += probability
            capitals[word] += probability * (form != word)
    return {word: Usage(share, capitals[word] / share) for word, share in total.items()}


def words_in_use(usage: Mapping[str, Usage], known: Collection[str]) -> Iterator[str]:
    """Yield words that ``known`` lacks and that people write on purpose, as far as can be told.

    A slip is written far less often than the word that it was meant to be. One in a name has
    capitals like the name, so that a name is only taken for a slip in another name.
    """
    near = _Neighbours(usage, _RARE_WORD)
    for word, (share, capitals) in usage.items():
        if word in known or len(word) < _LEAST:
            continue
        name = capitals >= _NAME
        if share < (_RARE_NAME if name else _RARE_WORD):
            continue
        factor = _TYPO_OF_NAME if name else _TYPO_OF_WORD
        if not any(
            usage[other].share >= factor * share
            and OSA.distance(word, other, score_cutoff=1) == 1
            and (not name or usage[other].capitals >= _NAME)
            for other in near.of(word)
        ):
            yield word


class _Neighbours:
    """Words within one slip of each other: a letter too many, too few, wrong, or two swapped."""

    def __init__(self, usage: Mapping[str, Usage], least: float) -> None:
        self._by_rest: dict[str, list[str]] = defaultdict(list)
        for word, (share, _) in usage.items():
            if share >= least:
                for rest in _rests(word):
                    self._by_rest[rest].append(word)

    def of(self, word: str) -> set[str]:
        """Return the words near one; some of them are two slips away."""
        found = {other for rest in _rests(word) for other in self._by_rest.get(rest, ())}
        found.discard(word)
        return found


def _rests(word: str) -> set[str]:
    return {word, *(word[:place] + word[place + 1 :] for place in range(len(word)))}
