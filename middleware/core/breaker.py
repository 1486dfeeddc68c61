"""A circuit breaker around the engine: stops calls while most of them fail or are slow."""

from __future__ import annotations

from collections import deque
from enum import StrEnum

from ..errors import ConfigurationError
from .arguments import checked
from .slow_calls import SlowCallDetector


class BreakerState(StrEnum):
    """``closed`` allows calls, ``open`` none, ``half_open`` one probe at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Opens when many of the last calls failed, and lets one call through after a pause.

    It opens when at least ``share`` of the last ``window`` calls failed. ``cooldown`` is the pause
    in seconds before a probe; each failed probe doubles it, up to ``max_cooldown``. The owner also
    counts calls as failed that ``slow_calls`` finds slow.

    Invariants: at most one call runs while half open. Concurrency: the owner's lock protects it;
    time is passed to each call. Errors: ``ConfigurationError`` from the constructor.
    """

    @checked
    def __init__(
        self,
        *,
        window: int = 10,
        share: float = 0.5,
        cooldown: float = 5.0,
        max_cooldown: float = 60.0,
        slow_calls: SlowCallDetector | None = None,
    ) -> None:
        if window < 1 or not 0 < share <= 1 or not 0 < cooldown <= max_cooldown:
            raise ConfigurationError(
                f"breaker: window ({window}) must be at least 1, share ({share}) within 0 and 1, "
                f"cooldown ({cooldown}) above 0 and at most max_cooldown ({max_cooldown})"
            )
        self.slow_calls = SlowCallDetector() if slow_calls is None else slow_calls
        self._window = window
        self._share = share
        self._first_cooldown = self._cooldown = cooldown
        self._max_cooldown = max_cooldown
        self._failed: deque[bool] = deque(maxlen=window)
        self._opened_at: float | None = None
        self._probing = False
        self._restarts = 0  # since the last call that succeeded

    def state(self, now: float) -> BreakerState:
        """Return the state at ``now``, in seconds."""
        if self._opened_at is None:
            return BreakerState.CLOSED
        if now - self._opened_at >= self._cooldown:
            return BreakerState.HALF_OPEN
        return BreakerState.OPEN

    def allows(self, now: float) -> bool:
        """Return whether a call may start at ``now``; a half-open breaker allows one, its probe."""
        state = self.state(now)
        if state is BreakerState.HALF_OPEN and not self._probing:
            self._probing = True
            return True
        return state is BreakerState.CLOSED

    @property
    def probing(self) -> bool:
        """Whether the probe of a half-open breaker is running."""
        return self._probing

    def record(self, *, failed: bool, now: float) -> None:
        """Record how a call ended; unless the breaker is closed, only the probe counts."""
        if self._opened_at is not None:
            if not self._probing:
                return  # a call from before the breaker opened
            self._probing = False
            if failed:
                self._cooldown = min(self._max_cooldown, 2 * self._cooldown)
                self._opened_at = now
            else:
                self._opened_at = None
                self._cooldown = self._first_cooldown
                self._failed.clear()
                self._restarts = 0
            return
        if not failed:
            self._restarts = 0
        self._failed.append(failed)
        if len(self._failed) == self._window and sum(self._failed) >= self._share * self._window:
            self._opened_at = now

    def trip(self, now: float) -> None:
        """Open at once, because a running call hangs."""
        if self._opened_at is None:
            self._opened_at = now
        elif self._probing:
            self.record(failed=True, now=now)

    def restarted(self) -> bool:
        """Close, as the engine was started anew: what failed before tells nothing of it.

        If that did not help the last time, it stays open until its probe, with longer pauses, and
        false is returned.
        """
        self._restarts += 1
        if self._restarts > 1:
            return False
        self._opened_at = None
        self._cooldown = self._first_cooldown
        self._probing = False
        self._failed.clear()
        return True

    def release(self) -> None:
        """Take back the probe, as its call never ran."""
        self._probing = False
