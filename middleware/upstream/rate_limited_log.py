"""Logs that repeat the same warning once per interval."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

INTERVAL = 10.0  # seconds


class RepetitionLimiter:
    """Lets the first warning of a kind pass, and one of its repetitions per ``interval`` seconds.

    ``clock`` returns seconds. Each kind is remembered, so kinds must come from a closed vocabulary.
    Concurrency: one event loop.
    """

    def __init__(
        self, interval: float = INTERVAL, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = interval
        self._clock = clock
        self._written: dict[str, tuple[float, int]] = {}

    def admit(self, kind: str) -> tuple[int, float] | None:
        """Return how many were left out in how many seconds, or ``None`` to leave this one out."""
        now = self._clock()
        last, left_out = self._written.get(kind, (float("-inf"), 0))
        if now - last < self._interval:
            self._written[kind] = (last, left_out + 1)
            return None
        self._written[kind] = (now, 0)
        return left_out, now - last


class RateLimitedLog:
    """Logs the first warning of a kind at once, and its repetitions as one line per interval.

    The arguments are those of ``RepetitionLimiter``.
    """

    def __init__(
        self,
        log: logging.Logger,
        *,
        interval: float = INTERVAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._limiter = RepetitionLimiter(interval, clock)

    def warning(self, kind: str, message: str) -> None:
        """Log a warning, or count it."""
        if (admitted := self._limiter.admit(kind)) is None:
            return
        left_out, seconds = admitted
        if left_out:
            message += f"; {left_out} more such lines were left out in the last {seconds:.0f} s"
        self._log.warning("%s", message)
