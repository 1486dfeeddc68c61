"""The safe single edits of a rewrite, applied to the text in place of the whole rewrite.

A rewrite that lost a word too many may still have mended a spelling and left the request
out. Each of its edits is judged by itself: a word goes where a rewrite may leave it out, and
is respelled where the new word is a spelling of it. Nothing is ever added or moved.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from difflib import SequenceMatcher

from ..core.text import holds_word, words
from .frames import may_go, without_courtesy
from .quotation import quoted_pieces
from .terms import has_digit, is_headline, is_pronoun_i, is_protected, is_unit, protected_terms

__all__ = ["merged", "names", "same_words"]


def same_words(one: str, other: str) -> bool:
    """Tell whether two texts differ at most in case, and in punctuation around their words."""
    return _folded(words(one)) == _folded(words(other))


def merged(
    text: str,
    rewrite: str,
    respelled: Callable[[str, str], bool],
    *,
    protected: Collection[str] = (),
    known: Collection[str] = (),
    deletes: bool = True,
) -> str:
    """Return the text with those edits of a rewrite that are safe one by one.

    ``respelled`` tells of two case-folded words whether the second is a spelling of the
    first. Case-folded, ``protected`` are further words that stay as they are, and ``known``
    words that may go but are spelled right. With ``deletes`` off words are only respelled.
    The protected terms of the result are those of the text, in the same order; where the
    edits cannot be told apart or would change that, and where the rewrite has no word of the
    query itself and so is about something else, the text is returned.
    """
    pieces = text.split()
    places = [place for place, piece in enumerate(pieces) if holds_word(piece)]
    quoted = quoted_pieces(text)
    own = words(text)
    judged = may_go(text)
    before = _folded(own)
    if before != [word for word, _ in judged]:
        return text  # a set phrase ends inside a word, so that the words do not pair up
    fresh = words(rewrite)
    after = _folded(fresh)
    named = names(text)
    result: list[str | None] = list(pieces)

    def stays(i: int) -> bool:
        return (
            named[i]
            or quoted[places[i]]
            or before[i] in protected
            or (not judged[i][1] and is_protected(own[i]))  # "if you don't mind" may go
            or (is_unit(own[i]) and i > 0 and has_digit(own[i - 1]))
        )

    def mends(i: int, j: int) -> bool:
        return (
            own[i].isalpha()
            and fresh[j].isalpha()
            and before[i] not in known
            and before.count(before[i]) == 1  # nobody misspells a word twice in the same way
            and not is_unit(own[i])
            and not is_protected(own[i])
            and not is_protected(fresh[j])
            and not (is_unit(fresh[j]) and i > 0 and has_digit(own[i - 1]))
            and respelled(before[i], after[j])
        )

    def measures(i: int) -> bool:  # without "with", "size 12 with v neck" is of 12 volts
        return 0 < i < len(own) - 1 and has_digit(own[i - 1]) and is_unit(own[i + 1])

    related = False
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for edit, start, end, new, new_end in matcher.get_opcodes():
        if edit == "equal":
            related = related or not all(droppable for _, droppable in judged[start:end])
            continue
        for i in range(start, end):
            if stays(i):
                continue
            place = places[i]
            match = next((j for j in range(new, new_end) if mends(i, j)), None)
            if match is not None:
                result[place] = pieces[place].replace(own[i], fresh[match], 1)
                new = match + 1
                related = True
            elif deletes and judged[i][1] and not measures(i):
                result[place] = None
    if not related:
        return text
    joined = _joined(result)
    return joined if _terms(joined) == _terms(text) else text


def _folded(found: list[str]) -> list[str]:
    return [word.casefold() for word in found]


def _terms(text: str) -> list[str]:
    return protected_terms(without_courtesy(text))


def names(text: str) -> list[bool]:
    """Tell of each word of a text whether its capitals make it a name ("by Will Smith", "US").

    They say nothing in a headline, nor at the start of a sentence.
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


def _joined(pieces: list[str | None]) -> str:
    """Join what is left, without the punctuation that led to what is gone."""
    kept: list[str] = []
    for place, piece in enumerate(pieces):
        if piece is None:
            continue
        if place + 1 < len(pieces) and pieces[place + 1] is None:
            piece = piece.rstrip(",;:") or piece
        kept.append(piece)
    # "hello - red shoes": a dash belongs to the word that is gone beside it.
    while kept and pieces[0] is None and not holds_word(kept[0]):
        del kept[0]
    while kept and pieces[-1] is None and not holds_word(kept[-1]):
        del kept[-1]
    return " ".join(kept)
