"""What to hold of an upstream's answers to probes so far, and when to ask again; asks nothing."""

from __future__ import annotations

from typing import NamedTuple

from ..plain import PlainDialect

__all__ = ["ProbeSchedule", "Told", "asks_to_wait"]

_FIRST_WAIT = 0.25  # seconds; doubled each time
_LONGEST_WAIT = 5.0
_PATIENCE = 60.0
_LOOKS = (30.0, 120.0, 600.0)
_LATER = frozenset({408, 425, 429, 502, 503, 504})


class Told(NamedTuple):
    """What one round of probes gave.

    ``dialect`` is what the answer to ``probe`` tells. ``there`` is set where anything came back,
    ``settled`` where each probe had an answer and none asked to come again.
    """

    dialect: str | None = None
    probe: str = ""
    there: bool = False
    settled: bool = False


def asks_to_wait(status: int) -> bool:
    """Tell whether an answer is one of a server, or of what stands before it, that still boots."""
    return status in _LATER


class ProbeSchedule:
    """Which dialect is in use by what was told, and how long to wait before the next round.

    An upstream that is not there, or asks to come again, is asked again after .25 s, then after
    twice as long each time, 5 s at most. One that answers and tells nothing is taken for an app
    of the user's own, which is ``plain``; so is one that asks to come again for a minute. As the
    page of a load balancer looks like such an app while the search server behind it boots, it is
    looked at again after half a minute, two and ten, and no more once these answers were
    settled too. A dialect that was told stays.

    Time is given, in seconds. Concurrency: none; one task owns it.
    """

    def __init__(self) -> None:
        self.dialect: str | None = None
        self.probe = ""
        self._wait = _FIRST_WAIT
        self._since: float | None = None  # when anything came back for the first time
        self._looks = 0

    def take(self, told: Told, now: float) -> float | None:
        """Take a round's outcome; return the seconds until the next one, ``None`` for never."""
        if told.dialect is not None:
            self.dialect, self.probe = told.dialect, told.probe
            return None
        if told.there and self._since is None:
            self._since = now
        if self.dialect is None:
            waited = self._since is not None and now - self._since >= _PATIENCE
            if not told.settled and not (told.there and waited):
                wait, self._wait = self._wait, min(2 * self._wait, _LONGEST_WAIT)
                return wait
            self.dialect = PlainDialect.name
            return _LOOKS[0]
        last = len(_LOOKS) - 1
        if told.settled and self._looks == last:
            return None
        self._looks = min(self._looks + told.there, last)
        return _LOOKS[self._looks]
