"""Estimates when an engine call for queued texts will be complete."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..core.cost_model import CostModel
from .flights import Flight

_RESERVE = 0.4
"""The share by which a queue may take longer than predicted.

At .25, with five times the load that the engine can take, ten times as many rewrites came late
and fewer came in time: work for lookups that had given up delayed the others (two cores, 20 s, 2
runs).
"""


class CompletionEstimator:
    """Predicts completion times from past engine calls and from the call that runs now.

    ``batch`` is the largest number of texts in a call. ``running`` are the flights of the current
    call, ``since`` its start. ``loop_delay`` is the time (seconds) between the engine's answer
    and the moment at which a waiting coroutine gets it.

    Concurrency: needs the dispatcher's lock.
    """

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self.cost = CostModel()
        self.running: list[Flight] = []
        self.since = 0.0
        self.loop_delay = 0.0

    def if_queued(self, queue: Sequence[Flight], now: float) -> float:
        """Return the seconds until the last flight of a queue would be complete, with a reserve.

        The reserve is for the wait, which depends on much that is unknown; a free engine needs
        none.
        """
        wait, run = self._wait_and_run(queue, now)
        reserve = _RESERVE if wait else 0.0
        return (1 + reserve) * (wait + run) + self.loop_delay

    def queued(self, queue: Sequence[Flight], now: float) -> float:
        """Return the seconds until the last flight of a queue is complete, without a reserve."""
        return sum(self._wait_and_run(queue, now)) + self.loop_delay

    def current_call(self, now: float) -> float:
        """Return the seconds until the current engine call is complete."""
        return self._remaining(now) + self.loop_delay

    def _wait_and_run(self, queue: Sequence[Flight], now: float) -> tuple[float, float]:
        """Return the seconds until the call with the last flight starts, and its duration."""
        batches = math.ceil(len(queue) / self._batch)
        run = self.cost.predict(round(sum(f.tokens for f in queue) / batches))
        wanted = any(f.has_waiters(now) for f in self.running)
        # A call without waiters is cancelled for the queue, unless the engine hangs.
        before = self._remaining(now) if wanted else self._overdue(now)
        return before + (batches - 1) * run, run

    def _remaining(self, now: float) -> float:
        """Return the seconds that the current call is expected to take from now on."""
        expected = self.cost.predict(sum(f.tokens for f in self.running))
        return max(0.0, self.since + expected - now) + self._overdue(now)

    def _overdue(self, now: float) -> float:
        """Return the seconds by which the current call is late.

        A call that is late may take as long again, so that a hanging engine rejects everything.
        """
        if not self.running:
            return 0.0
        expected = self.cost.predict(sum(f.tokens for f in self.running))
        return max(0.0, now - self.since - expected)
