"""The paired randomization test."""

from __future__ import annotations

import random
from itertools import product

import pytest

from middleware.lab.evaluation.significance import contrast


def test_equal_columns_differ_in_nothing() -> None:
    """Every query is a tie."""
    found = contrast([0.5, 0.1], [0.5, 0.1])
    assert (found.delta, found.wins, found.losses, found.ties) == (0.0, 0, 0, 2)
    assert found.p_value == 1.0
    assert not found.significant


def test_few_queries_are_exchanged_in_every_way() -> None:
    """The p-value is the share of the 2^n exchanges that differ as much."""
    differences = [0.3, 0.2, -0.1, 0.4, 0.05, 0.25]
    seen = abs(sum(differences))
    sums = [
        abs(sum(sign * d for sign, d in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(differences))
    ]
    exact = sum(value >= seen - 1e-12 for value in sums) / len(sums)
    found = contrast(differences, [0.0] * len(differences))
    assert found.p_value == pytest.approx(exact)
    assert (found.wins, found.losses) == (5, 1)


def test_a_real_difference_is_told_from_noise() -> None:
    """A shift of half a deviation over 200 queries is no chance; no shift may well be."""
    rng = random.Random(4)
    before = [rng.random() for _ in range(200)]
    noise = [rng.gauss(0, 0.1) for _ in range(200)]
    better = [b + n + 0.05 for b, n in zip(before, noise, strict=True)]
    assert contrast(better, before).significant
    worse = contrast(before, better)
    assert worse.significant
    assert worse.delta < 0
    signs = [n * rng.choice((-1, 1)) for n in noise]
    assert contrast([b + s for b, s in zip(before, signs, strict=True)], before).p_value > 0.05


def test_the_p_value_depends_on_the_seed_alone() -> None:
    """Two runs of one measurement say the same."""
    rng = random.Random(5)
    after = [rng.random() for _ in range(60)]
    before = [rng.random() for _ in range(60)]
    assert contrast(after, before, seed=3) == contrast(after, before, seed=3)
