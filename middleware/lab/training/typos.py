"""Typos for training: from lists of people's misspellings, and from a keyboard model.

A typo is one or two Damerau-Levenshtein operations away from its word. Words for which
``is_protected`` is true never get typos.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from rapidfuzz.distance import OSA

from .protection import bare_word, is_protected

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_SOUNDS = (
    ("ei", "ie"), ("ie", "ei"), ("a", "e"), ("e", "a"), ("e", "i"), ("i", "e"), ("o", "u"),
    ("u", "o"), ("c", "s"), ("s", "c"), ("c", "k"), ("k", "c"), ("f", "ph"), ("ph", "f"),
    ("y", "i"), ("i", "y"), ("z", "s"), ("s", "z"), ("ou", "u"), ("ea", "ee"), ("ee", "ea"),
    ("ai", "ay"), ("er", "or"), ("or", "er"), ("er", "ar"), ("ar", "er"), ("ent", "ant"),
    ("ant", "ent"), ("ence", "ance"), ("ance", "ence"), ("ible", "able"), ("able", "ible"),
    ("gh", "g"), ("wh", "w"), ("kn", "n"), ("ck", "k"), ("x", "ks"), ("qu", "kw"), ("j", "g"),
)  # fmt: skip


def _neighbours() -> dict[str, str]:
    """Return the letters on adjacent keys of a US keyboard, per letter."""
    near: dict[str, set[str]] = {letter: set() for row in _ROWS for letter in row}
    for row_index, row in enumerate(_ROWS):
        for column, letter in enumerate(row):
            for other in (column - 1, column + 1):
                if 0 <= other < len(row):
                    near[letter].add(row[other])
            if row_index + 1 < len(_ROWS):
                below = _ROWS[row_index + 1]
                for other in (column - 1, column):
                    if 0 <= other < len(below):
                        near[letter].add(below[other])
                        near[below[other]].add(letter)
    return {letter: "".join(sorted(keys)) for letter, keys in near.items()}


NEIGHBOURS = _neighbours()


def _omit(word: str, at: int, rng: random.Random) -> str:
    return word[:at] + word[at + 1 :]


def _double(word: str, at: int, rng: random.Random) -> str:
    return word[: at + 1] + word[at:]


def _swap(word: str, at: int, rng: random.Random) -> str:
    return word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :]


def _neighbour_key(word: str, at: int, rng: random.Random) -> str:
    near = NEIGHBOURS.get(word[at])
    return word if near is None else word[:at] + rng.choice(near) + word[at + 1 :]


def _extra_key(word: str, at: int, rng: random.Random) -> str:
    near = NEIGHBOURS.get(word[at])
    return word if near is None else word[:at] + rng.choice(near) + word[at:]


def _single(word: str, at: int, rng: random.Random) -> str:
    doubles = [i for i in range(1, len(word)) if word[i] == word[i - 1]]
    return _omit(word, rng.choice(doubles), rng) if doubles else _omit(word, at, rng)


def _sound(word: str, at: int, rng: random.Random) -> str:
    places = [(i, a, b) for a, b in _SOUNDS for i in range(1, len(word)) if word.startswith(a, i)]
    if not places:
        return _neighbour_key(word, at, rng)
    i, a, b = rng.choice(places)
    return word[:i] + b + word[i + len(a) :]


_EDITS = (_omit, _swap, _neighbour_key, _double, _sound, _extra_key, _single)
_EDIT_WEIGHTS = (24, 22, 18, 10, 12, 8, 6)


def misspell(word: str, rng: random.Random, lists: Mapping[str, Sequence[str]]) -> str:
    """Return a misspelling of a plain word, one or two edits away from it.

    ``lists`` maps lower-case words to people's misspellings, which are used in two of five
    cases. A capital at the start is kept. Words under three letters are returned unchanged.
    """
    if len(word) < 3:
        return word
    lower = word.lower()
    known = lists.get(lower)
    wrong = lower
    if known and rng.random() < 0.4:
        wrong = rng.choice(known)
    for _ in range(12):
        if wrong != lower and 1 <= OSA.distance(wrong, lower) <= 2:
            break
        # The first letter is rarely wrong, in typing and in spelling.
        at = rng.randrange(1, len(lower)) if rng.random() < 0.95 else 0
        edit = rng.choices(_EDITS, _EDIT_WEIGHTS)[0]
        wrong = edit(lower, max(at, 1) if edit is _swap else at, rng)
    else:
        wrong = _double(lower, len(lower) - 1, rng)
    return wrong[0].upper() + wrong[1:] if word[0].isupper() else wrong


def add_typos(
    query: str,
    count: int,
    rng: random.Random,
    lists: Mapping[str, Sequence[str]],
    known: Mapping[str, object] | frozenset[str],
    *,
    forbidden: frozenset[str] = frozenset(),
) -> str:
    """Return a query with typos in up to ``count`` different words.

    Only plain words of at least four letters that are in ``known`` get typos, as a model cannot
    restore a word it never saw. A typo that is itself a known word is drawn again. The
    lower-case words in ``forbidden`` get none.
    """
    tokens = query.split(" ")
    places = [
        i
        for i, token in enumerate(tokens)
        if len(bare_word(token)) >= 4
        and not is_protected(token)
        and bare_word(token).lower() in known
        and bare_word(token).lower() not in forbidden
    ]
    # Longer words are misspelled more often than short ones.
    chosen: list[int] = []
    while places and len(chosen) < count:
        at = rng.choices(places, [len(tokens[i]) for i in places])[0]
        places.remove(at)
        chosen.append(at)
    for at in chosen:
        word = bare_word(tokens[at])
        for _ in range(4):
            wrong = misspell(word, rng, lists)
            if wrong.lower() not in known:
                tokens[at] = tokens[at].replace(word, wrong, 1)
                break
    return " ".join(tokens)


def break_spacing(query: str, rng: random.Random) -> str:
    """Return a query with two plain neighbouring words joined, as by a missed space bar."""
    tokens = query.split(" ")
    places = [
        i
        for i in range(len(tokens) - 1)
        if all(t.isalpha() and len(t) >= 3 and not is_protected(t) for t in tokens[i : i + 2])
    ]
    if not places:
        return query
    at = rng.choice(places)
    return " ".join([*tokens[:at], tokens[at] + tokens[at + 1], *tokens[at + 2 :]])
