"""Removal of the parts of a request that a rewrite dropped only in part."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from ..core.text import holds_word, words
from .request_words import ASKERS, droppable_words
from .terms import CONTRACTIONS, FUNCTION_WORDS, GRAMMAR, folded, is_sentence

# Words of grammar before a query that do not belong to it.
_LEADING = frozenset("a an the any some about for on of with me to".split())
# Words of grammar that keywords do without, with contractions and conjunctions.
_GRAMMAR = GRAMMAR | CONTRACTIONS | frozenset("because but while whether too again once".split())
_NEVER_NAMES = CONTRACTIONS | {"i"}
# Words between a verb and its object: "make the lamp" is no request for a lamp.
_DETERMINERS = frozenset("a an the any some my our your his her their its this these".split())


def without_remains(text: str, rewrite: str) -> str:
    """Return a rewrite without what remains of a request that it dropped for the most part.

    Request words before or behind the query mean nothing once most of the request is dropped, so
    the others are removed too. The word beside the query stays, as it may belong to the query ("how
    to list files"). If a rewrite of a whole sentence drops anything, it becomes keywords: its words
    of grammar are removed. The query's own words and new words of the rewrite stay.
    """
    classified = droppable_words(text)
    own = [place for place, (_, may) in enumerate(classified) if not may]
    pieces = rewrite.split()
    places = [place for place, piece in enumerate(pieces) if holds_word(piece)]
    rewritten = [word.casefold() for word in words(rewrite)]
    if not own or len(rewritten) != len(places):
        return rewrite
    front = _remains(rewritten, [word for word, _ in classified[: own[0]]])
    back = _remains(rewritten[front:][::-1], [word for word, _ in classified[: own[-1] : -1]])
    if front + back == len(places):
        return rewrite
    dropped = {*places[:front], *places[len(places) - back :]}
    grammar = _grammar(classified, rewritten, own[0], own[-1] + 1)
    for place, word in zip(places, rewritten, strict=True):
        # "A" and "US" are names here.
        if word in grammar and (pieces[place].islower() or folded(word) in _NEVER_NAMES):
            dropped.add(place)
    spaced = re.findall(r"\S+\s*", rewrite)  # a quotation may hold several blanks
    return "".join(piece for place, piece in enumerate(spaced) if place not in dropped).rstrip()


def _grammar(
    classified: Sequence[tuple[str, bool]], rewritten: Sequence[str], start: int, end: int
) -> set[str]:
    """Return the words of grammar to remove from a rewrite; none if the query is no sentence.

    The query reaches from ``start`` to ``end``. Words that are its own anywhere are not among them.
    """
    left_out = Counter(word for word, may in classified if may) - Counter(rewritten)
    if not left_out or not is_sentence([word for word, _ in classified[start:end]]):
        return set()
    own = {word for word, may in classified if not may}
    # Inside the query only grammar may be dropped, and a whole request.
    inside = {word for word, _ in classified[start:end] if folded(word) not in FUNCTION_WORDS}
    return {w for w, _ in classified if w not in own and (folded(w) in _GRAMMAR or w in inside)}


def _remains(rewritten: list[str], request: list[str]) -> int:
    """Return how many of the first words remain of a request that was mostly dropped.

    ``request`` is in reading order towards the query, whose own words follow its last word.
    """
    at = count = 0
    for word in rewritten:
        if word not in request[at:]:
            break
        at = request.index(word, at) + 1
        count += 1
    between = request[at:]
    touching = (
        count > 0 and _DETERMINERS.issuperset(between) and rewritten[count - 1] not in _LEADING
    )
    # "Do you know where I might find lamps": the verb belongs to the request, as somebody asks.
    touching = touching and ASKERS.isdisjoint(map(folded, request))
    return count if 2 * count < len(request) and not touching else 0
