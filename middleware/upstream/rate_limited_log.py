"""A log that repeats the same warning once per interval."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable


class RateLimitedLog:
    """Logs the first warning of a kind at once, and its repetitions as one line per interval.

    That line tells how many were left out. ``interval`` is in seconds, ``clock`` returns seconds.
    Each kind is remembered, so kinds must come from a closed vocabulary.
    Concurrency: one event loop.
    """

    def __init__(
        self,
        log: logging.Logger,
        *,
        interval: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._interval = interval
        self._clock = clock
        self._written: dict[str, tuple[float, int]] = {}

    def warning(self, kind: str, message: str) -> None:
        """Log a warning, or count it."""
        now = self._clock()
        last, left_out = self._written.get(kind, (float("-inf"), 0))
        if now - last < self._interval:
            self._written[kind] = (last, left_out + 1)
            return
        self._written[kind] = (now, 0)
        if left_out:
            message += f"; {left_out} more such lines were left out in the last {now - last:.0f} s"
        self._log.warning("%s", message)
