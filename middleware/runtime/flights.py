"""Single flight: equal texts asked for at the same time make one engine call."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from ..core.deadline import Deadline
from ..core.memo import MemoKey
from ..core.outcome import Reason
from ..core.reformulation import Verdict

__all__ = ["Flight", "FlightResult", "SingleFlight", "Wake"]


@dataclass(frozen=True, slots=True)
class FlightResult:
    """How a flight ended: with a verdict, or with the reason why there is none.

    ``queue`` and ``engine`` are the seconds it waited and ran.
    """

    verdict: Verdict | None = None
    reason: Reason | None = None
    queue: float = 0.0
    engine: float = 0.0


Wake = Callable[[FlightResult], None]
"""Tells one caller how its flight ended; called once, from any thread, without a lock held."""


@dataclass(eq=False, slots=True)
class Flight:
    """One engine call that any number of callers wait for.

    ``tokens`` is its rough size, ``opened`` the time of the first caller. ``stored`` tells
    whether the answer goes to the memo, ``fill`` whether that is worth the engine's time
    when nobody waits for it any more, ``calibration`` that its run is to tell how quick the
    engine is. ``waiters`` have deadlines and can leave; ``watchers`` want the answer whenever
    it comes.

    Concurrency: each call and field needs the lock of its lanes.
    """

    key: MemoKey
    text: str
    tokens: int
    opened: float
    stored: bool = False
    fill: bool = False
    calibration: bool = False
    attempts: int = 0
    probe: bool = False
    closed: bool = False
    waiters: dict[Hashable, tuple[Deadline, Wake]] = field(default_factory=dict)
    watchers: list[Wake] = field(default_factory=list)

    def store(self, stored: bool, *, late_fill: bool) -> None:
        """Take note of what another caller allows; one who allows it is enough."""
        self.stored = self.stored or stored
        self.fill = self.stored and late_fill

    @property
    def worthwhile(self) -> bool:
        """Whether the engine should run it though no caller waits."""
        return self.fill or self.calibration or bool(self.watchers)

    def awaited(self, now: float) -> bool:
        """Tell whether a caller waits whose deadline has not passed."""
        # Without a generator: each caller asks this of each text that waits.
        for deadline, _ in self.waiters.values():  # noqa: SIM110
            if now < deadline.at:
                return True
        return False

    def deadline(self) -> Deadline:
        """Return the latest deadline of those who wait; long past where nobody does."""
        return max((deadline for deadline, _ in self.waiters.values()), default=_NEVER)


_NEVER = Deadline(float("-inf"))


class SingleFlight:
    """The flights under way, by key.

    Invariants: one flight a key; a caller is woken at most once. Concurrency: each call
    needs its user's lock held, except for calling the returned wakes.
    """

    def __init__(self) -> None:
        self._flights: dict[MemoKey, Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def get(self, key: MemoKey) -> Flight | None:
        """Return the flight for a key, if one is under way."""
        return self._flights.get(key)

    def open(self, flight: Flight) -> None:
        """Begin a flight whose key has none."""
        assert flight.key not in self._flights
        self._flights[flight.key] = flight

    def close(self, flight: Flight, result: FlightResult) -> list[tuple[Wake, FlightResult]]:
        """End a flight and return whom to tell what, once the lock is released.

        One that has ended stays as it is: an engine may come back after all was let go.
        """
        if flight.closed:
            return []
        flight.closed = True
        del self._flights[flight.key]
        watchers, flight.watchers = flight.watchers, []
        return [*self.release(flight, result), *((wake, result) for wake in watchers)]

    def release(self, flight: Flight, result: FlightResult) -> list[tuple[Wake, FlightResult]]:
        """Let the waiters of a flight go that itself goes on, and return whom to tell."""
        waiters = list(flight.waiters.values())
        flight.waiters.clear()
        return [(wake, result) for _, wake in waiters]
