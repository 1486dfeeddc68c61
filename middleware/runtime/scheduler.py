"""The two lanes in front of the engine: who runs next, who is turned away, who is dropped.

*Live* flights have somebody waiting within a deadline and run first, several at a time
where that is not predicted to make one of them late. *Late* flights have nobody left;
they run when no live one waits. Both lanes are bounded. What nobody waits for and what
is not worth a late fill is dropped.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from ..core.breaker import Breaker, BreakerState
from ..core.deadline import Deadline
from ..core.memo import MemoKey
from ..core.outcome import Reason
from ..errors import ConfigurationError
from .estimator import CompletionEstimator
from .flights import Flight, FlightResult, SingleFlight, Wake

__all__ = ["NOTHING", "Limits", "Scheduler"]

NOTHING = FlightResult()
"""How a flight ends that never came to an answer."""

_MAX_ATTEMPTS = 3
"""How often a late flight that has to give way is begun."""

_FAST_REJECT_FOR = 0.005
"""Seconds for which what one text was turned away for is taken to hold for others."""

_CALIBRATE_AFTER = 1.0
"""Seconds without an engine call until one is made only to learn how quick the engine is."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the worker: texts waiting live and late, and texts in one engine call."""

    live: int = 24
    late: int = 16
    batch: int = 8
    late_batch: int = 4

    def __post_init__(self) -> None:
        if min(self.live, self.batch, self.late_batch) < 1 or self.late < 0:
            raise ConfigurationError(
                f"worker: live ({self.live}), batch ({self.batch}) and late_batch "
                f"({self.late_batch}) must be at least 1, late ({self.late}) at least 0"
            )


class Scheduler:
    """Flights waiting and running, and what their work is expected to cost.

    ``outbox`` collects whom to wake with what, once the lock is released; ``estimator`` is what
    callers are turned away by.

    Invariants: ``len(live) <= limits.live`` and ``len(late) <= limits.late`` (but room for
    one sounding where that is 0); a flight that was submitted is in one lane, running, or
    closed. Concurrency: every call needs the lock of its user held. Time is given to each
    call.
    """

    def __init__(self, flights: SingleFlight, limits: Limits, breaker: Breaker) -> None:
        self._flights = flights
        self._limits = limits
        self.breaker = breaker
        self.estimator = CompletionEstimator(limits.batch)
        self.live: deque[Flight] = deque()
        self.late: deque[Flight] = deque()
        self.outbox: deque[tuple[Wake, FlightResult]] = deque()
        # Why a text was turned away last, what time it had, and how long that is remembered.
        self._last_reject: tuple[Reason | None, float, float] = (None, 0.0, 0.0)
        self._hung = False
        self._idle_since = 0.0

    @property
    def running(self) -> list[Flight]:
        """The flights of the engine call under way."""
        return self.estimator.running

    def submit(self, flight: Flight, now: float) -> Reason | None:
        """Take an opened flight, or return why its first caller should not wait for it.

        A flight that is turned away may still run as a late fill, and is closed otherwise.
        """
        self.look(now)
        if not self.breaker.allows(now):
            self._flights.close(flight, NOTHING)
            return Reason.BREAKER_OPEN
        flight.probe = self.breaker.probing
        if not flight.waiters:
            self.put_late(flight)
            return None
        reason = self._turn_away(flight, now)
        if reason is None:
            self.live.append(flight)
        else:
            flight.waiters.clear()
            # Without late fills, a prediction that turns all away would never be put right.
            idle = not (self.running or self.live or self.late)
            flight.calibration = idle and now - self._idle_since >= _CALIBRATE_AFTER
            self.put_late(flight)
        return reason

    def fast_reject(self, key: MemoKey, budget: float, now: float) -> Reason | None:
        """Return why a new text would be turned away, and not run for nobody either.

        It is a glance without the lock, so that turning a text away costs next to nothing where
        most are turned away; now and then it says nothing, for all that ``submit`` looks after.
        """
        reason, most, until = self._last_reject
        if now >= until or budget > most or len(self.late) < self._limits.late or not self.live:
            return None
        if reason is Reason.OVERLOADED and len(self.live) < self._limits.live:
            return None
        return reason if self._flights.get(key) is None else None

    def sort_out(self, now: float) -> None:
        """Take what nobody waits for any more out of the live lane."""
        for flight in [f for f in self.live if not f.awaited(now)]:
            self.live.remove(flight)
            self.put_late(flight)

    def take_back(self, flight: Flight, now: float) -> None:
        """Take a flight that gave way back into a lane, or drop it after too many attempts."""
        if flight.closed:
            return
        if flight.awaited(now):  # somebody came while it was stopping
            if len(self.live) < self._limits.live:
                self.live.appendleft(flight)
                return
            self.outbox.extend(
                self._flights.release(flight, FlightResult(reason=Reason.OVERLOADED))
            )
        flight.attempts += 1
        if flight.attempts < _MAX_ATTEMPTS:
            self.put_late(flight, first=True)
        else:
            self.drop([flight])

    def rejoin(self, flight: Flight, deadline: Deadline, now: float) -> Reason | None:
        """Take another caller of a flight, bringing it forward, or say why not to wait."""
        if flight in self.late:
            reason = self._turn_away(flight, now, deadline)
            if reason is None:
                self.late.remove(flight)
                self.live.append(flight)
            return reason
        if flight in self.live:
            queued = list(self.live)
            seconds = self.estimator.place(queued[: queued.index(flight) + 1], now)
        else:
            seconds = self.estimator.under_way(now)
        return Reason.PREDICTED_LATE if now + seconds > deadline.at else None

    def _turn_away(
        self, flight: Flight, now: float, deadline: Deadline | None = None
    ) -> Reason | None:
        until = (deadline or flight.deadline()).at
        if len(self.live) >= self._limits.live:
            self._last_reject = Reason.OVERLOADED, math.inf, now + _FAST_REJECT_FOR
            return Reason.OVERLOADED
        if now + self.estimator.answer([*self.live, flight], now) <= until:
            return None
        self._last_reject = (
            Reason.PREDICTED_LATE,
            until - now + _FAST_REJECT_FOR,
            now + _FAST_REJECT_FOR,
        )
        return Reason.PREDICTED_LATE

    def put_late(self, flight: Flight, *, first: bool = False) -> None:
        """Put a flight into the late lane; the oldest makes room, as it is least asked for."""
        room = max(self._limits.late, int(flight.calibration))
        if not flight.worthwhile or room == 0:
            self.drop([flight])
            return
        if first:
            self.late.appendleft(flight)
        else:
            self.late.append(flight)
        if len(self.late) > room:
            self.drop([self.late.pop() if first else self.late.popleft()])

    def drop(self, flights: Iterable[Flight]) -> None:
        """End flights without an answer."""
        for flight in flights:
            if flight.probe:
                flight.probe = False
                self.breaker.release()
            self.close(flight, NOTHING)

    def close(self, flight: Flight, result: FlightResult) -> None:
        """End a flight."""
        self.outbox.extend(self._flights.close(flight, result))

    def next_batch(self, now: float) -> list[Flight]:
        """Take the flights to run next, none where there is nothing to do."""
        self.sort_out(now)
        for flight in list(self.live):
            deadline = flight.deadline()
            if now + self.estimator.cost.predict(flight.tokens) > deadline.at:
                # Too late for all who wait: they go now rather than at the deadline.
                self.live.remove(flight)
                result = FlightResult(reason=Reason.PREDICTED_LATE, queue=now - flight.opened)
                self.outbox.extend(self._flights.release(flight, result))
                self.put_late(flight)
        if not self.live:
            count = min(len(self.late), self._limits.late_batch)
            return [self.late.popleft() for _ in range(count)]
        batch = [self.live.popleft()]
        tokens, until = batch[0].tokens, batch[0].deadline().at
        while self.live and len(batch) < self._limits.batch:
            tokens += self.live[0].tokens
            until = min(until, self.live[0].deadline().at)
            if now + self.estimator.cost.predict(tokens) > until:
                break
            batch.append(self.live.popleft())
        return batch

    def began(self, batch: list[Flight], now: float) -> None:
        """Take note of what the engine runs from ``now`` on."""
        self.estimator.running, self.estimator.since, self._hung = batch, now, False

    def ended(self, now: float) -> None:
        """Take note that the engine runs nothing; what neither ended nor waits again is dropped."""
        batch, self.estimator.running, self._idle_since = self.running, [], now
        self.drop(f for f in batch if not (f.closed or f in self.live or f in self.late))

    def clear(self) -> None:
        """Drop all that waits or runs; the engine call under way is for nobody from then on."""
        flights = [*self.live, *self.late, *self.running]
        self.live.clear()
        self.late.clear()
        self.drop(flights)

    def withdraw(self, flight: Flight) -> None:
        """End a flight that may be in a lane or not."""
        for lane in (self.live, self.late):
            if flight in lane:
                lane.remove(flight)
        self.drop([flight])

    def failed(self, flight: Flight, now: float) -> None:
        """Take note that the engine failed on a flight; an opened breaker empties the lanes."""
        self._record(flight.probe, now, failed=True)
        flight.probe = False
        self.close(flight, FlightResult(reason=Reason.ENGINE_ERROR))
        self._empty_if_resting(now)

    def look(self, now: float) -> None:
        """Open the breaker where the engine call under way has not come back for too long."""
        if not self.running or self._hung:
            return
        if now - self.estimator.since > self.breaker.slow_calls.hangs_after(
            sum(f.tokens for f in self.running)
        ):
            self._hung = True
            self.breaker.trip(now)
            for flight in self.running:
                flight.probe = False
            self._empty_if_resting(now)

    def _empty_if_resting(self, now: float) -> None:
        if self.resting(now):
            for lane in (self.live, self.late):
                for other in [f for f in lane if not f.probe]:
                    lane.remove(other)
                    self.close(other, FlightResult(reason=Reason.BREAKER_OPEN))

    def answered(self, batch: list[Flight], elapsed: float, now: float, *, complete: bool) -> None:
        """Take note that the engine came back; ``complete`` unless all gave way.

        A slow call is a failure to the breaker, whatever its answers are.
        """
        tokens = sum(flight.tokens for flight in batch)
        # A call cut short only tells something where it took longer than expected.
        if complete or elapsed > self.estimator.cost.predict(tokens):
            self.estimator.cost.observe(tokens, elapsed)
        slow_calls = self.breaker.slow_calls
        slow = (
            slow_calls.observe(tokens, elapsed)
            if complete
            else elapsed > slow_calls.slow_after(tokens)
        )
        probe = any(flight.probe for flight in batch)
        if probe and not complete and not slow:
            self.breaker.release()  # one that gave way tells nothing: another has to
        else:
            self._record(probe, now, failed=slow)
        for flight in batch:
            flight.probe = False
        if slow:
            self._empty_if_resting(now)

    def resting(self, now: float) -> bool:
        """Tell whether the breaker keeps calls from the engine."""
        return self.breaker.state(now) is not BreakerState.CLOSED

    def _record(self, probe: bool, now: float, *, failed: bool) -> None:
        # While the breaker is open, only its probe says something about the engine: calls
        # that were under way when it opened must not lengthen its rest.
        if probe or not self.resting(now):
            self.breaker.record(failed=failed, now=now)
