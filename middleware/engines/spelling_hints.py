"""Spelling hints: candidates in the model's input for words that its word list lacks.

The model reads "lcd flta creen" as "lcd flta | flat creen | screen". A small model has seen too
few words to spell them by itself, but it can choose a given candidate or leave a name as it is.
A model that was trained with hints has its word list beside its weights, in ``WORDS_FILE``. The
bar never comes from a request, as admission rejects it as query syntax.
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

from rapidfuzz.distance import OSA

from ..errors import ConfigurationError, EngineError
from .files import read_bounded
from .spelling_index import SpellingIndex

Tokens = TypeVar("Tokens", list[int], list[int] | None)

WORDS_FILE = "words.txt"
MARK = "|"
_PLAIN_WORD = re.compile(r"[A-Z]?[a-z]{2,31}")
_PUNCTUATION = "\"'()[],;:!?."
_MAX_DISTANCE = 2
_USER_WORD = re.compile(r"(?<![^\W_])[A-Za-z]{3,31}(?![^\W_])")
_MAX_WORDS = 64 * 2**20  # bytes of a list of words
_USER_RANK = 5_000  # the frequency rank that a user's words have at least


def read_words(path: str | os.PathLike[str]) -> list[str]:
    """Return the distinct words of letters in a text file, lower-cased, in order.

    Errors: ``ConfigurationError`` if the file cannot be read or has no such word.
    """
    try:
        text = read_bounded(Path(path).expanduser(), _MAX_WORDS).decode("utf-8", "replace")
    except (OSError, RuntimeError, ValueError) as error:  # no such user, a NUL
        told = (error.strerror if isinstance(error, OSError) else None) or error
        raise ConfigurationError(f"engine: words ({os.fspath(path)!r}): {told}") from None
    found = list(dict.fromkeys(word.lower() for word in _USER_WORD.findall(text)))
    if not found:
        raise ConfigurationError(f"engine: words ({os.fspath(path)!r}) has no words")
    return found


def fingerprint(words: Sequence[str]) -> str:
    """Return a short hash of words for an engine's revision, the empty string for no words."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12] if words else ""


def encode_hinted(
    text: str, lexicon: Lexicon | None, encode: Callable[[str], Tokens], limit: int
) -> Tokens:
    """Return the tokens of a text with hints, or without if hints exceed ``limit`` tokens."""
    hinted = text if lexicon is None else lexicon.hinted(text)
    tokens = encode(hinted)
    too_many = tokens is None or len(tokens) > limit
    return encode(text) if too_many and hinted != text else tokens


class Lexicon:
    """A list of correctly spelled words, and the candidates for words that it lacks.

    ``words`` are in order of falling frequency. ``own`` are further words of the user's, such as
    brands, which count as frequent ones. A word gets at most ``most`` hints, and at most
    ``words_hinted`` words of a text get any. Distances are optimal string alignment
    (Damerau-Levenshtein, restricted).

    Concurrency: immutable after construction; safe to share between threads.
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
            self._rank[word] = min(_USER_RANK, self._rank.get(word, _USER_RANK))
        self._index = SpellingIndex(list(self._rank))

    @classmethod
    def of(cls, folder: Path, own: Sequence[str] = ()) -> Lexicon | None:
        """Read the word list of a model's folder; return ``None`` if it has none.

        Errors: ``EngineError`` for a file that is not a list of lower-case words, and for
        ``own`` words with a model that takes no hints.
        """
        path = folder / WORDS_FILE
        if not path.is_file():
            if own:
                raise EngineError(
                    f"the model in {folder} takes no spelling hints, as it has no {WORDS_FILE}: "
                    "remove the setting 'words'"
                )
            return None
        try:
            words = read_bounded(path, _MAX_WORDS).decode("ascii").split("\n")
        except (OSError, ValueError) as error:
            raise EngineError(f"{path} is not a list of words in ASCII: {error}") from None
        words = [word for word in words if word]
        wrong = next((word for word in words if not (word.isalpha() and word.islower())), None)
        if wrong is not None or not words:
            raise EngineError(f"{path} must have one lower-case word per line, and has {wrong!r}")
        return cls(words, own)

    def __contains__(self, word: str) -> bool:
        return word in self._rank

    def __iter__(self) -> Iterator[str]:
        return iter(self._rank)

    def hinted(self, text: str) -> str:
        """Return a text with hints after the words that the list lacks.

        A word that occurs twice in the text is a name or a term, and gets no hints.
        """
        pieces = text.split(" ")
        left = self.words_hinted
        counts = Counter(_bare(piece).lower() for piece in pieces)
        for place, piece in enumerate(pieces):
            word = _bare(piece)
            if not left or counts[word.lower()] > 1:
                continue
            if _PLAIN_WORD.fullmatch(word) and word.lower() not in self._rank:
                candidates = self.candidates(word.lower())
                if candidates:
                    left -= 1
                    if word[0].isupper():
                        candidates = [each.capitalize() for each in candidates]
                    pieces[place] = f" {MARK} ".join([piece, *candidates])
        return " ".join(pieces)

    def restored(self, text: str, answer: str) -> str:
        """Return a model's answer with miscopied words put back as the text has them.

        A correction replaces a word that the list lacks by one that it has. Any other new word
        in the answer that is similar to a missing word of the text is a mistake of the model.
        """
        originals = {word.lower(): word for word in map(_bare, text.split())}
        pieces = answer.split(" ")
        copied = {_bare(piece).lower() for piece in pieces}
        missing = [w for w in originals if w not in copied and _PLAIN_WORD.fullmatch(w)]
        for place, piece in enumerate(pieces):
            word = _bare(piece)
            lower = word.lower()
            if lower in originals or not _PLAIN_WORD.fullmatch(word):
                continue
            similar = [
                other for other in missing if OSA.distance(lower, other) <= 1 + (len(lower) > 4)
            ]
            original = min(similar, key=lambda other: OSA.distance(lower, other), default=None)
            if original is not None and (lower not in self._rank or original in self._rank):
                pieces[place] = piece.replace(word, originals[original], 1)
        return " ".join(pieces)

    def candidates(self, word: str) -> list[str]:
        """Return the words of the list that are most similar to ``word``, likeliest first.

        The order is by frequency and kind of edit. Words at distance two are returned only if
        there is none at distance one, and for a word of five letters or more.
        """
        near = self._within(word, 1)
        if not near and len(word) >= 5:
            near = self._within(word, _MAX_DISTANCE)
        return sorted(near, key=lambda other: (self._cost(word, other), other))[: self.most]

    def _within(self, word: str, distance: int) -> list[str]:
        # Nearly all have the same first letter, or the first two swapped or one missing.
        found = self._index.within(word, distance, dict.fromkeys(word[:2]))
        return found if found or distance > 1 else self._index.within(word, distance)

    def _cost(self, word: str, other: str) -> float:
        """Return how unlikely it is that ``other`` was meant: by frequency and kind of edit."""
        cost = math.log(self._rank[other] + 10)  # the frequency by Zipf's law
        if word[0] != other[0]:
            cost += 2.0
        if sorted(word) == sorted(other) or _undoubled(word) == _undoubled(other):
            cost -= 1.5  # letters swapped, one doubled or one of two left out
        return cost


def _bare(piece: str) -> str:
    return piece.strip(_PUNCTUATION)


def _undoubled(word: str) -> str:
    """Return a word with each run of a letter reduced to one."""
    return "".join(a for a, b in zip(word, word[1:] + " ", strict=True) if a != b)
