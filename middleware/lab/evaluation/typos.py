"""Typos for measuring: seeded, one edit per misspelled word.

Nothing comes from a list of misspellings, and nothing is shared with the typos of training.
Keyboard errors depend on the distance between keys in millimetres. Phonetic errors use the
different ways in which English spells a sound.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

# The centre of each key on an ISO keyboard, in millimetres. Keys are 19 mm apart.
_KEYS = {
    letter: (column * 19.0 + offset, row * 19.0)
    for row, (letters, offset) in enumerate(
        (("qwertyuiop", 0.0), ("asdfghjkl", 4.75), ("zxcvbnm", 14.25))
    )
    for column, letter in enumerate(letters)
}
_PLAIN = re.compile(r"[a-z]+", re.IGNORECASE)
# Units, negations and function words: a typo in one costs a search nothing, or changes the
# meaning of the query.
_NEVER_MISSPELLED = frozenset(
    "with without from that this these those than then they them their there what when where "
    "which while whom whose will would could should been being have having does were your about "
    "into onto over under also such only some more most much many very each both never none "
    "except excluding unless cannot inch inches feet foot yard yards mile miles gram grams pound "
    "pounds ounce ounces liter liters litre gallon gallons quart watt watts volt volts amps hertz "
    "percent degree degrees minute minutes hour hours days week weeks month months year years "
    "byte bytes bits cups pack count cannot minus neither nobody nothing".split()
)
# The spelling of a sound (with the letters around it), and other spellings of that sound.
_PHONETIC = (
    (r"(?<=[bcdfglmnprstv])ie(?=[a-z])", ("ei", "ee")),
    (r"(?<=[a-z])ei(?=[a-z])", ("ie",)),
    (r"(?<=[a-z])([bcdfglmnprst])\1", (r"\1",)),  # accommodate, accomodate
    (r"(?<=[aeiou])([bcdfglmnprst])(?=[aeiou])", (r"\1\1",)),  # necessary, neccessary
    (r"(?<=[a-z]{2})a(?=(?:nt|nce|ble|te|r)\b)", ("e", "i")),  # relevant, relevent
    (r"(?<=[a-z]{2})e(?=(?:nt|nce|r|ry)\b)", ("a",)),  # independent, independant
    (r"(?<=[a-z]{2})i(?=(?:ble|ty|te|ve)\b)", ("a", "e")),
    (r"(?<=[a-z])o(?=rs?\b)", ("e",)),  # doctor, docter
    (r"(?<=[a-z])ph(?=[a-z])", ("f",)),
    (r"(?<=[a-z])c(?=[eiy])", ("s",)),
    (r"(?<=[a-z])sc(?=[ei])", ("c", "s")),
    (r"(?<=[a-z])tion\b", ("sion", "shun")),
    (r"(?<=[a-z])ous\b", ("us", "ious")),
    (r"(?<=[a-z])y(?=[a-z])", ("i",)),
    (r"(?<=[a-z])ough", ("uff", "off", "ow")),
    (r"(?<=[a-z])(?:au|aw)(?=[a-z])", ("o",)),
    (r"(?<=[a-z])ea(?=[a-z])", ("ee", "e")),
    (r"(?<=[a-z])ai(?=[a-z])", ("a", "ia")),
    (r"(?<=[a-z])rh|(?<=[a-z])(?:th)(?=m)", ("r", "t")),
    (r"(?<=[a-z])mn\b", ("m",)),
    (r"(?<=[a-z])([bdgkpt])le\b", (r"\1el", r"\1al")),
    (r"(?<=[a-z])er(?=[aeiou])", ("r",)),  # different, diffrent
    (r"(?<=[a-z]{3})e(?=ly\b|ment\b)", ("",)),  # definitely, definitly
)


def _keyboard(word: str, rng: random.Random) -> str:
    """Replace a letter by one on a nearby key; closer keys are more likely."""
    at = rng.randrange(len(word))
    here = _KEYS.get(word[at])
    if here is None:
        return word
    near = {
        letter: distance
        for letter, (x, y) in _KEYS.items()
        if 0 < (distance := ((x - here[0]) ** 2 + (y - here[1]) ** 2) ** 0.5) < 25
    }
    wrong = rng.choices(list(near), [distance**-2 for distance in near.values()])[0]
    return word[:at] + wrong + word[at + 1 :]


def _transposition(word: str, rng: random.Random) -> str:
    at = rng.randrange(len(word) - 1)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _omission(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word))
    return word[:at] + word[at + 1 :]


def _doubling(word: str, rng: random.Random) -> str:
    at = rng.randrange(len(word))
    return word[:at] + word[at] + word[at:]


def _phonetic(word: str, rng: random.Random) -> str:
    found = [
        (match, spelling)
        for pattern, spellings in _PHONETIC
        for match in re.finditer(pattern, word)
        for spelling in spellings
    ]
    if not found:
        return word
    match, spelling = rng.choice(found)
    return word[: match.start()] + match.expand(spelling) + word[match.end() :]


_KINDS: tuple[Callable[[str, random.Random], str], ...] = (
    _keyboard,
    _transposition,
    _omission,
    _doubling,
    _phonetic,
)


def misspelled_word(word: str, rng: random.Random) -> str:
    """Return a word of four letters or more with one error; all kinds are equally likely.

    Capitals at the start, or throughout, are kept. The result always differs from the word.
    """
    lower = word.lower()
    while True:
        wrong = rng.choice(_KINDS)(lower, rng)
        if wrong not in (lower, ""):
            break
    if word.isupper():
        return wrong.upper()
    return wrong.capitalize() if word[0].isupper() else wrong


def misspelled(text: str, count: int, rng: random.Random) -> str:
    """Return a text with a typo in ``count`` different words, or in all that may have one.

    Only plain words of four letters or more get typos, longer ones more often. Numbers, units,
    negations, acronyms, and words with a digit or a symbol in them never do.
    """
    pieces = re.split(r"(\s+)", text)
    places = [at for at, piece in enumerate(pieces) if _plain_word(piece)]
    for _ in range(count):
        if not places:
            break
        at = rng.choices(places, [len(pieces[place]) for place in places])[0]
        places.remove(at)
        word = _plain_word(pieces[at])
        pieces[at] = pieces[at].replace(word, misspelled_word(word, rng), 1)
    return "".join(pieces)


def _plain_word(piece: str) -> str:
    """Return the word in a piece of text that may get a typo, or an empty text."""
    word = piece.strip("\"'()[],;:!?.")
    if not _PLAIN.fullmatch(word) or len(word) < 4 or word.lower() in _NEVER_MISSPELLED:
        return ""
    inner_capital = any(letter.isupper() for letter in word[1:])
    return "" if inner_capital else word
