"""What the engine's work is expected to take, and so when an answer would come."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..core.cost_model import CostModel
from .flights import Flight

__all__ = ["CompletionEstimator"]

_RESERVE = 0.4
"""The part by which a wait, and what comes after it, may be longer than expected.

With .25 of the wait alone, at five times what the engine can do, ten times as many came too late
and fewer in time: what was computed for nobody was missing for others (two cores, 20 s, 2 runs).
"""


class CompletionEstimator:
    """Looks ahead from what engine calls took before, and from the one under way.

    ``batch`` is how many texts a call has at most. ``running`` are those of the call under way,
    begun at ``since``; ``lateness`` is the time (seconds) that an answer is expected to take from
    the engine to who waits.

    Concurrency: that of its lanes, whose lock its user holds.
    """

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self.cost = CostModel()
        self.running: list[Flight] = []
        self.since = 0.0
        self.lateness = 0.0

    def answer(self, queued: Sequence[Flight], now: float) -> float:
        """Return the seconds until the last of these has its answer; they are the next to run.

        A queue may last longer than expected, as its end depends on much that is not known; where
        the engine is free, little is.
        """
        wait, run = self._expected(queued, now)
        reserve = _RESERVE if wait else 0.0
        return (1 + reserve) * (wait + run) + self.lateness

    def place(self, queued: Sequence[Flight], now: float) -> float:
        """Return the same for one that has its place already: without a reserve."""
        return sum(self._expected(queued, now)) + self.lateness

    def under_way(self, now: float) -> float:
        """Return the seconds until those that run have their answers."""
        return self._remaining(now) + self.lateness

    def _expected(self, queued: Sequence[Flight], now: float) -> tuple[float, float]:
        """Return the seconds until the last of these runs, and how long it does."""
        batches = math.ceil(len(queued) / self._batch)
        run = self.cost.predict(round(sum(f.tokens for f in queued) / batches))
        awaited = any(f.awaited(now) for f in self.running)
        # Late ones give way, unless the engine hangs.
        before = self._remaining(now) if awaited else self._overdue(now)
        return before + (batches - 1) * run, run

    def _remaining(self, now: float) -> float:
        """Return what the engine call under way is expected to take still."""
        expected = self.cost.predict(sum(f.tokens for f in self.running))
        return max(0.0, self.since + expected - now) + self._overdue(now)

    def _overdue(self, now: float) -> float:
        """Return how far the call under way is past what was expected, 0 within it.

        What has taken so much longer may take as long again: a hanging engine turns all away.
        """
        if not self.running:
            return 0.0
        expected = self.cost.predict(sum(f.tokens for f in self.running))
        return max(0.0, now - self.since - expected)
