"""Finds the words within one or two edits of a given word, among a hundred thousand.

An edit changes a word's set of letters by at most two letters. The sets are bits of an integer
and are compared all at once. The edit distance is computed only for words whose sets differ by
few enough letters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rapidfuzz.distance import OSA
from rapidfuzz.process import extract

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_HALF = 13
_LOW = (1 << _HALF) - 1


class SpellingIndex:
    """An index of lower-case ASCII words by optimal-string-alignment distance.

    Concurrency: immutable after construction; safe to share between threads.
    """

    def __init__(self, words: Sequence[str]) -> None:
        import numpy as np

        self._words = list(words)
        self._ones: Any = np.array([n.bit_count() for n in range(1 << _HALF)], np.uint8)
        text = np.frombuffer("".join(self._words).encode("ascii"), np.uint8)
        lengths = np.fromiter(map(len, self._words), np.int64, len(self._words))
        starts = np.cumsum(lengths) - lengths
        bits = np.uint32(1) << (text - ord("a")).astype(np.uint32)
        sets = np.bitwise_or.reduceat(bits, starts) if len(starts) else bits
        places: dict[tuple[str, int], list[int]] = {}
        for place, word in enumerate(self._words):
            places.setdefault((word[0], len(word)), []).append(place)
        self._groups: dict[tuple[str, int], tuple[Any, Any]] = {
            key: (np.array(found, np.int64), sets[found]) for key, found in places.items()
        }

    def within(self, word: str, distance: int, starts: Iterable[str] = _LETTERS) -> list[str]:
        """Return the words at most ``distance`` edits away that begin with one of ``starts``."""
        sizes = range(len(word) - distance, len(word) + distance + 1)
        possible = [
            self._words[place]
            for start in starts
            for size in sizes
            for place in self._similar(word, distance, start, size)
        ]
        # rapidfuzz takes a millisecond where pure Python takes a hundred.
        hits = extract(word, possible, scorer=OSA.distance, score_cutoff=distance, limit=None)
        return [hit[0] for hit in hits]

    def _similar(self, word: str, distance: int, start: str, size: int) -> list[int]:
        """Return the places of words by first letter and length that may be near enough."""
        group = self._groups.get((start, size))
        if group is None:
            return []
        places, sets = group
        differing = sets ^ _letters(word)
        count = self._ones[differing & _LOW] + self._ones[differing >> _HALF]
        found: list[int] = places[count <= 2 * distance].tolist()
        return found


def _letters(word: str) -> int:
    """Return the set of a word's letters as an integer with one bit per letter."""
    return sum(1 << (ord(letter) - ord("a")) for letter in set(word))
