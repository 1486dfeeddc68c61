"""Waiting for the end of a flight without an event loop."""

from __future__ import annotations

import threading

from ..core.deadline import Deadline
from .clock import Clock
from .flights import FlightResult

__all__ = ["ThreadWaiter"]


class ThreadWaiter:
    """What a flight wakes for a caller that blocks its thread; told once, from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told = threading.Condition()
        self._landing: FlightResult | None = None

    def __call__(self, result: FlightResult) -> None:
        """Take the landing, and let the waiting thread go on."""
        with self._told:
            self._landing = result
            self._clock.notify(self._told)

    def wait(self, deadline: Deadline) -> FlightResult | None:
        """Return the landing, or ``None`` once the deadline has passed without one."""
        with self._told:
            while self._landing is None and not deadline.passed(self._clock.now()):
                self._clock.wait(self._told, deadline.at)
            return self._landing
