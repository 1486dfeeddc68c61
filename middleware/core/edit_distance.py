"""Whether two words may be spellings of one another."""

from __future__ import annotations

__all__ = ["close_spelling", "edit_distance"]


def edit_distance(a: str, b: str, limit: int) -> int:
    """Return the optimal string alignment distance of two words, or ``limit + 1`` beyond it.

    Insertions, deletions, substitutions and transpositions of neighbours cost 1 each.
    """
    if abs(len(a) - len(b)) > limit:
        return limit + 1
    before_last: list[int] = []
    last = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        row = [i]
        for j, right in enumerate(b, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (left != right))
            if i > 1 and j > 1 and left == b[j - 2] and a[i - 2] == right:
                cost = min(cost, before_last[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
        before_last, last = last, row
    return min(last[-1], limit + 1)


def close_spelling(a: str, b: str) -> bool:
    """Tell whether two words are within the edits that a misspelling of their length makes.

    One edit up to 4 letters, two up to 9, three beyond; words of one or two letters are
    never spellings of one another.
    """
    size = min(len(a), len(b))
    if size <= 2:
        return False
    limit = 1 if size <= 4 else 2 if size <= 9 else 3
    return edit_distance(a, b, limit) <= limit
