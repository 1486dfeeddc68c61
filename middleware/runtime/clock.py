"""Time and blocking behind one interface, so that tests can control both."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A scheduled callback."""

    def cancel(self) -> None:
        """Prevent the callback, if it has not been called yet."""
        ...


class Clock(Protocol):
    """Monotonic time, and every way in which the runtime waits for a time or a thread."""

    def now(self) -> float:
        """Return seconds that never decrease; only differences are meaningful."""
        ...

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call ``callback`` on the running event loop once ``now()`` reaches ``when``."""
        ...

    def spawn(self, name: str, target: Callable[[], None]) -> threading.Thread:
        """Start a daemon thread."""
        ...

    def wait(self, condition: threading.Condition, until: float | None = None) -> None:
        """Wait on a held condition until it is notified or ``now()`` reaches ``until``."""
        ...

    def notify(self, condition: threading.Condition) -> None:
        """Wake all threads that wait on a held condition."""
        ...


class SystemClock:
    """The machine's monotonic clock, which wall time and its jumps do not affect."""

    now = staticmethod(time.monotonic)
    """Return monotonic seconds; a function of C, as each request calls it several times."""

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call ``callback`` on the running event loop."""
        # Relative, as an event loop may count from another zero.
        return asyncio.get_running_loop().call_later(max(0.0, when - self.now()), callback)

    def spawn(self, name: str, target: Callable[[], None]) -> threading.Thread:
        """Start a daemon thread, so that a hanging engine cannot keep the process alive."""
        thread = threading.Thread(name=name, target=target, daemon=True)
        thread.start()
        return thread

    def wait(self, condition: threading.Condition, until: float | None = None) -> None:
        """Wait on a held condition."""
        if until is None:
            condition.wait()
        else:
            condition.wait(min(max(0.0, until - self.now()), threading.TIMEOUT_MAX))

    def notify(self, condition: threading.Condition) -> None:
        """Wake all threads that wait on a held condition."""
        condition.notify_all()


SYSTEM_CLOCK = SystemClock()
