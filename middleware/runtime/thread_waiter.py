"""Waiting for a flight's result on a thread without an event loop."""

from __future__ import annotations

import threading

from ..core.deadline import Deadline
from .clock import Clock
from .flights import FlightResult


class ThreadWaiter:
    """A ``Wake`` on which a thread can block. Concurrency: called once, from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._condition = threading.Condition()
        self._result: FlightResult | None = None

    def __call__(self, result: FlightResult) -> None:
        """Set the result and wake the thread that waits."""
        with self._condition:
            self._result = result
            self._clock.notify(self._condition)

    def wait(self, deadline: Deadline) -> FlightResult | None:
        """Return the result, or ``None`` if the deadline passes first."""
        with self._condition:
            while self._result is None and not deadline.passed(self._clock.now()):
                self._clock.wait(self._condition, deadline.at)
            return self._result
