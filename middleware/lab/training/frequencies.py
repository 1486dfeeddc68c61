"""Find words and names that dictionaries lack, by how often people write them.

The table is spaCy's ``en_lexeme_prob`` (package ``spacy-lookups-data``, MIT licence). It has the
natural logarithm of the probability of a million written forms in web text, with misspellings.
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

_NAME = 0.6  # the least share of capitals in a name
_RARE_NAME, _RARE_WORD = math.exp(-19.0), math.exp(-17.5)
_TYPO_OF_NAME, _TYPO_OF_WORD = 30.0, 10.0  # a word is this much more frequent than a typo
_LEAST = 3  # letters; typos of two letters are as frequent as words


class Usage(NamedTuple):
    """A word's probability in text, and the share of its forms with capitals."""

    share: float
    capitals: float


def read_usage(path: Path) -> dict[str, Usage]:
    """Return the usage of each plain lower-case word in the table."""
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
    """Yield the words that are not in ``known`` and are probably no typos.

    A typo is far rarer than the intended word. A typo in a name has capitals like the name, so
    a name can only be a typo of another name.
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
    """An index of words by their forms with one letter deleted, for words one edit apart."""

    def __init__(self, usage: Mapping[str, Usage], least: float) -> None:
        self._by_deletion: dict[str, list[str]] = defaultdict(list)
        for word, (share, _) in usage.items():
            if share >= least:
                for form in _deletions(word):
                    self._by_deletion[form].append(word)

    def of(self, word: str) -> set[str]:
        """Return the words near a word; some of them are two edits away."""
        found = {other for form in _deletions(word) for other in self._by_deletion.get(form, ())}
        found.discard(word)
        return found


def _deletions(word: str) -> set[str]:
    return {word, *(word[:place] + word[place + 1 :] for place in range(len(word)))}
