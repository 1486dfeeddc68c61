"""A circuit breaker over the engine: rest it when most of its calls fail or are slow."""

from __future__ import annotations

from collections import deque
from enum import StrEnum

from ..errors import ConfigurationError
from .slow_calls import SlowCallDetector

__all__ = ["Breaker", "BreakerState"]


class BreakerState(StrEnum):
    """``closed`` lets calls through, ``open`` none, ``half_open`` one probe at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Opens when a share of the last calls failed, and probes again after a rest.

    ``window`` is how many calls are looked at, ``share`` the part of them that must have
    failed, ``rest`` the seconds of rest before a probe; each failed probe doubles the
    rest up to ``max_rest``. Its user also counts as failed what ``slow_calls`` says is slow.

    Invariants: while half open at most one call is under way. Concurrency: owned by one
    lock of its user; time is given to each call.
    """

    def __init__(
        self,
        *,
        window: int = 10,
        share: float = 0.5,
        rest: float = 5.0,
        max_rest: float = 60.0,
        slow_calls: SlowCallDetector | None = None,
    ) -> None:
        if window < 1 or not 0 < share <= 1 or not 0 < rest <= max_rest:
            raise ConfigurationError(
                f"breaker: window ({window}) must be at least 1, share ({share}) within 0 and 1, "
                f"rest ({rest}) above 0 and at most max_rest ({max_rest})"
            )
        self.slow_calls = SlowCallDetector() if slow_calls is None else slow_calls
        self._window = window
        self._share = share
        self._first_rest = self._rest = rest
        self._max_rest = max_rest
        self._failed: deque[bool] = deque(maxlen=window)
        self._opened_at: float | None = None
        self._probing = False

    def state(self, now: float) -> BreakerState:
        """Return the state at ``now``."""
        if self._opened_at is None:
            return BreakerState.CLOSED
        if now - self._opened_at >= self._rest:
            return BreakerState.HALF_OPEN
        return BreakerState.OPEN

    def allows(self, now: float) -> bool:
        """Tell whether a call may start at ``now``; a half-open breaker lends its one probe."""
        state = self.state(now)
        if state is BreakerState.HALF_OPEN and not self._probing:
            self._probing = True
            return True
        return state is BreakerState.CLOSED

    @property
    def probing(self) -> bool:
        """Whether the one probe of a half-open breaker is lent out."""
        return self._probing

    def record(self, *, failed: bool, now: float) -> None:
        """Take note of how a call ended; while not closed, only a lent probe's end counts."""
        if self._opened_at is not None:
            if not self._probing:
                return  # a call from before the breaker opened
            self._probing = False
            if failed:
                self._rest = min(self._max_rest, 2 * self._rest)
                self._opened_at = now
            else:
                self._opened_at = None
                self._rest = self._first_rest
                self._failed.clear()
            return
        self._failed.append(failed)
        if len(self._failed) == self._window and sum(self._failed) >= self._share * self._window:
            self._opened_at = now

    def trip(self, now: float) -> None:
        """Open at once: a call under way has not come back, which no later end may undo."""
        if self._opened_at is None:
            self._opened_at = now
        elif self._probing:
            self.record(failed=True, now=now)

    def release(self) -> None:
        """Give back a lent probe whose call never ran."""
        self._probing = False
