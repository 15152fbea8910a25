"""Folds: balanced in strata, whole clusters, seeded."""

from __future__ import annotations

import numpy as np
import pytest

from whence.stats.resample import folds

RNG = np.random.default_rng(3)


def test_every_stratum_is_spread_evenly():
    strata = RNG.choice(3, 103, p=[0.6, 0.3, 0.1])
    fold = folds(5, strata, seed=1)
    assert set(fold) == set(range(5))
    for stratum in range(3):
        counts = np.bincount(fold[strata == stratum], minlength=5)
        assert np.ptp(counts) <= 1
    assert np.ptp(np.bincount(fold)) <= 1


def test_clusters_stay_whole():
    clusters = RNG.integers(0, 17, 200) * 5
    fold = folds(4, RNG.integers(0, 2, 200), clusters, seed=1)
    assert all(len(np.unique(fold[clusters == c])) == 1 for c in np.unique(clusters))
    assert len(np.unique(fold)) == 4


def test_seed_and_stream():
    strata = np.zeros(50, dtype=int)
    assert np.array_equal(folds(5, strata, seed=3), folds(5, strata, seed=3))
    assert not np.array_equal(folds(5, strata, seed=3), folds(5, strata, seed=4))
    assert not np.array_equal(folds(5, strata, seed=3, stream=0), folds(5, strata, seed=3, stream=1))


@pytest.mark.parametrize("n_folds", [2, 7])
def test_treatment_constant_within_clusters_is_balanced_over_folds(n_folds):
    clusters = np.repeat(np.arange(28), 4)
    treated = (clusters < 14).astype(int)
    fold = folds(n_folds, treated, clusters, seed=0)
    shares = [treated[fold == f].mean() for f in range(n_folds)]
    assert max(shares) - min(shares) <= 0.01
