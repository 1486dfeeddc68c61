"""What a rewrite left of what it took away: half a request is none, nor is half a grammar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..core.text import holds_word, words
from .frames import ASKERS, may_go
from .terms import CONTRACTIONS, FUNCTION_WORDS, GRAMMAR, folded, is_sentence

__all__ = ["finished"]

# Words of grammar that stand ahead of a query without being of it.
_LEADING = frozenset("a an the any some about for on of with me to".split())
# What goes of a sentence: what shortens its grammar and links its parts goes as well.
_GRAMMAR = GRAMMAR | CONTRACTIONS | frozenset("because but while whether too again once".split())
_NEVER_NAMES = CONTRACTIONS | {"i"}
# Words between a verb and its object: "make the lamp" is no request for a lamp.
_DETERMINERS = frozenset("a an the any some my our your his her their its this these".split())


def finished(text: str, rewrite: str) -> str:
    """Return a rewrite without the rest of a request that it left out for the most part.

    A request goes as a whole: what a rewrite kept of it ahead of the query's own words, or
    behind them, means nothing once most of it is gone. Not so where the word beside the
    query's own was kept, as it may belong to them ("how to list files"). Of a query that
    is a sentence the words of grammar go if anything does: a rewrite is keywords or it is not.
    The query's words, and whatever the rewrite has that the text has not, stay.
    """
    judged = may_go(text)
    own = [place for place, (_, may) in enumerate(judged) if not may]
    pieces = rewrite.split()
    places = [place for place, piece in enumerate(pieces) if holds_word(piece)]
    kept = [word.casefold() for word in words(rewrite)]
    if not own or len(kept) != len(places):
        return rewrite
    front = _left(kept, [word for word, _ in judged[: own[0]]])
    back = _left(kept[front:][::-1], [word for word, _ in judged[: own[-1] : -1]])
    if front + back == len(places):
        return rewrite
    gone = {*places[:front], *places[len(places) - back :]}
    grammar = _grammar(judged, kept, own[0], own[-1] + 1)
    for place, word in zip(places, kept, strict=True):
        # "A" and "US" are names here.
        if word in grammar and (pieces[place].islower() or folded(word) in _NEVER_NAMES):
            gone.add(place)
    return " ".join(piece for place, piece in enumerate(pieces) if place not in gone)


def _grammar(
    judged: Sequence[tuple[str, bool]], kept: Sequence[str], start: int, end: int
) -> set[str]:
    """Return the words of grammar of a query that is a sentence, where anything was left out.

    It reaches from ``start`` to ``end``; words that are the query's own somewhere are none.
    """
    left_out = Counter(word for word, may in judged if may) - Counter(kept)
    if not left_out or not is_sentence([word for word, _ in judged[start:end]]):
        return set()
    own = {word for word, may in judged if not may}
    # Inside of the query only grammar may go, and a request that stands there as a whole.
    inside = {word for word, _ in judged[start:end] if folded(word) not in FUNCTION_WORDS}
    return {w for w, _ in judged if w not in own and (folded(w) in _GRAMMAR or w in inside)}


def _left(kept: list[str], request: list[str]) -> int:
    """Return how many of the first words are what is left of a request that mostly went.

    ``request`` reads towards the query's own words, which come behind its last word.
    """
    at = count = 0
    for word in kept:
        if word not in request[at:]:
            break
        at = request.index(word, at) + 1
        count += 1
    between = request[at:]
    touching = count > 0 and _DETERMINERS.issuperset(between) and kept[count - 1] not in _LEADING
    # "Do you know where I might find lamps": who asks for a thing does not mean the verb.
    touching = touching and ASKERS.isdisjoint(map(folded, request))
    return count if 2 * count < len(request) and not touching else 0
