"""Whether two words may be spellings of one word."""

from __future__ import annotations

from rapidfuzz.distance import OSA


def close_spelling(a: str, b: str) -> bool:
    """Return whether two words differ by no more edits than a misspelling of their length has.

    One edit up to 4 letters, two up to 9, three beyond; words of one or two letters are
    never spellings of one another. Edits are insertions, deletions, substitutions and swaps of
    neighbours (optimal string alignment).
    """
    size = min(len(a), len(b))
    if size <= 2:
        return False
    limit = 1 if size <= 4 else 2 if size <= 9 else 3
    return OSA.distance(a, b, score_cutoff=limit) <= limit
