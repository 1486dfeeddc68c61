"""Delivers results from the worker thread to event loops, and measures how late loops run."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakKeyDictionary

from .clock import Clock
from .flights import FlightResult

_VALID_FOR = 0.25
"""Seconds for which a measured delay of an event loop is used."""

ResultFuture = asyncio.Future[FlightResult | None]
"""What a coroutine awaits; ``None`` means that its deadline passed first."""


def set_once(future: ResultFuture, result: FlightResult | None) -> None:
    """Set a future's result unless it is done; call it on the thread of the future's loop."""
    if not future.done():
        future.set_result(result)


class LoopNotifier:
    """Delivers flight results to the event loops whose coroutines wait for them.

    Calling an event loop from another thread costs a system call and a turn of the loop, so the
    results of one engine call are delivered together. The time from that call to the delivery
    is the delay with which the loop runs everything at the moment.

    Concurrency: any thread.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._delay, self._measured = 0.0, float("-inf")
        self._lock = threading.Lock()
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Mailbox] = WeakKeyDictionary()

    def mailbox(self, loop: asyncio.AbstractEventLoop) -> Mailbox:
        """Return the mailbox of an event loop."""
        found = self._loops.get(loop)
        if found is None:
            with self._lock:
                found = self._loops.setdefault(loop, Mailbox(self._clock.now, self._observe))
        return found

    def delay(self, now: float) -> float:
        """Return the seconds by which event loops run late, or 0 without a recent measurement."""
        return self._delay if now - self._measured < _VALID_FOR else 0.0

    def _observe(self, seconds: float, now: float) -> None:
        """Add a measurement to the moving average."""
        self._delay = (self.delay(now) + seconds) / 2
        self._measured = now


class Mailbox:
    """The results that one event loop has not taken yet.

    Invariant: while ``_results`` holds something, a delivery is scheduled. ``post`` appends before
    it reads ``_scheduled``, and ``_deliver`` clears that before it takes results out.
    """

    __slots__ = ("_now", "_observe", "_results", "_scheduled", "_scheduled_at")

    def __init__(self, now: Callable[[], float], observe: Callable[[float, float], None]) -> None:
        self._results: deque[tuple[ResultFuture, FlightResult]] = deque()
        self._scheduled = False
        self._scheduled_at = 0.0
        self._now, self._observe = now, observe

    def post(self, future: ResultFuture, result: FlightResult) -> None:
        """Have a future's result set soon, on the thread of its loop."""
        self._results.append((future, result))
        if not self._scheduled:
            self._scheduled, self._scheduled_at = True, self._now()
            with suppress(RuntimeError):  # the loop is closed
                future.get_loop().call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        now = self._now()
        self._observe(now - self._scheduled_at, now)
        self._scheduled = False
        while True:
            try:
                future, result = self._results.popleft()
            except IndexError:
                return
            set_once(future, result)
