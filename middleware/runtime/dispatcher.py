"""Puts lookups before the engine: joins or opens flights, under the one lock of the runtime."""

from __future__ import annotations

import logging
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable

from ..core.breaker import Breaker
from ..core.cost_model import text_cost
from ..core.memo import Memo, MemoKey
from ..core.outcome import Mode, Reason, Source
from ..core.reformulation import Verdict
from ..engines.base import Engine
from ..engines.judging import EngineResult
from ..errors import EngineError
from ..policy.acceptance import Acceptance
from .clock import Clock
from .flights import Flight, FlightResult, SingleFlight, Wake
from .limits import Limits
from .loop_notifier import LoopNotifier, Mailbox
from .pending import PendingLookup
from .scheduler import Scheduler
from .stats import Stats
from .worker import Worker

_log = logging.getLogger("querylift.runtime")


class Dispatcher:
    """The open flights, the queues they wait in, and the worker that runs them.

    ``judge`` turns an engine's result into a verdict and stores it, on the worker's thread.
    ``acceptance`` is what engines in other processes judge by.
    ``flights`` are the open flights.

    Concurrency: any thread, task and event loop, but not across a fork.
    """

    def __init__(
        self,
        engine: Engine,
        acceptance: Acceptance,
        judge: Callable[[Flight, EngineResult], Verdict],
        memo: Memo,
        breaker: Breaker,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._memo = memo
        self._breaker = breaker
        self._late_fill = limits.late_fill
        self._clock = clock
        self._lock = threading.Condition()
        self.flights = SingleFlight()
        self._notifier = LoopNotifier(clock)
        self._scheduler = Scheduler(self.flights, limits, breaker)
        self._worker = Worker(engine, acceptance, judge, self._scheduler, self._lock, clock)

    @property
    def ready(self) -> bool:
        """Whether the engine is loaded."""
        return self._worker.loaded and self._worker.failure is None

    @property
    def loading(self) -> bool:
        """Whether the engine is neither loaded nor failed yet."""
        return not self._worker.loaded and self._worker.failure is None

    def mailbox(self, loop: AbstractEventLoop) -> Mailbox:
        """Return what delivers results to the coroutines of an event loop."""
        return self._notifier.mailbox(loop)

    def fast_reject(self, key: MemoKey, budget: float, now: float) -> Reason | None:
        """Return why a new text would certainly be rejected, or ``None``; needs no lock."""
        return self._scheduler.fast_reject(key, budget, now)

    def start(self) -> None:
        """Start the worker without waiting for the engine to load; does nothing if it runs."""
        with self._lock:
            self._worker.start()

    def wait_loaded(self, timeout: float | None = None) -> None:
        """Wait at most ``timeout`` seconds until the engine is loaded; the worker has to run.

        Errors: ``EngineError`` if the engine cannot be loaded, is not loaded in time, or the worker
        is stopped.
        """
        name = self._engine.name
        until = None if timeout is None else self._clock.now() + timeout
        with self._lock:
            while self.loading:
                if not self._worker.started:
                    raise EngineError(f"engine {name} was stopped before it was loaded")
                if until is not None and self._clock.now() >= until:
                    raise EngineError(f"engine {name} did not load in {timeout} s")
                self._clock.wait(self._lock, until)
            failure = self._worker.failure
        if isinstance(failure, EngineError):
            raise failure
        if failure is not None:
            raise EngineError(f"engine {name} cannot be started: {failure}") from failure

    def stop(self, timeout: float) -> None:
        """Release all lookups and stop the worker; wait at most ``timeout`` seconds for it."""
        self._worker.stop(timeout)

    def abandon(self) -> None:
        """End the engine's process, if it has one, whatever it does."""
        self._worker.abandon()

    def stats(self) -> Stats:
        """Return a snapshot."""
        with self._lock:
            now = self._clock.now()
            self._scheduler.check_engine(now)
            failure = self._worker.failure
            found = Stats(
                ready=self.ready,
                failure=None if failure is None else str(failure),
                breaker=self._breaker.state(now),
                foreground=len(self._scheduler.foreground),
                background=len(self._scheduler.background),
                running=len(self._scheduler.running),
                flights=len(self.flights),
                memo=self._memo.stats(),
            )
        self._worker.wake_waiters()
        return found

    def enter(self, pending: PendingLookup, wake: Wake) -> tuple[Flight | FlightResult, Source]:
        """Join or open the flight of a lookup; return it, or a result without waiting.

        The source says whether the engine runs for this lookup or for an earlier one. A lookup in
        shadow mode gets its flight too, but must not wait for it: ``wake`` receives the result.
        """
        flight: Flight | None = None
        opened: Flight | None = None
        source = Source.SHARED
        try:
            with self._lock:
                self._worker.start()
                now = self._clock.now()
                self._scheduler.demote_abandoned(now)
                self._scheduler.estimator.loop_delay = self._notifier.delay(now)
                key = pending.key
                flight = self.flights.get(key)
                if flight is None and pending.cached:
                    verdict = self.flights.verdict_since(key, pending.flights_closed)
                    if verdict is not None:
                        return FlightResult(verdict), source
                joins = flight is not None
                if flight is None:
                    source = Source.ENGINE
                    opened = flight = Flight(key, key.text, text_cost(key.text), now)
                    self.flights.open(flight)
                flight.allow_storing(pending.stored, late_fill=self._late_fill)
                reason = None
                if joins and pending.mode is not Mode.SHADOW:
                    reason = self._scheduler.join(flight, pending.deadline, now)
                if reason is None:
                    _add(flight, pending, wake)
                if not joins:
                    reason = self._scheduler.submit(flight, now)
                self._clock.notify(self._lock)
        except Exception:
            _log.exception("a text could not be queued")
            if opened is not None:  # nobody may join a flight that will never run
                with self._lock:
                    self._scheduler.drop([opened])
            reason = Reason.ENGINE_ERROR
        self._worker.wake_waiters()
        if flight is None or reason is not None:
            return FlightResult(reason=reason), source
        return flight, source

    def leave(self, flight: Flight, wake: Wake) -> None:
        """Remove a lookup from its flight, whether that has ended or not."""
        with self._lock:
            flight.waiters.pop(wake, None)


def _add(flight: Flight, pending: PendingLookup, wake: Wake) -> None:
    """Add a lookup to a flight: as a waiter, or in shadow mode as one that does not wait."""
    if pending.mode is Mode.SHADOW:
        flight.shadows.append(wake)
    else:
        flight.waiters[wake] = (pending.deadline, wake)
