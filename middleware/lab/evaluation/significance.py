"""Test whether the difference between two systems is significant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .extra import require

LEVEL = 0.05
"""The p-value below which a difference is significant."""

_TIE = 1e-6


@dataclass(frozen=True, slots=True)
class Contrast:
    """The difference between two systems over the same queries.

    ``delta`` is the difference of the means; ``p_value`` is two-sided.
    """

    delta: float
    wins: int
    losses: int
    ties: int
    p_value: float

    @property
    def significant(self) -> bool:
        """Whether the p-value is below ``LEVEL``."""
        return self.p_value < LEVEL

    @property
    def direction(self) -> str:
        """``up`` or ``down`` if the difference is significant, else an empty text."""
        return "" if not self.significant else "up" if self.delta > 0 else "down"


def contrast(
    after: Sequence[float], before: Sequence[float], *, resamples: int = 9_999, seed: int = 0
) -> Contrast:
    """Return how ``after`` differs from ``before``, query by query.

    The p-value is that of the paired randomization test with ``resamples`` random exchanges, or
    with all exchanges where there are fewer (Smucker, Allan and Carterette 2007,
    https://doi.org/10.1145/1321440.1321528). It is 1 for equal values.
    """
    numpy, stats = require("numpy"), require("scipy.stats")
    differences = numpy.asarray(after, dtype=float) - numpy.asarray(before, dtype=float)
    wins = int((differences > _TIE).sum())
    losses = int((differences < -_TIE).sum())
    p_value = 1.0
    # An exchange changes nothing for queries with equal values.
    changed = differences[numpy.abs(differences) > _TIE]
    if len(changed) == 1:
        changed = numpy.append(changed, 0.0)  # scipy requires two values; a 0 changes nothing
    if len(changed):
        p_value = float(
            stats.permutation_test(
                (changed,),
                numpy.sum,
                permutation_type="samples",
                n_resamples=resamples,
                vectorized=True,
                rng=numpy.random.default_rng(seed),
                batch=1_000,
            ).pvalue
        )
    delta = float(differences.mean()) if len(differences) else 0.0
    return Contrast(delta, wins, losses, len(differences) - wins - losses, p_value)
