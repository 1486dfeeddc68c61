"""Deadlines: absolute points in time, so that the earliest of nested budgets counts."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ConfigurationError


@dataclass(frozen=True, slots=True, order=True)
class Deadline:
    """The time in seconds on the monotonic clock by which a rewrite must be ready."""

    at: float

    @classmethod
    def after(cls, now: float, budget: float) -> Deadline:
        """Return the deadline ``budget`` seconds after ``now``; a negative budget counts as 0."""
        return cls(now + max(0.0, budget))

    def remaining(self, now: float) -> float:
        """Return the seconds left at ``now``, never less than 0."""
        return max(0.0, self.at - now)

    def passed(self, now: float) -> bool:
        """Return whether no time is left at ``now``."""
        return now >= self.at


def check_budget(budget: float) -> None:
    """Raise ``ConfigurationError`` for a budget that is not above 0 and below 60 seconds."""
    if not 0 < budget < 60:
        raise ConfigurationError(
            f"budget ({budget}) is in seconds, above 0 and below 60; 0.1 is 100 ms"
        )
