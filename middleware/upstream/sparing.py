"""Log lines that an outage cannot turn into a flood."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

__all__ = ["SparingLog"]


class SparingLog:
    """Writes a warning of a kind at once, and its repetitions as one line each ``every`` seconds.

    That line tells how many were left out. Kinds must come from a closed vocabulary, as each is
    remembered. ``clock`` gives seconds. Concurrency: one event loop.
    """

    def __init__(
        self,
        log: logging.Logger,
        *,
        every: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._every = every
        self._clock = clock
        self._written: dict[str, tuple[float, int]] = {}

    def warning(self, kind: str, message: str) -> None:
        """Write a line, or count it."""
        now = self._clock()
        last, left_out = self._written.get(kind, (float("-inf"), 0))
        if now - last < self._every:
            self._written[kind] = (last, left_out + 1)
            return
        self._written[kind] = (now, 0)
        if left_out:
            message += f"; {left_out} more such lines were left out in the last {now - last:.0f} s"
        self._log.warning("%s", message)
