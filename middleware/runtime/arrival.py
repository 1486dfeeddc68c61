"""Waiting for the end of a flight without an event loop."""

from __future__ import annotations

import threading

from middleware.core.deadline import Deadline

from .clock import Clock
from .single_flight import Landing

__all__ = ["Arrival"]


class Arrival:
    """What a flight wakes for a caller that blocks its thread; told once, from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told = threading.Condition()
        self._landing: Landing | None = None

    def __call__(self, landing: Landing) -> None:
        """Take the landing, and let the waiting thread go on."""
        with self._told:
            self._landing = landing
            self._clock.notify(self._told)

    def wait(self, deadline: Deadline) -> Landing | None:
        """Return the landing, or ``None`` once the deadline has passed without one."""
        with self._told:
            while self._landing is None and not deadline.passed(self._clock.now()):
                self._clock.wait(self._told, deadline.at)
            return self._landing
