"""Where questions are put before the engine, under the one lock of the runtime."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ..core.breaker import Breaker
from ..core.cost_model import text_cost
from ..core.memo import Memo
from ..core.outcome import Mode, Reason, Source
from ..core.reformulation import Reformulation, Verdict, conclude
from ..engines.base import Engine
from ..engines.judging import Judged
from ..errors import EngineError
from .clock import Clock
from .flights import Flight, SingleFlight, Wake
from .guarded import memo_get
from .loop_notifier import LoopNotifier
from .pending import PendingLookup
from .scheduler import Limits, Scheduler
from .stats import Stats
from .worker import Worker

__all__ = ["Dispatcher"]

_log = logging.getLogger("querylift.runtime")


class Dispatcher:
    """The flights under way, the lanes they wait in, and the worker that empties those.

    ``judge`` turns an engine's answer into a verdict and stores it, on the worker's thread.
    ``scheduler.fast_reject`` may be called without the lock, and nothing else of the scheduler.

    Concurrency: safe to share between threads, tasks and event loops, but not across a fork.
    """

    def __init__(
        self,
        engine: Engine,
        judge: Callable[[Flight, Judged], Verdict],
        memo: Memo,
        breaker: Breaker,
        limits: Limits,
        clock: Clock,
        *,
        late_fill: bool,
        switch_interval: float | None,
    ) -> None:
        self._engine = engine
        self._memo = memo
        self._breaker = breaker
        self._clock = clock
        self._late_fill = late_fill
        self._lock = threading.Condition()
        self._flights = SingleFlight()
        self.notifier = LoopNotifier(clock)
        self.scheduler = Scheduler(self._flights, limits, breaker)
        self._worker = Worker(
            engine, judge, self.scheduler, self._lock, clock, switch_interval=switch_interval
        )

    @property
    def ready(self) -> bool:
        """Whether the engine is loaded."""
        return self._worker.loaded and self._worker.failure is None

    def start(self) -> None:
        """Start the worker without waiting for the engine to load; again is no harm."""
        with self._lock:
            self._worker.start()

    def wait_ready(self, timeout: float | None = None) -> None:
        """Start the worker and wait until the engine is loaded, at most ``timeout`` seconds.

        Errors: ``EngineError`` when it cannot be loaded, or not within the time.
        """
        until = None if timeout is None else self._clock.now() + timeout
        with self._lock:
            self._worker.start()
            while not self._worker.loaded and self._worker.failure is None:
                if until is not None and self._clock.now() >= until:
                    raise EngineError(f"engine {self._engine.name} did not load in {timeout} s")
                self._clock.wait(self._lock, until)
            failure = self._worker.failure
        if isinstance(failure, EngineError):
            raise failure
        if failure is not None:
            raise EngineError(
                f"engine {self._engine.name} cannot be started: {failure}"
            ) from failure

    def stop(self) -> None:
        """Let all who wait go, and stop the worker."""
        self._worker.stop()

    def stats(self) -> Stats:
        """Return a snapshot."""
        with self._lock:
            self.scheduler.look(self._clock.now())
            failure = self._worker.failure
            found = Stats(
                ready=self.ready,
                failure=None if failure is None else str(failure),
                breaker=self._breaker.state(self._clock.now()),
                live=len(self.scheduler.live),
                late=len(self.scheduler.late),
                running=len(self.scheduler.running),
                flights=len(self._flights),
                memo=self._memo.stats(),
            )
        self._worker.tell()
        return found

    def enter(self, ask: PendingLookup, wake: Wake) -> tuple[Flight, Source] | Reformulation:
        """Join or begin the flight for a question, or say why not to wait for it.

        A caller in shadow mode never waits; its ``wake`` is told how the flight ends, whenever.
        """
        shadow = ask.mode is Mode.SHADOW
        opened: Flight | None = None
        reason: Reason | None = None
        try:
            with self._lock:
                self._worker.start()
                now = self._clock.now()
                self.scheduler.sort_out(now)
                self.scheduler.estimator.lateness = self.notifier.lateness(now)
                flight = self._flights.get(ask.key)
                source = Source.ENGINE if flight is None else Source.SHARED
                if flight is None:
                    # It may have landed since the memo was asked.
                    verdict = (
                        memo_get(self._memo, ask.key, now, count=False) if ask.cached else None
                    )
                    if verdict is not None:
                        return conclude(ask.original, verdict, ask.mode, Source.SHARED)
                    opened = flight = Flight(ask.key, ask.key.text, text_cost(ask.key.text), now)
                    flight.store(ask.stored, late_fill=self._late_fill)
                    self._flights.open(flight)
                    _hold(flight, ask, wake)
                    reason = self.scheduler.submit(flight, now)
                else:
                    flight.store(ask.stored, late_fill=self._late_fill)
                    reason = None if shadow else self.scheduler.rejoin(flight, ask.deadline, now)
                    if reason is None:
                        _hold(flight, ask, wake)
                self._clock.notify(self._lock)
        except Exception:
            _log.exception("a text could not be put before the engine")
            if opened is not None:  # nobody may join what will never run
                with self._lock:
                    self.scheduler.withdraw(opened)
                self._worker.tell()
            return Reformulation.untouched(ask.original, Reason.ENGINE_ERROR)
        self._worker.tell()
        if shadow or reason is not None:
            return Reformulation.untouched(ask.original, reason or Reason.SHADOW)
        return flight, source

    def leave(self, flight: Flight, wake: Wake) -> None:
        """Take a caller off its flight, whether it has ended or not."""
        with self._lock:
            flight.waiters.pop(wake, None)


def _hold(flight: Flight, ask: PendingLookup, wake: Wake) -> None:
    """Put a caller on a flight; one in shadow mode only watches how it ends."""
    if ask.mode is Mode.SHADOW:
        flight.watchers.append(wake)
    else:
        flight.waiters[wake] = (ask.deadline, wake)
