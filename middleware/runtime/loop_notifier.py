"""LoopNotifier coroutines from the worker's thread, and how late their event loop is to wake."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakKeyDictionary

from .clock import Clock
from .flights import FlightResult

__all__ = ["LoopNotifier", "ResultFuture", "resolve"]

_TOLD_FOR = 0.25
"""Seconds for which what was seen of a loop's lateness is taken to hold."""

ResultFuture = asyncio.Future[FlightResult | None]
"""What a coroutine waits on; ``None`` is that its deadline came first."""


def resolve(future: ResultFuture, result: FlightResult | None) -> None:
    """Give a future its result unless it has one; on its event loop's thread."""
    if not future.done():
        future.set_result(result)


class LoopNotifier:
    """Hands landings over to the event loops whose coroutines wait for them.

    To call an event loop from another thread costs a system call and a turn of the loop: what
    lands in one engine call goes over together. How long a loop takes to come to it is how late
    it is with all that it does.

    Concurrency: any thread.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lateness, self._seen = 0.0, float("-inf")
        self._lock = threading.Lock()
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopMailbox] = (
            WeakKeyDictionary()
        )

    def of(self, loop: asyncio.AbstractEventLoop) -> _LoopMailbox:
        """Return what wakes the coroutines of a loop."""
        bell = self._loops.get(loop)
        if bell is None:
            with self._lock:
                bell = self._loops.setdefault(loop, _LoopMailbox(self._clock.now, self._came))
        return bell

    def lateness(self, now: float) -> float:
        """Return the seconds by which event loops are late, 0 where nothing tells of late."""
        return self._lateness if now - self._seen < _TOLD_FOR else 0.0

    def _came(self, seconds: float, now: float) -> None:
        """Take note that a loop came to its landings after so many seconds."""
        self._lateness = (self.lateness(now) + seconds) / 2
        self._seen = now


class _LoopMailbox:
    """One loop's landings that were not yet handed over.

    Invariant: whatever is in ``_landed`` has a call under way that takes it out: a landing is put
    in before ``_rung`` is looked at, and that is taken down before they are taken out.
    """

    __slots__ = ("_came", "_landed", "_now", "_rung", "_rung_at")

    def __init__(self, now: Callable[[], float], came: Callable[[float, float], None]) -> None:
        self._landed: deque[tuple[ResultFuture, FlightResult]] = deque()
        self._rung = False
        self._rung_at = 0.0
        self._now, self._came = now, came

    def ring(self, future: ResultFuture, result: FlightResult) -> None:
        """Have a future resolved on its loop's thread before long."""
        self._landed.append((future, result))
        if not self._rung:
            self._rung, self._rung_at = True, self._now()
            with suppress(RuntimeError):  # the loop was closed meanwhile
                future.get_loop().call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        now = self._now()
        self._came(now - self._rung_at, now)
        self._rung = False
        while True:
            try:
                future, result = self._landed.popleft()
            except IndexError:
                return
            resolve(future, result)
