"""Time and blocking behind one seam, so that tests can own both."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Protocol

__all__ = ["SYSTEM_CLOCK", "Clock", "SystemClock", "Timer"]


class Timer(Protocol):
    """Something that can be called off."""

    def cancel(self) -> None:
        """See to it that the callback isn't called any more."""
        ...


class Clock(Protocol):
    """Monotonic seconds, and every way in which the runtime waits for them or for a thread."""

    def now(self) -> float:
        """Return seconds that never go back; only differences mean something."""
        ...

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call back on the running event loop once ``now()`` has reached ``when``."""
        ...

    def spawn(self, name: str, target: Callable[[], None]) -> threading.Thread:
        """Start a daemon thread."""
        ...

    def wait(self, condition: threading.Condition, until: float | None = None) -> None:
        """Wait on a held condition until it is notified or ``until`` has come."""
        ...

    def notify(self, condition: threading.Condition) -> None:
        """Wake all who wait on a held condition."""
        ...


class SystemClock:
    """The machine's monotonic clock; wall time and its jumps play no part."""

    def now(self) -> float:
        """Return ``time.monotonic``."""
        return time.monotonic()

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call back on the running event loop."""
        # Relative, as an event loop may count from another zero.
        return asyncio.get_running_loop().call_later(max(0.0, when - self.now()), callback)

    def spawn(self, name: str, target: Callable[[], None]) -> threading.Thread:
        """Start a daemon thread: a hanging engine must not keep the process from ending."""
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
        """Wake all who wait on a held condition."""
        condition.notify_all()


SYSTEM_CLOCK = SystemClock()
