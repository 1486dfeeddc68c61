"""The safe edits of a rewrite, applied to the text one by one.

A rewrite that is refused for one lost word may still correct a misspelling and drop a request. Each
of its edits is checked by itself: a word is dropped if a rewrite may drop it, and replaced if the
new word corrects its spelling. No word is added or moved.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from difflib import SequenceMatcher

from ..core.text import holds_word, words
from .quotation import quotations, quoted_pieces
from .request_words import droppable_words, without_courtesy
from .terms import has_digit, is_headline, is_pronoun_i, is_protected, is_unit, protected_terms


def same_words(one: str, other: str) -> bool:
    """Return whether two texts differ at most in case and in punctuation around their words."""
    return _folded(words(one)) == _folded(words(other))


def apply_safe_edits(
    text: str,
    rewrite: str,
    is_correction: Callable[[str, str], bool],
    *,
    protected: Collection[str] = (),
    known: Collection[str] = (),
    deletes: bool = True,
) -> str:
    """Return the text with those edits of a rewrite that are safe one by one.

    ``is_correction(word, new)`` returns whether ``new`` corrects the spelling of ``word``, both
    case-folded. ``protected`` words never change; ``known`` words may be dropped but are spelled
    correctly (both case-folded). Without ``deletes`` no word is dropped.

    The result has the protected terms of the text, in the same order. The text is returned
    unchanged if the edits would break that or cannot be told apart, or if the rewrite has no word
    of the query, so that it is about something else.
    """
    pieces = text.split()
    places = [place for place, piece in enumerate(pieces) if holds_word(piece)]
    quoted = quoted_pieces(text)
    own = words(text)
    classified = droppable_words(text)
    before = _folded(own)
    if before != [word for word, _ in classified]:
        return text  # a set phrase ends inside a word, so that the words do not pair up
    fresh = words(rewrite)
    after = _folded(fresh)
    named = capitalized_names(text)
    result: list[str | None] = list(pieces)

    def stays(i: int) -> bool:
        return (
            named[i]
            or quoted[places[i]]
            or before[i] in protected
            or (not classified[i][1] and is_protected(own[i]))  # "if you don't mind" may go
            or (is_unit(own[i]) and i > 0 and has_digit(own[i - 1]))
        )

    def corrects(i: int, j: int) -> bool:
        return (
            own[i].isalpha()
            and fresh[j].isalpha()
            and before[i] not in known
            and before.count(before[i]) == 1  # a word that occurs twice is no typo
            and not is_unit(own[i])
            and not is_protected(own[i])
            and not is_protected(fresh[j])
            and not (is_unit(fresh[j]) and i > 0 and has_digit(own[i - 1]))
            and is_correction(before[i], after[j])
        )

    def measures(i: int) -> bool:  # without "with", "size 12 with v neck" is of 12 volts
        return 0 < i < len(own) - 1 and has_digit(own[i - 1]) and is_unit(own[i + 1])

    related = False
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for edit, start, end, new, new_end in matcher.get_opcodes():
        if edit == "equal":
            related = related or not all(droppable for _, droppable in classified[start:end])
            continue
        for i in range(start, end):
            if stays(i):
                continue
            place = places[i]
            match = next((j for j in range(new, new_end) if corrects(i, j)), None)
            if match is not None:
                result[place] = pieces[place].replace(own[i], fresh[match], 1)
                new = match + 1
                related = True
            elif deletes and classified[i][1] and not measures(i):
                result[place] = None
    if not related:
        return text
    joined = _joined(result, text)
    same = _terms(joined) == _terms(text) and quotations(joined) == quotations(text)
    return joined if same else text


def _folded(found: list[str]) -> list[str]:
    return [word.casefold() for word in found]


def _terms(text: str) -> list[str]:
    return protected_terms(without_courtesy(text))


def capitalized_names(text: str) -> list[bool]:
    """Return for each word of a text whether its capitals show a name ("by Will Smith", "US").

    Capitals in a headline and at the start of a sentence show none.
    """
    found = words(text)
    many = len(found) > 1
    if text.islower() or (many and is_headline(found)):
        return [False] * len(found)
    result = []
    starts = True
    for piece, word in zip(filter(holds_word, text.split()), found, strict=True):
        acronym = many and len(word) > 1 and word.isupper()
        result.append(acronym or (word[0].isupper() and not starts and not is_pronoun_i(word)))
        starts = piece.endswith((".", "!", "?", ":"))
    return result


def _joined(pieces: list[str | None], text: str) -> str:
    """Return the pieces of a text that are left, without punctuation before dropped pieces.

    Those that were neighbours keep the blanks between them, as these may be quoted.
    """
    pieces_left: list[str] = []
    blanks = re.findall(r"(?<=\S)\s+(?=\S)", text)
    gaps: list[str] = []  # before each piece that is left
    for place, piece in enumerate(pieces):
        if piece is None:
            continue
        if place + 1 < len(pieces) and pieces[place + 1] is None:
            piece = piece.rstrip(",;:") or piece
        gaps.append(blanks[place - 1] if place and pieces[place - 1] is not None else " ")
        pieces_left.append(piece)
    # "hello - red shoes": a dash is dropped with the word beside it.
    while pieces_left and pieces[0] is None and not holds_word(pieces_left[0]):
        del pieces_left[0], gaps[0]
    while pieces_left and pieces[-1] is None and not holds_word(pieces_left[-1]):
        del pieces_left[-1], gaps[-1]
    spaced = zip(gaps, pieces_left, strict=True)
    return "".join(gap + piece for gap, piece in spaced).removeprefix(gaps[0] if gaps else "")
