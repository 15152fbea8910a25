"""Interval coverage over 500 simulated sets: 93 to 97 %, two Monte Carlo errors (0.97 %) either side of 95 %.

The quick settings run always. Few rows, clusters and flexible learners are slow. Several settings at once are allowed
half a point more on either side (the weights of the quick ones cover 94.9 % of 1,500 sets).
"""

from __future__ import annotations

import numpy as np
import pytest

from whence.estimation.estimate import estimate

SETS = 500
LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear", "n_splits": 1}


def coverage(sample, spec, n, method, randomised=False, clusters=None, sets=SETS, **params):
    hits, ratios = 0, []
    for seed in range(sets):
        effect = estimate(sample(n, seed, randomised, clusters).table, spec, method, seed, **params)
        hits += effect.interval[0] <= 1 <= effect.interval[1]
        ratios.append((effect.estimate - 1) / effect.standard_error)
    return hits / sets, float(np.std(ratios))


@pytest.mark.parametrize(("method", "strategy", "n", "params"), [
    ("difference", "rct", 100, {}), ("regression", "adjustment", 200, {}), ("ipw", "adjustment", 300, {}),
    ("aipw", "adjustment", 200, LINEAR | {"n_folds": 2}),
])
def test_quick(sample, spec, method, strategy, n, params):
    chosen = spec(strategy, **({"controls": ()} if method == "difference" else {}))
    share, spread = coverage(sample, chosen, n, method, strategy == "rct", **params)
    assert 0.925 <= share <= 0.975
    assert 0.88 < spread < 1.12  # 500 sets leave it an error of three points


@pytest.mark.slow
@pytest.mark.parametrize(("method", "strategy", "n", "clusters", "params"), [
    ("difference", "rct", 30, None, {}), ("regression", "rct", 60, None, {}),
    ("ipw", "adjustment", 120, None, {"degree": 1}),
    ("difference", "rct", 300, 30, {}), ("regression", "adjustment", 300, 30, {}), ("ipw", "adjustment", 300, 30, {}),
    ("aipw", "adjustment", 300, 30, LINEAR), ("aipw", "adjustment", 300, None, LINEAR | {"n_splits": 3}),
    ("aipw", "adjustment", 400, None, {"n_splits": 1}),
])
def test_small_and_clustered(sample, spec, method, strategy, n, clusters, params):
    changes = {"cluster": "c" if clusters else None} | ({"controls": ()} if method == "difference" else {})
    share, _ = coverage(sample, spec(strategy, **changes), n, method, strategy == "rct", clusters, **params)
    assert 0.925 <= share <= 0.975
