"""Finds output that repeats itself without end, so that decoding it can stop early.

A model that has lost its place writes the same words again and again. Such output is cut at the
third repetition: enough for acceptance to reject the repetition, and to use the edits before it.
"""

from __future__ import annotations

from collections.abc import Sequence

_MAX_PERIOD = 24  # tokens of the repeated part
_TIMES = 3
_TIMES_ALONE = 8  # of a single token, as numbers have zeros


def ends_in_repetition(tokens: Sequence[int], source: Sequence[int]) -> bool:
    """Return whether the last tokens are a run three times over that the source does not have."""
    last = len(tokens) - 1
    for period in range(1, min(_MAX_PERIOD, len(tokens) // _TIMES) + 1):
        if tokens[last] != tokens[last - period]:
            continue
        times = _TIMES if period > 1 else _TIMES_ALONE
        run = list(tokens[last + 1 - period :])
        if period > 1 and len(set(run)) == 1:
            continue
        if list(tokens[-times * period :]) == run * times and not _contains(source, run * times):
            return True
    return False


def repetition_end(tokens: Sequence[int], source: Sequence[int]) -> int | None:
    """Return after how many tokens the first repetition is complete, ``None`` without one."""
    counts = range(1, len(tokens) + 1)
    return next((n for n in counts if ends_in_repetition(tokens[:n], source)), None)


def _contains(tokens: Sequence[int], run: Sequence[int]) -> bool:
    size = len(run)
    return any(list(tokens[i : i + size]) == run for i in range(len(tokens) - size + 1))
