"""Waking coroutines from the worker's thread, many with one call to their event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from weakref import WeakKeyDictionary

from .single_flight import Landing

__all__ = ["Landed", "Waking", "resolve"]

Landed = asyncio.Future[Landing | None]
"""What a coroutine waits on; ``None`` is that its deadline came first."""


def resolve(future: Landed, landing: Landing | None) -> None:
    """Give a future its result unless it has one; on its event loop's thread."""
    if not future.done():
        future.set_result(landing)


class Waking:
    """Hands landings over to the event loops whose coroutines wait for them.

    To call an event loop from another thread costs a system call and a turn of the loop: what
    lands in one engine call goes over together.

    Concurrency: any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Bell] = WeakKeyDictionary()

    def of(self, loop: asyncio.AbstractEventLoop) -> _Bell:
        """Return what wakes the coroutines of a loop."""
        bell = self._loops.get(loop)
        if bell is None:
            with self._lock:
                bell = self._loops.setdefault(loop, _Bell())
        return bell


class _Bell:
    """One loop's landings that were not yet handed over.

    Invariant: what is in ``_landed`` when ``_rung`` is false has its call under way: a landing is
    put in before the flag is looked at, and the flag is taken down before they are taken out.
    """

    __slots__ = ("_landed", "_rung")

    def __init__(self) -> None:
        self._landed: deque[tuple[Landed, Landing]] = deque()
        self._rung = False

    def ring(self, future: Landed, landing: Landing) -> None:
        """Have a future resolved on its loop's thread before long."""
        self._landed.append((future, landing))
        if not self._rung:
            self._rung = True
            with suppress(RuntimeError):  # the loop was closed meanwhile
                future.get_loop().call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        self._rung = False
        while True:
            try:
                future, landing = self._landed.popleft()
            except IndexError:
                return
            resolve(future, landing)
