"""One caller's question, and what the end of its flight means for it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..core.deadline import Deadline
from ..core.memo import MemoKey
from ..core.outcome import Mode, Reason, Source
from ..core.reformulation import Reformulation, Timings, conclude
from .flights import FlightResult

__all__ = ["PendingLookup"]


@dataclass(frozen=True, slots=True)
class PendingLookup:
    """A text, what it is keyed by, and by when it is wanted; ``started`` is when it came."""

    original: str
    key: MemoKey
    mode: Mode
    started: float
    deadline: Deadline
    cached: bool
    stored: bool

    def landed(self, result: FlightResult | None, source: Source) -> Reformulation:
        """Return what a landing means for this caller; ``None`` is that none came in time."""
        if result is None or (result.verdict is None and result.reason is None):
            return Reformulation.untouched(self.original, Reason.TIMEOUT)
        timings = Timings(0.0, result.queue, result.engine)
        if result.verdict is None:
            assert result.reason is not None
            return Reformulation.untouched(self.original, result.reason, timings=timings)
        return conclude(self.original, result.verdict, self.mode, source, timings)

    def timed(self, reformulation: Reformulation, now: float) -> Reformulation:
        """Put the total time on a decision that is made at ``now``."""
        total = now - self.started
        # The flight may have begun before this caller came.
        engine = min(total, reformulation.timings.engine)
        queue = min(total - engine, reformulation.timings.queue)
        return replace(reformulation, timings=Timings(total, queue, engine))
