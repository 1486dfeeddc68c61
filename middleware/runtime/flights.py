"""Single flight: equal texts that are looked up at the same time share one engine call."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

from ..core.deadline import Deadline
from ..core.memo import MemoKey
from ..core.outcome import Reason
from ..core.reformulation import Verdict

_REMEMBERED = 16
"""How many verdicts of closed flights are kept for lookups that began before these closed."""


class FlightResult(NamedTuple):
    """How a flight ended: with a verdict, or with the reason why there is none.

    ``queue`` and ``engine`` are the seconds that it waited and ran.
    """

    verdict: Verdict | None = None
    reason: Reason | None = None
    queue: float = 0.0
    engine: float = 0.0


DROPPED = FlightResult()
"""The result of a flight that was given up before the engine answered."""

Wake = Callable[[FlightResult], None]
"""Receives the result of a flight, once, on any thread, while no lock is held."""


@dataclass(eq=False, slots=True)
class Flight:
    """One engine call for one text, and the lookups that wait for it.

    ``tokens`` is the text's rough size. ``opened`` is the time of the first lookup. ``stored``:
    the verdict goes to the memo. ``fills_memo``: it should be computed for the memo even when
    nobody waits any more. ``calibration``: it runs to measure the engine's speed.
    ``breaker_probe``: it is the one call that a half-open breaker allows. ``waiters`` have
    deadlines and may leave; ``shadows`` are lookups in shadow mode, which take the result
    whenever it comes.

    Concurrency: every call and field needs the dispatcher's lock.
    """

    key: MemoKey
    text: str
    tokens: int
    opened: float
    stored: bool = False
    fills_memo: bool = False
    calibration: bool = False
    attempts: int = 0
    breaker_probe: bool = False
    closed: bool = False
    waiters: dict[Hashable, tuple[Deadline, Wake]] = field(default_factory=dict)
    shadows: list[Wake] = field(default_factory=list)

    def allow_storing(self, stored: bool, *, late_fill: bool) -> None:
        """Combine the wishes of several lookups: one that allows storing is enough."""
        self.stored = self.stored or stored
        self.fills_memo = self.stored and late_fill

    @property
    def worth_running(self) -> bool:
        """Whether the engine should run it although no lookup waits."""
        return self.fills_memo or self.calibration or bool(self.shadows)

    def has_waiters(self, now: float) -> bool:
        """Return whether a lookup waits whose deadline has not passed."""
        # A loop, as each lookup calls this for each queued flight, and a generator costs more.
        for deadline, _ in self.waiters.values():  # noqa: SIM110
            if now < deadline.at:
                return True
        return False

    def deadline(self) -> Deadline:
        """Return the latest deadline of the waiters, or the distant past if there are none."""
        return max((deadline for deadline, _ in self.waiters.values()), default=_NEVER)


_NEVER = Deadline(float("-inf"))


class SingleFlight:
    """The open flights by key, and the verdicts of the last ones that closed.

    ``closed`` counts the flights that have closed. A lookup notes it before it asks the memo:
    if it misses there and the flight for its key closes before it is queued, ``verdict_since``
    has the verdict.

    Invariants: one flight a key; each waiter is woken at most once. Concurrency: every call needs
    the dispatcher's lock, except reading ``closed`` and calling the returned wakes.
    """

    def __init__(self) -> None:
        self._flights: dict[MemoKey, Flight] = {}
        self._recent: deque[tuple[int, MemoKey, Verdict]] = deque(maxlen=_REMEMBERED)
        self.closed = 0

    def __len__(self) -> int:
        return len(self._flights)

    def get(self, key: MemoKey) -> Flight | None:
        """Return the open flight for a key, or ``None``."""
        return self._flights.get(key)

    def verdict_since(self, key: MemoKey, closed: int) -> Verdict | None:
        """Return the verdict for a key if its flight closed after ``closed`` flights had."""
        for number, other, verdict in reversed(self._recent):
            if number <= closed:
                return None
            if other == key:
                return verdict
        return None

    def open(self, flight: Flight) -> None:
        """Add a flight whose key has none."""
        assert flight.key not in self._flights
        self._flights[flight.key] = flight

    def close(self, flight: Flight, result: FlightResult) -> list[tuple[Wake, FlightResult]]:
        """End a flight and return the wakes to call once the lock is released.

        Does nothing for a flight that is closed: an engine call may outlast it.
        """
        if flight.closed:
            return []
        flight.closed = True
        self.closed += 1
        if result.verdict is not None:
            self._recent.append((self.closed, flight.key, result.verdict))
        del self._flights[flight.key]
        shadows, flight.shadows = flight.shadows, []
        return [*self.release(flight, result), *((wake, result) for wake in shadows)]

    def release(self, flight: Flight, result: FlightResult) -> list[tuple[Wake, FlightResult]]:
        """Remove the waiters of a flight that goes on, and return the wakes to call."""
        waiters = list(flight.waiters.values())
        flight.waiters.clear()
        return [(wake, result) for _, wake in waiters]
