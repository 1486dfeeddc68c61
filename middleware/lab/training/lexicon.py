"""The word list that ships with the model; spelling hints are drawn from it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path

from .frequencies import Usage, words_in_use

_WORD = re.compile(r"[A-Za-z]+")
_LOWER = re.compile(r"[a-z]{2,31}")
_LEAST = 3  # documents with a word that make it a known one


def count_words(counts: Counter[str], text: str) -> None:
    """Count a document's words, each once."""
    counts.update({word.lower() for word in _WORD.findall(text)})


def general_words() -> dict[str, float]:
    """Return SymSpell's English words (MIT licence) with their shares of all text."""
    name = "frequency_dictionary_en_82_765.txt"
    text = (files("symspellpy") / name).read_text(encoding="utf-8-sig")
    rows = (line.split() for line in text.splitlines())
    counts = {word: int(count) for word, count in rows if word.isascii() and word.isalpha()}
    total = sum(counts.values())
    return {word: count / total for word, count in counts.items()}


def read_word_list(path: Path) -> Iterator[str]:
    """Yield the plain lower-case words of a list with a word per line, such as Debian's SCOWL."""
    with path.open(encoding="utf-8") as handle:
        yield from filter(_LOWER.fullmatch, map(str.strip, handle))


def build_words(
    documents: Counter[str],
    wrong: Mapping[str, Collection[str]],
    extra_words: Iterable[str] = (),
    usage: Mapping[str, Usage] | None = None,
) -> list[str]:
    """Return all words by falling frequency, then alphabetically.

    They are the words of general English, the words in three or more training ``documents``,
    the words in use by ``usage``, and ``extra_words``, which count as rarest. ``wrong`` maps
    words to people's misspellings of them. A misspelling is left out if the word is a hundred
    times as frequent.
    """
    shares = general_words()
    # A word in one of some thousand documents counts as much as one that is rare in English.
    for word, count in documents.items():
        if word in shares or (count >= _LEAST and word.isascii()):
            shares[word] = shares.get(word, 0.0) + count * 2e-9
    for word in extra_words:
        shares.setdefault(word, 0.0)
    listed = {each: right for right, group in wrong.items() for each in group}
    if usage is not None:
        found = [word for word in words_in_use(usage, shares) if word not in listed]
        shares |= {word: usage[word].share for word in found}
    correct = (w for w in shares if len(w) > 1 and not _misspells(w, listed, shares))
    return sorted(correct, key=lambda word: (-shares[word], word))


def _misspells(word: str, listed: Mapping[str, str], shares: Mapping[str, float]) -> bool:
    right = listed.get(word)
    return right is not None and shares[word] * 100 < shares.get(right, 0.0)


def write_words(words: Iterable[str], path: Path) -> None:
    """Write one word per line, in ASCII."""
    with path.open("w", encoding="ascii", newline="\n") as handle:
        handle.writelines(f"{word}\n" for word in words)
