"""Spelling hints: beside each word that a model's word list lacks, like words that it has.

"lcd flta creen" goes in as "lcd flta | flat creen | screen": a small model that has seen too
few words to spell them can still choose among given ones, or leave a name as it is. A model
that was trained so ships its words beside its weights, in ``WORDS_FILE``. The bar between
words never comes from a request, as admission takes it for syntax.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from ..errors import ConfigurationError, EngineError
from .spelling_index import SpellingIndex, distance

__all__ = ["MARK", "WORDS_FILE", "Lexicon", "encoded", "fingerprint", "own_words"]

Tokens = TypeVar("Tokens", list[int], list[int] | None)

WORDS_FILE = "words.txt"
MARK = "|"
_PLAIN = re.compile(r"[A-Z]?[a-z]{2,31}")
_TRIM = "\"'()[],;:!?."
_DISTANCE = 2
_OWN = re.compile(r"(?<![^\W_])[A-Za-z]{3,31}(?![^\W_])")
_OWN_RANK = 5_000


def own_words(path: str | os.PathLike[str]) -> list[str]:
    """Return the different plain words of a text file, lower-cased, as they come.

    Errors: ``ConfigurationError`` where the file cannot be read or has no such word.
    """
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigurationError(f"engine: words ({os.fspath(path)!r}): {error}") from None
    found = list(dict.fromkeys(word.lower() for word in _OWN.findall(text)))
    if not found:
        raise ConfigurationError(f"engine: words ({os.fspath(path)!r}) has no word in it")
    return found


def fingerprint(words: Sequence[str]) -> str:
    """Return a short hash of words, nothing for none: other words may give other answers."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12] if words else ""


def encoded(
    text: str, lexicon: Lexicon | None, encode: Callable[[str], Tokens], most: int
) -> Tokens:
    """Return a text's tokens with hints, or without where those make more than ``most`` of it."""
    hinted = text if lexicon is None else lexicon.hinted(text)
    tokens = encode(hinted)
    too_many = tokens is None or len(tokens) > most
    return encode(text) if too_many and hinted != text else tokens


class Lexicon:
    """Words spelled right, by falling frequency, and what a misspelled one may have meant.

    ``own`` are further words, of whoever searches here, that count as rather frequent ones.
    ``most`` bounds the hints for one word, ``words_hinted`` the words of a text that get any.
    Distances are Damerau-Levenshtein's, restricted (optimal string alignment).

    Concurrency: immutable once constructed; safe to share between threads.
    """

    def __init__(
        self,
        words: Iterable[str],
        own: Iterable[str] = (),
        *,
        most: int = 3,
        words_hinted: int = 8,
    ) -> None:
        self.most, self.words_hinted = most, words_hinted
        self._rank: dict[str, int] = {}
        for word in words:
            self._rank.setdefault(word, len(self._rank))
        for word in own:
            self._rank[word] = min(_OWN_RANK, self._rank.get(word, _OWN_RANK))
        self._nearest = SpellingIndex(list(self._rank))

    @classmethod
    def of(cls, folder: Path, own: Sequence[str] = ()) -> Lexicon | None:
        """Read a model's word list; ``None`` where its folder has none.

        Errors: ``EngineError`` for a file that is no list of lower-case words, and where
        ``own`` words are given to a model that takes no hints.
        """
        path = folder / WORDS_FILE
        if not path.is_file():
            if own:
                raise EngineError(
                    f"the model in {folder} takes no hints, as it has no {WORDS_FILE}: "
                    "leave the words of your own out"
                )
            return None
        try:
            words = path.read_text(encoding="ascii").split("\n")
        except (OSError, ValueError) as error:
            raise EngineError(f"{path}: not a list of words in ASCII: {error}") from None
        words = [word for word in words if word]
        wrong = next((word for word in words if not (word.isalpha() and word.islower())), None)
        if wrong is not None or not words:
            raise EngineError(f"{path}: expected a lower-case word a line, found {wrong!r}")
        return cls(words, own)

    def __contains__(self, word: str) -> bool:
        return word in self._rank

    def __len__(self) -> int:
        return len(self._rank)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rank)

    def hinted(self, text: str) -> str:
        """Return a text with hints behind the words that are not in the list.

        A word that is written twice in the same way is a name or a term, and gets none.
        """
        pieces = text.split(" ")
        left = self.words_hinted
        times = Counter(piece.strip(_TRIM).lower() for piece in pieces)
        for place, piece in enumerate(pieces):
            word = piece.strip(_TRIM)
            if not left or times[word.lower()] > 1:
                continue
            if _PLAIN.fullmatch(word) and word.lower() not in self._rank:
                found = self.like(word.lower())
                if found:
                    left -= 1
                    if word[0].isupper():
                        found = [each.capitalize() for each in found]
                    pieces[place] = f" {MARK} ".join([piece, *found])
        return " ".join(pieces)

    def restored(self, text: str, answer: str) -> str:
        """Return an answer with a text's own words where it miscopied or respelled right ones.

        A correction puts a listed word in the place of one that is not listed; any other word
        like one of the text that the answer lacks is a slip of the model.
        """
        there = {word.lower(): word for word in (piece.strip(_TRIM) for piece in text.split())}
        pieces = answer.split(" ")
        kept = {piece.strip(_TRIM).lower() for piece in pieces}
        lost = [word for word in there if word not in kept and _PLAIN.fullmatch(word)]
        for place, piece in enumerate(pieces):
            word = piece.strip(_TRIM)
            low = word.lower()
            if low in there or not _PLAIN.fullmatch(word):
                continue
            near = [other for other in lost if distance(low, other) <= 1 + (len(low) > 4)]
            meant = min(near, key=lambda other: distance(low, other), default=None)
            if meant is not None and (low not in self._rank or meant in self._rank):
                pieces[place] = piece.replace(word, there[meant], 1)
        return " ".join(pieces)

    def like(self, word: str) -> list[str]:
        """Return the words nearest to one that is not in the list, likeliest first.

        One edit goes before two, then the same first letter and a high frequency. Words at
        distance two are given only where none is at distance one, and for five letters or more.
        """
        near = self._within(word, 1)
        if not near and len(word) >= 5:
            near = self._within(word, _DISTANCE)
        return sorted(near, key=lambda other: (self._cost(word, other), other))[: self.most]

    def _within(self, word: str, distance: int) -> list[str]:
        # Nearly all have the same first letter, or the first two swapped or one missing.
        found = self._nearest.within(word, distance, dict.fromkeys(word[:2]))
        return found if found or distance > 1 else self._nearest.within(word, distance)

    def _cost(self, word: str, other: str) -> float:
        """Return how unlikely a word is meant: frequency by Zipf's law, and what is unusual."""
        cost = math.log(self._rank[other] + 10)
        if word[0] != other[0]:
            cost += 2.0
        if sorted(word) == sorted(other) or _undoubled(word) == _undoubled(other):
            cost -= 1.5  # letters swapped, one doubled or one of two left out
        return cost


def _undoubled(word: str) -> str:
    return "".join(a for a, b in zip(word, word[1:] + " ", strict=True) if a != b)
