"""Guesses of the next tokens, to be verified in one step.

A rewrite mostly copies: what follows the last tokens in the input, or followed them in an
earlier rewrite, is likely next (prompt look-up; Saxena 2023, speculative decoding: Leviathan
et al. 2023, https://arxiv.org/abs/2211.17192). A wrong guess costs time and never a token.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

__all__ = ["Draft", "Drafts", "Guesses", "History"]


class Guesses(Protocol):
    """Guesses for one rewrite."""

    def guess(self, output: Sequence[int], count: int) -> list[int]:
        """Return up to ``count`` tokens that may follow ``output``, possibly none."""
        ...


class Drafts(Protocol):
    """Where guesses come from; asked once for each input."""

    def begin(self, source: Sequence[int]) -> Guesses:
        """Return the guesses for a rewrite of ``source``, which ends with its end token."""
        ...

    def learn(self, tokens: Sequence[int]) -> None:
        """Hear of a finished rewrite."""
        ...


class History:
    """Which token followed two others in earlier rewrites, the most recent ones only.

    Concurrency: owned by the engine's thread.
    """

    def __init__(self, size: int = 8192) -> None:
        self._size = size
        self._next: OrderedDict[tuple[int, int], int] = OrderedDict()

    def begin(self, source: Sequence[int]) -> Draft:
        """Return the guesses for a rewrite of ``source``, which ends with its end token."""
        return Draft(source, self)

    def learn(self, tokens: Sequence[int]) -> None:
        """Remember a finished rewrite."""
        for first, second, third in zip(tokens, tokens[1:], tokens[2:], strict=False):
            self._next[first, second] = third
            self._next.move_to_end((first, second))
        while len(self._next) > self._size:
            self._next.popitem(last=False)

    def follow(self, first: int, second: int, count: int) -> list[int]:
        """Return up to ``count`` tokens that followed the two."""
        found: list[int] = []
        while len(found) < count and (third := self._next.get((first, second))) is not None:
            found.append(third)
            first, second = second, third
        return found


class Draft:
    """Guesses for one rewrite of ``source`` (with its end token)."""

    def __init__(self, source: Sequence[int], history: History) -> None:
        self._source = source
        self._history = history
        self._read = -1  # the place in the source up to which it was copied

    def guess(self, output: Sequence[int], count: int) -> list[int]:
        """Return up to ``count`` tokens that may follow ``output``, possibly none."""
        source = self._source
        if not output:
            return list(source[:count])
        place = self._find(output)
        if place is not None:
            self._read = place
            return list(source[place + 1 : place + 1 + count])
        if len(output) > 1 and (found := self._history.follow(output[-2], output[-1], count)):
            return found
        # A word was written differently; what comes after it may still be copied.
        self._read += 1
        return list(source[self._read + 1 : self._read + 1 + count])

    def _find(self, output: Sequence[int]) -> int | None:
        """Return where in the source the longest end of ``output`` ends.

        Among equally long ones the next place after the last copied one is likeliest.
        """
        source, last = self._source, output[-1]
        best: tuple[int, bool, int] | None = None
        for place, token in enumerate(source):
            if token != last:
                continue
            length = 1
            while (
                length < min(4, len(output), place + 1)
                and source[place - length] == output[-1 - length]
            ):
                length += 1
            score = (length, place > self._read, -place)
            if best is None or score > best:
                best = score
        return None if best is None else -best[2]
