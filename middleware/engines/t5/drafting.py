"""Guesses the next tokens of a rewrite, which the model then verifies in one step.

A rewrite mostly copies its text. The next tokens are likely those that follow the last tokens in
the text, or that followed them in an earlier rewrite. (Prompt lookup decoding: Saxena 2023;
speculative decoding: Leviathan et al. 2023, https://arxiv.org/abs/2211.17192.) A wrong guess costs
time and never changes the output.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol


class Guesses(Protocol):
    """The draft of one rewrite."""

    def guess(self, output: Sequence[int], count: int) -> list[int]:
        """Return up to ``count`` tokens that may follow ``output``, possibly none."""
        ...


class Drafts(Protocol):
    """A source of drafts."""

    def begin(self, source: Sequence[int]) -> Guesses:
        """Return the draft for a rewrite of the tokens ``source``, end token included."""
        ...

    def learn(self, tokens: Sequence[int]) -> None:
        """Take note of a finished rewrite."""
        ...


class History:
    """Remembers which token followed which two in the latest rewrites; ``size`` bounds it.

    Concurrency: owned by the engine's thread.
    """

    def __init__(self, size: int = 8192) -> None:
        self._size = size
        self._next: OrderedDict[tuple[int, int], int] = OrderedDict()

    def begin(self, source: Sequence[int]) -> Draft:
        """Return the draft for a rewrite of ``source``; see ``Drafts``."""
        return Draft(source, self)

    def learn(self, tokens: Sequence[int]) -> None:
        """Remember a finished rewrite."""
        for first, second, third in zip(tokens, tokens[1:], tokens[2:], strict=False):
            self._next[first, second] = third
            self._next.move_to_end((first, second))
        while len(self._next) > self._size:
            self._next.popitem(last=False)

    def follow(self, first: int, second: int, count: int) -> list[int]:
        """Return up to ``count`` tokens that followed these two in earlier rewrites."""
        found: list[int] = []
        while len(found) < count and (third := self._next.get((first, second))) is not None:
            found.append(third)
            first, second = second, third
        return found


class Draft:
    """Guesses by copying from ``source`` (with its end token) and from earlier rewrites."""

    def __init__(self, source: Sequence[int], history: History) -> None:
        self._source = source
        self._history = history
        self._read = -1  # the place of the source token that was copied last

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
        # A token was written differently; the tokens after it may be copied again.
        self._read += 1
        return list(source[self._read + 1 : self._read + 1 + count])

    def _find(self, output: Sequence[int]) -> int | None:
        """Return the place in the source where the last tokens of ``output`` occur.

        The place with the most equal tokens before it (up to 4) wins; then the next one after
        the token that was copied last. Return ``None`` if the last token is not in the source.
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
