"""Decides, after each round of probes, which dialect to use and when to probe again; no I/O."""

from __future__ import annotations

from typing import NamedTuple

from ..plain import PlainDialect

_FIRST_WAIT = 0.25  # seconds; doubled after each round
_LONGEST_WAIT = 5.0
_BOOT_TIME = 60.0
_RECHECKS = (30.0, 120.0, 600.0)
_TEMPORARY = frozenset({408, 425, 429, 502, 503, 504})


class ProbeResult(NamedTuple):
    """What one round of probes found.

    ``dialect`` is the one identified by the answer to ``probe``. ``reachable`` is set if anything
    was received, ``conclusive`` if each probe had an answer whose status was not temporary.
    """

    dialect: str | None = None
    probe: str = ""
    reachable: bool = False
    conclusive: bool = False


def is_temporary(status: int) -> bool:
    """Return whether a server, or a proxy before it, may answer so while the server boots."""
    return status in _TEMPORARY


class ProbeSchedule:
    """Which dialect is in use, and how many seconds to wait before the next round of probes.

    - An upstream that is unreachable or whose answers are temporary is probed again after .25 s,
      then after twice as long each time, at most 5 s.
    - One that answers without being identified is taken for the user's own app, ``plain``. So is
      one whose answers have been temporary for a minute.
    - Because a load balancer's page looks like such an app while the search server behind it
      boots, an app is probed again after half a minute, two and ten. Then probing ends, if the
      answers were conclusive.
    - A dialect that was identified stays.

    Concurrency: owned by one task.
    """

    def __init__(self) -> None:
        self.dialect: str | None = None
        self.probe = ""
        self._wait = _FIRST_WAIT
        self._reached_at: float | None = None  # when anything was received for the first time
        self._rechecks = 0

    def take(self, result: ProbeResult, now: float) -> float | None:
        """Record a round; return the seconds until the next one, or ``None`` if it was the last.

        ``now`` is in seconds.
        """
        if result.dialect is not None:
            self.dialect, self.probe = result.dialect, result.probe
            return None
        if result.reachable and self._reached_at is None:
            self._reached_at = now
        if self.dialect is None:
            waited = self._reached_at is not None and now - self._reached_at >= _BOOT_TIME
            if not result.conclusive and not (result.reachable and waited):
                wait, self._wait = self._wait, min(2 * self._wait, _LONGEST_WAIT)
                return wait
            self.dialect = PlainDialect.name
            return _RECHECKS[0]
        last = len(_RECHECKS) - 1
        if result.conclusive and self._rechecks == last:
            return None
        self._rechecks = min(self._rechecks + result.reachable, last)
        return _RECHECKS[self._rechecks]
