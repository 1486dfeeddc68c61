"""Whether a difference between two systems is more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .extra import require

__all__ = ["LEVEL", "Contrast", "contrast"]

LEVEL = 0.05
"""The p-value below which a difference counts as one."""

_TIE = 1e-6


@dataclass(frozen=True, slots=True)
class Contrast:
    """One system's figures against another's, over the same queries.

    ``delta`` is the difference of the means, ``p_value`` is two-sided.
    """

    delta: float
    wins: int
    losses: int
    ties: int
    p_value: float

    @property
    def significant(self) -> bool:
        """Whether chance alone would rarely do it."""
        return self.p_value < LEVEL


def contrast(
    after: Sequence[float], before: Sequence[float], *, resamples: int = 9_999, seed: int = 0
) -> Contrast:
    """Return how ``after`` differs from ``before``, query by query.

    The p-value is of the paired randomization test with ``resamples`` random exchanges, or
    all of them where there are fewer (Smucker, Allan and Carterette 2007,
    https://doi.org/10.1145/1321440.1321528). Two equal columns have 1.
    """
    numpy, stats = require("numpy"), require("scipy.stats")
    differences = numpy.asarray(after, dtype=float) - numpy.asarray(before, dtype=float)
    wins = int((differences > _TIE).sum())
    losses = int((differences < -_TIE).sum())
    p_value = 1.0
    # Queries that did not change are the same under every exchange.
    changed = differences[numpy.abs(differences) > _TIE]
    if len(changed) == 1:
        changed = numpy.append(changed, 0.0)  # the test asks for two; this one changes nothing
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
