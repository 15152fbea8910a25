"""Pointwise intervals of the causal forest on sets with known effects."""

from __future__ import annotations

import numpy as np
import pytest

from whence.data.load import read
from whence.estimation.conditional import conditional
from whence.identification.spec import Spec

SPEC = Spec("adjustment", ("a",), ("y",), controls=tuple(f"x{j}" for j in range(5)))


def covered(seed, effect, n):
    """Share of people whose interval holds their effect, and of sets whose average's does."""
    rng = np.random.default_rng([seed, n])
    x = rng.uniform(-1, 1, (n, 5))
    a = (rng.random(n) < 1 / (1 + np.exp(-x[:, 0]))).astype(int)
    tau = effect(x)
    y = x[:, 0] + tau * a + rng.standard_normal(n)
    table = read({f"x{j}": x[:, j] for j in range(5)} | {"a": a, "y": y})
    found = conditional(table, SPEC, seed=seed, trees=500, outcome_learner="linear", treatment_learner="linear")
    low, high = found.average.interval
    return np.mean((found.intervals[:, 0] <= tau) & (tau <= found.intervals[:, 1])), low <= tau.mean() <= high


@pytest.mark.slow
@pytest.mark.parametrize("effect", [lambda x: 1 + 0 * x[:, 1], lambda x: 1 + x[:, 1]], ids=["constant", "differing"])
def test_intervals_of_people_cover(effect):
    """300 sets of 2,000 people; one point is over four standard errors of the mean of the shares."""
    people, average = np.mean([covered(seed, effect, 2000) for seed in range(300)], axis=0)
    assert 0.90 <= people <= 0.985  # where nothing differs, a variance that is never below zero makes them wide
    assert 0.92 <= average <= 0.98
