"""What a reformulator tells of itself."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.breaker import BreakerState
from ..core.memo import MemoStats

__all__ = ["Stats"]


@dataclass(frozen=True, slots=True)
class Stats:
    """A snapshot of a reformulator, for health pages and metrics."""

    ready: bool
    failure: str | None
    breaker: BreakerState
    live: int
    late: int
    running: int
    flights: int
    memo: MemoStats
