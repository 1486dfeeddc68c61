"""The state of a reformulator at one moment."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.breaker import BreakerState
from ..core.memo import MemoStats


@dataclass(frozen=True, slots=True)
class Stats:
    """A snapshot for health endpoints and metrics.

    ``failure`` is why the engine could not be loaded. ``foreground``, ``background`` and
    ``running`` count texts, ``flights`` all open flights.
    """

    ready: bool
    failure: str | None
    breaker: BreakerState
    foreground: int
    background: int
    running: int
    flights: int
    memo: MemoStats
