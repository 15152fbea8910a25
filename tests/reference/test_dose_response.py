"""The dose response against its definition, step by step, and the rule for the bandwidth against loops."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from whence.estimation.dose_nuisances import residual_density
from whence.estimation.dose_response import rule_of_thumb
from whence.estimation.estimate import estimate
from whence.identification.spec import Contrast, Spec


def test_rule_of_thumb():
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=400), rng.uniform(0.5, 2, 400)
    y = np.sin(2 * x) + rng.normal(size=400)
    fit = np.polynomial.Polynomial.fit(x, y, 4, w=np.sqrt(w), domain=[-1, 1], window=[-1, 1])
    low, high = np.quantile(x, [0.05, 0.95])
    noise = np.average((y - fit(x)) ** 2, weights=w)
    curvature = sum(wi * fit.deriv(2)(xi) ** 2 for xi, wi in zip(x, w, strict=True) if low <= xi <= high)
    expected = 1.719 * (noise * (high - low) / curvature) ** 0.2
    assert rule_of_thumb(x, y, w) == pytest.approx(np.clip(expected, (high - low) / 20, (high - low) / 2), rel=1e-6)


def test_kernel_density():
    rng = np.random.default_rng(2)
    e, w = rng.normal(size=300), rng.uniform(0.5, 2, 300)
    width = 0.9 * min(e.std(), np.subtract(*np.quantile(e, [0.75, 0.25], method="lower")) / 1.349) * 300 ** -0.2
    density = residual_density(e, w)
    for at in (-2.0, 0.1, 1.5):
        slow = np.sum(w * np.exp(-0.5 * ((at - e) / width) ** 2)) / (w.sum() * width * np.sqrt(2 * np.pi))
        assert density(np.array([at]))[0] == pytest.approx(slow, rel=0.03)
    assert density(np.array([50.0]))[0] == 0


def test_the_local_fit_and_its_error(make_table):
    """With a dose drawn by lot and an outcome model that is zero, the pseudo-outcomes are weighted outcomes and the
    answer a local parabola, which loops repeat."""
    rng = np.random.default_rng(3)
    n = 400
    a, x = rng.uniform(0, 4, n), rng.normal(size=n)
    y = a**2 + rng.normal(size=n)

    class Zero(LinearRegression):
        def predict(self, X):
            return np.zeros(len(X))

    class Mean(LinearRegression):
        def fit(self, X, y, sample_weight=None):
            self.mean_ = 2.0
            return self

        def predict(self, X):
            return np.full(len(X), self.mean_)

    table = make_table({"a": a, "x": x, "y": y})
    spec = Spec("adjustment", ("a",), ("y",), controls=("x",), contrast=Contrast(3.0, 1.0))
    effect = estimate(table, spec, "dose_response", outcome_learner=Zero(), treatment_learner=Mean(), bandwidth=0.8,
                      n_splits=1)
    theta, psi = [], []
    for at in (3.0, 1.0):
        rows = [i for i in range(n) if abs(a[i] - at) < 0.8]
        design = np.array([[1, (a[i] - at) / 0.8, ((a[i] - at) / 0.8) ** 2] for i in rows])
        k = np.array([0.75 * (1 - ((a[i] - at) / 0.8) ** 2) for i in rows])
        bread = np.linalg.inv(design.T @ np.diag(k) @ design)
        beta = bread @ design.T @ (k * y[rows])
        leverage = k * np.sum((design @ bread) * design, axis=1)
        added = np.zeros(n)
        added[rows] = (design @ bread[0]) * k * (y[rows] - design @ beta) / (1 - leverage)
        theta.append(beta[0])
        psi.append(added)
    # The scale of the dose is learned from x, so weights are near one, not one.
    assert effect.estimate == pytest.approx(theta[0] - theta[1], abs=0.1)
    assert effect.standard_error == pytest.approx(np.sqrt(np.sum((psi[0] - psi[1]) ** 2)), rel=0.1)
