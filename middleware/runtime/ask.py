"""One caller's question, and what the end of its flight means for it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from middleware.core.deadline import Deadline
from middleware.core.memo import MemoKey
from middleware.core.outcome import Mode, Reason, Source
from middleware.core.reformulation import Reformulation, Timings, conclude

from .single_flight import Landing

__all__ = ["Ask"]


@dataclass(frozen=True, slots=True)
class Ask:
    """A text, what it is keyed by, and by when it is wanted; ``started`` is when it came."""

    original: str
    key: MemoKey
    mode: Mode
    started: float
    deadline: Deadline
    cached: bool
    stored: bool

    def landed(self, landing: Landing | None, source: Source) -> Reformulation:
        """Return what a landing means for this caller; ``None`` is that none came in time."""
        if landing is None or (landing.verdict is None and landing.reason is None):
            return Reformulation.untouched(self.original, Reason.TIMEOUT)
        timings = Timings(0.0, landing.queue, landing.engine)
        if landing.verdict is None:
            assert landing.reason is not None
            return Reformulation.untouched(self.original, landing.reason, timings=timings)
        return conclude(self.original, landing.verdict, self.mode, source, timings)

    def timed(self, reformulation: Reformulation, now: float) -> Reformulation:
        """Put the total time on a decision that is made at ``now``."""
        total = now - self.started
        # The flight may have begun before this caller came.
        engine = min(total, reformulation.timings.engine)
        queue = min(total - engine, reformulation.timings.queue)
        return replace(reformulation, timings=Timings(total, queue, engine))
