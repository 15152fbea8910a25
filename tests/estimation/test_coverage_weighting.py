"""Coverage of 95 % intervals over 500 simulated sets: entropy balancing, matching, overlap weights. 93 to 97 % is two
Monte Carlo errors either side; the hard settings, several at once, are allowed half a point more."""

from __future__ import annotations

import numpy as np
import pytest

from whence.core.result import Refused
from whence.estimation.estimate import estimate

SETS = 500


def coverage(sample, spec, n, method, truth=1.0, clusters=None, sets=SETS, **params):
    hits, answered = 0, 0
    for seed in range(sets):
        effect = estimate(sample(n, seed, False, clusters).table, spec, method, seed, **params)
        if isinstance(effect, Refused):
            continue
        answered += 1
        hits += effect.interval[0] <= truth <= effect.interval[1]
    assert answered >= 0.98 * sets
    return hits / answered


def truth_of(quantity):
    """The true ATT, ATC or ATO of ``sample``: effects 1 + x0 / 2 averaged under the weights, by 2 million draws."""
    x = np.random.default_rng(0).standard_normal((2_000_000, 2))
    p = 1 / (1 + np.exp(-(0.6 * x[:, 0] - 0.4 * x[:, 1])))
    return float(np.average(1 + 0.5 * x[:, 0], weights={"ATT": p, "ATC": 1 - p, "ATO": p * (1 - p)}[quantity]))


@pytest.mark.parametrize("method", ["entropy_balancing", "matching"])
def test_quick(sample, spec, method):
    assert 0.92 <= coverage(sample, spec(), 300, method, sets=250) <= 0.98  # two errors of 250 sets are 2.8 %


@pytest.mark.slow
@pytest.mark.parametrize(("method", "quantity", "n", "params"), [
    ("entropy_balancing", "ATE", 500, {}), ("entropy_balancing", "ATT", 500, {"moments": "means"}),
    ("matching", "ATE", 500, {}), ("matching", "ATT", 500, {"neighbours": 1}),
    ("matching", "ATC", 500, {"metric": "propensity"}), ("ipw", "ATO", 500, {}),
])
def test_easy(sample, spec, method, quantity, n, params):
    truth = 1.0 if quantity == "ATE" else truth_of(quantity)
    assert 0.93 <= coverage(sample, spec(quantity=quantity), n, method, truth, **params) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize(("method", "quantity", "n", "clusters", "params"), [
    ("entropy_balancing", "ATE", 100, None, {}), ("entropy_balancing", "ATT", 100, None, {}),
    ("entropy_balancing", "ATE", 300, 30, {}),
    ("matching", "ATE", 120, None, {}), ("matching", "ATT", 120, None, {"neighbours": 1}),
    ("matching", "ATE", 200, None, {"metric": "propensity"}),
    ("ipw", "ATO", 120, None, {"degree": 1}), ("ipw", "ATO", 300, 30, {}),
])
def test_few_rows_and_clusters(sample, spec, method, quantity, n, clusters, params):
    truth = 1.0 if quantity == "ATE" else truth_of(quantity)
    chosen = spec(quantity=quantity, cluster="c" if clusters else None)
    assert 0.925 <= coverage(sample, chosen, n, method, truth, clusters, **params) <= 0.975
