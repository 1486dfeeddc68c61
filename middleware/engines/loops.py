"""Answers that repeat themselves without end: told early, so that nobody waits for their limit.

A model that has lost its place writes the same words again and again. Such an answer ends at
the third time: acceptance refuses it for its loop, and still has the edits before it.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["loop_end", "loops"]

_LONGEST = 24  # tokens of what is repeated
_TIMES = 3
_TIMES_ALONE = 8  # of a single token: zeros of a number


def loops(tokens: Sequence[int], source: Sequence[int]) -> bool:
    """Tell whether tokens end in a run that stands there three times, and not so in the source."""
    last = len(tokens) - 1
    for period in range(1, min(_LONGEST, len(tokens) // _TIMES) + 1):
        if tokens[last] != tokens[last - period]:
            continue
        times = _TIMES if period > 1 else _TIMES_ALONE
        run = list(tokens[last + 1 - period :])
        if period > 1 and len(set(run)) == 1:
            continue
        if list(tokens[-times * period :]) == run * times and not _holds(source, run * times):
            return True
    return False


def loop_end(tokens: Sequence[int], source: Sequence[int]) -> int | None:
    """Return the count of tokens at which the first loop is told, ``None`` where there is none."""
    return next((n for n in range(1, len(tokens) + 1) if loops(tokens[:n], source)), None)


def _holds(tokens: Sequence[int], run: Sequence[int]) -> bool:
    size = len(run)
    return any(list(tokens[i : i + size]) == run for i in range(len(tokens) - size + 1))
