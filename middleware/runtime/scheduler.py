"""The two queues in front of the engine: what runs next, what is rejected, what is dropped.

*Foreground* flights have waiters within their deadlines. They run first, several in one engine
call unless that makes one late. *Background* flights have no waiters and run while no foreground
flight is queued. Both queues are bounded. A flight that is not worth running is dropped.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

from ..core.breaker import Breaker, BreakerState
from ..core.deadline import Deadline
from ..core.memo import MemoKey
from ..core.outcome import Reason
from .estimator import CompletionEstimator
from .flights import DROPPED, Flight, FlightResult, SingleFlight, Wake
from .limits import Limits

_MAX_ATTEMPTS = 3
"""How often a background flight is started that is cancelled each time."""

_FAST_REJECT_FOR = 0.005
"""Seconds for which the last rejection is taken to hold for other texts."""

_CALIBRATE_AFTER = 1.0
"""Seconds without an engine call after which one is made only to measure the engine's speed."""


class Scheduler:
    """The flights that are queued or run, and the estimate of when they will be complete.

    ``outbox`` collects the wakes to call, with their results, once the lock is released.

    Invariants: ``len(foreground) <= limits.foreground`` and ``len(background) <=
    limits.background`` (or one calibration call if that is 0). A submitted flight is in one queue,
    running, or closed. Concurrency: every call but ``fast_reject`` needs the dispatcher's lock.
    The caller gives the time (``now``).
    """

    def __init__(self, flights: SingleFlight, limits: Limits, breaker: Breaker) -> None:
        self._flights = flights
        self._limits = limits
        self.breaker = breaker
        self.estimator = CompletionEstimator(limits.batch)
        self.foreground: deque[Flight] = deque()
        self.background: deque[Flight] = deque()
        self.outbox: deque[tuple[Wake, FlightResult]] = deque()
        # The last rejection: its reason, the largest budget it holds for, and until when.
        self._last_reject: tuple[Reason | None, float, float] = (None, 0.0, 0.0)
        self.hung = False
        """Whether the current engine call hangs: nobody waits for it, and it should be stopped."""
        self._idle_since = 0.0

    @property
    def running(self) -> list[Flight]:
        """The flights of the current engine call."""
        return self.estimator.running

    @property
    def queued(self) -> list[Flight]:
        """The flights in both queues, foreground first."""
        return [*self.foreground, *self.background]

    def submit(self, flight: Flight, now: float) -> Reason | None:
        """Queue an open flight, or return why its first lookup should not wait for it.

        A rejected flight may still run in the background; otherwise it is closed.
        """
        self.check_engine(now)
        if not self.breaker.allows(now):
            self._flights.close(flight, DROPPED)
            return Reason.BREAKER_OPEN
        flight.breaker_probe = self.breaker.probing
        if not flight.waiters:
            self.put_background(flight)
            return None
        reason = self._rejection(flight, flight.deadline().at, now)
        if reason is None:
            self.foreground.append(flight)
        else:
            flight.waiters.clear()
            # Without late fills, nothing would correct a prediction that rejects every text.
            idle = not (self.running or self.queued)
            flight.calibration = idle and now - self._idle_since >= _CALIBRATE_AFTER
            self.put_background(flight)
        return reason

    def fast_reject(self, key: MemoKey, budget: float, now: float) -> Reason | None:
        """Return why a new text would be rejected and not run in the background either.

        Needs no lock, so that a rejection under overload costs next to nothing. Returns
        ``None`` where in doubt; ``submit`` then decides.
        """
        reason, most, until = self._last_reject
        room = len(self.background) < self._limits.background or not self.foreground
        if now >= until or budget > most or room:
            return None
        if reason is Reason.OVERLOADED and len(self.foreground) < self._limits.foreground:
            return None
        return reason if self._flights.get(key) is None else None

    def demote_abandoned(self, now: float) -> None:
        """Move flights without waiters from the foreground to the background queue."""
        for flight in [f for f in self.foreground if not f.has_waiters(now)]:
            self.foreground.remove(flight)
            self.put_background(flight)

    def requeue(self, flight: Flight, now: float) -> None:
        """Queue a cancelled flight again, or drop it after too many attempts."""
        if flight.closed:
            return
        if flight.has_waiters(now):  # a lookup joined while it was being cancelled
            if len(self.foreground) < self._limits.foreground:
                self.foreground.appendleft(flight)
                return
            self._release(flight, FlightResult(reason=Reason.OVERLOADED))
        flight.attempts += 1
        if flight.attempts < _MAX_ATTEMPTS:
            self.put_background(flight, first=True)
        else:
            self.drop([flight])

    def join(self, flight: Flight, deadline: Deadline, now: float) -> Reason | None:
        """Let another lookup join a flight, or return why it should not wait.

        A background flight moves to the foreground queue.
        """
        if flight in self.background:
            reason = self._rejection(flight, deadline.at, now)
            if reason is None:
                self.background.remove(flight)
                self.foreground.append(flight)
            return reason
        if flight in self.foreground:
            queue = list(self.foreground)
            seconds = self.estimator.queued(queue[: queue.index(flight) + 1], now)
        elif self.hung:
            return Reason.BREAKER_OPEN
        else:
            seconds = self.estimator.current_call(now)
        return Reason.PREDICTED_LATE if now + seconds > deadline.at else None

    def _rejection(self, flight: Flight, until: float, now: float) -> Reason | None:
        if len(self.foreground) >= self._limits.foreground:
            self._last_reject = Reason.OVERLOADED, math.inf, now + _FAST_REJECT_FOR
            return Reason.OVERLOADED
        if now + self.estimator.if_queued([*self.foreground, flight], now) <= until:
            return None
        budget = until - now + _FAST_REJECT_FOR
        self._last_reject = Reason.PREDICTED_LATE, budget, now + _FAST_REJECT_FOR
        return Reason.PREDICTED_LATE

    def put_background(self, flight: Flight, *, first: bool = False) -> None:
        """Queue a flight in the background; a full queue drops its oldest flight."""
        room = max(self._limits.background, int(flight.calibration))
        if not flight.worth_running or room == 0:
            self.drop([flight])
            return
        if first:
            self.background.appendleft(flight)
        else:
            self.background.append(flight)
        if len(self.background) > room:
            self.drop([self.background.pop() if first else self.background.popleft()])

    def drop(self, flights: Iterable[Flight]) -> None:
        """Close flights without a verdict."""
        for flight in flights:
            if flight.breaker_probe:
                flight.breaker_probe = False
                self.breaker.release()
            self.close(flight, DROPPED)

    def close(self, flight: Flight, result: FlightResult) -> None:
        """Close a flight, take it out of its queue, and put its wakes into the outbox."""
        for queue in (self.foreground, self.background):
            if flight in queue:
                queue.remove(flight)
        self.outbox.extend(self._flights.close(flight, result))

    def _release(self, flight: Flight, result: FlightResult) -> None:
        self.outbox.extend(self._flights.release(flight, result))

    def next_batch(self, now: float) -> list[Flight]:
        """Return the flights for the next engine call, taken from one queue; may be empty."""
        self.demote_abandoned(now)
        for flight in list(self.foreground):
            if now + self.estimator.cost.predict(flight.tokens) > flight.deadline().at:
                # Too late for all waiters: release them now rather than at their deadlines.
                self.foreground.remove(flight)
                result = FlightResult(None, Reason.PREDICTED_LATE, now - flight.opened)
                self._release(flight, result)
                self.put_background(flight)
        if not self.foreground:
            count = min(len(self.background), self._limits.background_batch)
            return [self.background.popleft() for _ in range(count)]
        batch: list[Flight] = []
        tokens, until = 0, math.inf
        while self.foreground and len(batch) < self._limits.batch:
            tokens += self.foreground[0].tokens
            until = min(until, self.foreground[0].deadline().at)
            if batch and now + self.estimator.cost.predict(tokens) > until:
                break
            batch.append(self.foreground.popleft())
        return batch

    def began(self, batch: list[Flight], now: float) -> None:
        """Record the flights that the engine runs from ``now`` on."""
        self.estimator.running, self.estimator.since, self.hung = batch, now, False

    def ended(self, now: float) -> None:
        """Record that the engine is idle; drop flights that are neither closed nor queued."""
        batch, self.estimator.running, self._idle_since = self.running, [], now
        self.hung = False
        self.drop([flight for flight in batch if not (flight.closed or flight in self.queued)])

    def restarted(self) -> None:
        """Record that the engine was started anew, and is idle."""
        if self.breaker.restarted():
            for flight in self.queued:  # none of them is a probe any more
                flight.breaker_probe = False

    def clear(self) -> None:
        """Drop all flights, queued and running."""
        self.drop([*self.queued, *self.running])

    def failed(self, flight: Flight, now: float) -> None:
        """Record that the engine failed on a flight; an open breaker empties the queues."""
        self._record(flight.breaker_probe, now, failed=True)
        flight.breaker_probe = False
        self.close(flight, FlightResult(reason=Reason.ENGINE_ERROR))
        self._empty_if_open(now)

    def check_engine(self, now: float) -> None:
        """Find out whether the current engine call hangs; if it does, open the breaker."""
        if not self.running or self.hung:
            return
        tokens = sum(flight.tokens for flight in self.running)
        if now - self.estimator.since > self.breaker.slow_calls.hangs_after(tokens):
            self.hung = True
            self.breaker.trip(now)
            for flight in self.running:
                flight.breaker_probe = False
            self._empty_if_open(now)

    def _empty_if_open(self, now: float) -> None:
        if self.breaker_open(now):
            for flight in [flight for flight in self.queued if not flight.breaker_probe]:
                self.close(flight, FlightResult(reason=Reason.BREAKER_OPEN))

    def answered(self, batch: list[Flight], elapsed: float, now: float, *, complete: bool) -> None:
        """Record the end of an engine call; ``complete`` unless all its texts were cancelled.

        The breaker counts a slow call as a failure, whatever its answers are. A call that was
        taken to hang and answers after all tells how slow the engine is, even if cancelled.
        """
        complete = complete or self.hung
        tokens = sum(flight.tokens for flight in batch)
        # A cancelled call is only informative if it took longer than expected.
        if complete or elapsed > self.estimator.cost.predict(tokens):
            self.estimator.cost.observe(tokens, elapsed)
        calls = self.breaker.slow_calls
        slow = calls.observe(tokens, elapsed) if complete else elapsed > calls.slow_after(tokens)
        probe = any(flight.breaker_probe for flight in batch)
        if probe and not complete and not slow:
            self.breaker.release()  # a cancelled probe proves nothing; the next call is the probe
        else:
            self._record(probe, now, failed=slow)
        for flight in batch:
            flight.breaker_probe = False
        if slow:
            self._empty_if_open(now)

    def breaker_open(self, now: float) -> bool:
        """Return whether the breaker stops calls to the engine."""
        return self.breaker.state(now) is not BreakerState.CLOSED

    def _record(self, probe: bool, now: float, *, failed: bool) -> None:
        # While the breaker is open, only its probe counts: calls that ran when it opened must not
        # lengthen its cooldown.
        if probe or not self.breaker_open(now):
            self.breaker.record(failed=failed, now=now)
