"""Engine calls: from a batch of flights to results, failures, and flights that go on waiting."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from ..core.outcome import Reason
from ..core.reformulation import Verdict
from ..engines.base import Cancelled, Engine
from ..engines.judging import EngineResult, JudgingEngine
from ..errors import EngineError
from .clock import Clock
from .flights import Flight, FlightResult
from .guarded import wake_all, where
from .scheduler import Scheduler

_log = logging.getLogger("querylift.runtime")


class EngineCalls:
    """Runs batches of flights through an engine, on the thread that owns the engine.

    ``judge`` turns an engine's result into a verdict and stores it, without the lock. ``stopped``
    returns whether the thread should end; it needs the lock, which is the dispatcher's.

    Invariants: each flight of a batch is closed, queued again, or left to ``Scheduler.ended``.
    """

    def __init__(
        self,
        engine: Engine,
        judge: Callable[[Flight, EngineResult], Verdict],
        scheduler: Scheduler,
        lock: threading.Condition,
        clock: Clock,
        stopped: Callable[[], bool],
    ) -> None:
        self._engine = engine
        self._judge = judge
        self._scheduler = scheduler
        self._lock = lock
        self._clock = clock
        self._stopped = stopped

    def run(self, batch: list[Flight]) -> None:
        """Run one engine call; if it fails for several texts, run one for each."""
        if not batch:  # there were only results to deliver
            return
        cut: set[int] = set()
        last = len(batch)
        started = self._clock.now()

        def cancelled(index: int) -> bool:
            # An engine calls this for one text after the other, hundreds of times a second: the
            # lock, which every lookup needs, is taken once a round.
            nonlocal last
            if index <= last:
                self._add_cancelled(batch, cut)
                wake_all(self._scheduler.outbox)
            last = index
            return index in cut

        try:
            results = self._generate(batch, cancelled)
            if isinstance(results, str) or len(results) != len(batch):
                # Without the answers, which hold what people searched for.
                raise EngineError(f"not one answer each for {len(batch)} texts")
            results = list(results)
        except BaseException as error:
            if len(batch) == 1:
                self._failed(batch[0], error)
            else:  # one text may have made the whole call fail
                self._run_singly(batch)
            return
        ended = self._clock.now()
        with self._lock:
            self._scheduler.answered(batch, ended - started, ended, complete=len(cut) < len(batch))
        for index, (flight, found) in enumerate(zip(batch, results, strict=True)):
            if isinstance(found, Cancelled) and index in cut:
                with self._lock:
                    self._scheduler.requeue(flight, self._clock.now())
                continue
            try:
                verdict = self._judge(flight, found)
            except Exception as error:
                self._failed(flight, error)
                continue
            result = FlightResult(verdict, None, started - flight.opened, ended - started)
            with self._lock:
                self._scheduler.close(flight, result)

    def _generate(
        self, batch: list[Flight], cancelled: Callable[[int], bool]
    ) -> Sequence[EngineResult]:
        texts = [flight.text for flight in batch]
        if isinstance(self._engine, JudgingEngine):
            modes = [flight.key.mode for flight in batch]
            return self._engine.generate_verdicts(texts, modes, cancelled)
        return self._engine.generate(texts, cancelled)

    def _add_cancelled(self, batch: list[Flight], cut: set[int]) -> None:
        """Add the indices of the running flights that should stop to ``cut``.

        A call that hangs is found here, too, as there may be no further lookup to find it.
        """
        with self._lock:
            now = self._clock.now()
            self._scheduler.check_engine(now)
            others = ((i, flight) for i, flight in enumerate(batch) if i not in cut)
            cut.update([i for i, flight in others if self._is_cancelled(flight, now)])

    def _is_cancelled(self, flight: Flight, now: float) -> bool:
        """Return whether a running flight should stop; needs the lock, on any thread."""
        if flight.closed or self._stopped():
            return True
        if flight.has_waiters(now):
            return False
        if self._scheduler.hung or not flight.worth_running:
            return True
        return any(other.has_waiters(now) for other in self._scheduler.foreground)

    def _run_singly(self, batch: list[Flight]) -> None:
        """Run each flight in a call of its own, unless it is cancelled or the breaker is open."""
        for flight in batch:
            with self._lock:
                now = self._clock.now()
                blocked = self._scheduler.breaker_open(now) and not flight.breaker_probe
                cancelled = not blocked and self._is_cancelled(flight, now)
                if blocked:
                    self._scheduler.close(flight, FlightResult(reason=Reason.BREAKER_OPEN))
                elif cancelled:
                    self._scheduler.requeue(flight, now)
            if blocked:
                wake_all(self._scheduler.outbox)
            elif not cancelled:
                self.run([flight])
                wake_all(self._scheduler.outbox)

    def _failed(self, flight: Flight, error: BaseException) -> None:
        _log.warning(
            "engine %s failed: %s: %s",
            self._engine.name,
            type(error).__name__,
            # Queries are not logged, and many libraries quote their input in errors.
            str(error).replace(flight.text, "…"),
        )
        _log.debug("traceback of that failure:\n%s", where(error))
        with self._lock:
            self._scheduler.failed(flight, self._clock.now())
