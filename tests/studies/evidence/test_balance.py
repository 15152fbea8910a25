"""The Bayes factor of dependence, beside its marginal likelihoods written out as matrices."""

from __future__ import annotations

import numpy as np
import pytest

from whence.studies.evidence.balance import SIZES, explained, log_dependence, products


def by_matrices(y: np.ndarray, x: np.ndarray) -> float:
    """Log Bayes factor from the densities of ``y``: normal with covariance s2 (I + g H), s2 with density 1 / s2."""
    n, k = x.shape
    y, x = y - y.mean(), x - x.mean(axis=0)
    hat = x @ np.linalg.pinv(x)
    logs = []
    for size in SIZES:
        covariance = np.eye(n) + n / k * size / (1 - size) * hat
        logs.append(-np.linalg.slogdet(covariance)[1] / 2
                    - (n - 1) / 2 * np.log((y @ np.linalg.solve(covariance, y)) / (y @ y)))
    return float(np.logaddexp.reduce(logs) - np.log(len(logs)))


@pytest.mark.parametrize(("n", "k", "effect"), [(30, 2, 0.0), (60, 5, 0.4), (150, 3, 0.1)])
def test_log_dependence_is_the_ratio_of_marginal_likelihoods(n: int, k: int, effect: float) -> None:
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, k))
    y = effect * x.sum(axis=1) + rng.normal(size=n)
    r2, rank = explained(y, x)
    assert rank == k
    assert log_dependence(r2, n, rank) == pytest.approx(by_matrices(y, x), abs=1e-8)


def test_a_small_table_says_little_and_a_large_one_much() -> None:
    assert abs(log_dependence(3 / 20, 20, 3)) < 1
    assert log_dependence(3 / 20_000, 20_000, 3) < -5
    assert log_dependence(0.02, 20_000, 3) > 100


def test_products_fit_as_well_as_the_columns() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 4))
    x[:, 3] = x[:, 0] - x[:, 1] + rng.normal(size=200)
    made = products(np.column_stack([x, np.ones(200)]), ("a", "b", "b", "c", "constant"))
    assert "constant" not in made.at
    r2, k = made.explained("c", ("a", "b"))
    assert k == 3
    assert r2 == pytest.approx(explained(x[:, 3], x[:, :3])[0], abs=1e-5)
