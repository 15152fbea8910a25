"""Generalised linear models against statsmodels, their own definition, and separated data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm

from whence.stats.glm import FAMILIES, glm

PEERS: dict[str, Any] = {
    "logit": lambda: sm.families.Binomial(), "probit": lambda: sm.families.Binomial(sm.families.links.Probit()),
    "cloglog": lambda: sm.families.Binomial(sm.families.links.CLogLog()), "poisson": lambda: sm.families.Poisson(),
}
every_family = pytest.mark.parametrize("name", PEERS)


def drawn(name: str, n: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.ones(n), rng.normal(size=(n, 2))])
    mean = FAMILIES[name].mean(x @ np.array([-0.3, 0.6, -0.4]))[0]
    return x, (rng.random(n) < mean).astype(float) if FAMILIES[name].binary else rng.poisson(mean).astype(float)


@every_family
@pytest.mark.parametrize("weighted", [False, True])
def test_coefficients_are_those_of_statsmodels(name: str, weighted: bool) -> None:
    x, y = drawn(name)
    w = np.random.default_rng(1).uniform(0.5, 2, len(y)) if weighted else None
    fit = glm(x, y, FAMILIES[name], w)
    peer = sm.GLM(y, x, PEERS[name](), freq_weights=w).fit(tol=1e-12, maxiter=200)
    assert fit.problem is None and fit.coefficients == pytest.approx(peer.params, rel=1e-6)
    assert fit.mean == pytest.approx(peer.fittedvalues, rel=1e-6)


@every_family
def test_derivatives_are_those_of_the_likelihood(name: str) -> None:
    family, h = FAMILIES[name], 1e-5
    eta = np.linspace(-4, 2.5, 27)
    for y in (0.0, 0.4, 1.0):
        value, first, curve = (np.asarray(v) for v in family.likelihood(eta, np.full(27, y)))
        up, down = (family.likelihood(eta + d, np.full(27, y)) for d in (h, -h))
        assert first == pytest.approx((up[0] - down[0]) / (2 * h), abs=1e-6)
        assert curve == pytest.approx(-(up[1] - down[1]) / (2 * h), abs=1e-6)
        assert np.isfinite(value).all() and (curve >= 0).all()
    mean, slope, second = family.mean(eta)
    ends = [family.mean(eta + d) for d in (h, -h)]
    assert slope == pytest.approx((ends[0][0] - ends[1][0]) / (2 * h), abs=1e-6)
    assert second == pytest.approx((ends[0][1] - ends[1][1]) / (2 * h), abs=1e-6)
    assert (np.diff(mean) > 0).all()


@every_family
def test_far_out_nothing_breaks(name: str) -> None:
    eta = np.array([-300.0, -40, 40, 300])
    for y in (0.0, 1.0):
        assert all(np.isfinite(v).all() for v in FAMILIES[name].likelihood(eta, np.full(4, y)))


@every_family
@pytest.mark.parametrize("covariance", ["HC0", "HC1", "HC3", "CR1"])
def test_errors_are_a_sandwich_by_loops(name: str, covariance: str) -> None:
    x, y = drawn(name, 120, 2)
    fit = glm(x, y, FAMILIES[name])
    groups = np.arange(120) // 6 if covariance == "CR1" else None
    h, bread = 1e-5, np.zeros((3, 3))

    def gradient(beta: np.ndarray, i: int) -> np.ndarray:
        return x[i] * FAMILIES[name].likelihood(np.array([x[i] @ beta]), y[[i]])[1][0]

    total = lambda beta: sum(gradient(beta, i) for i in range(120))  # noqa: E731
    for j in range(3):
        bread[j] = -(total(fit.coefficients + h * np.eye(3)[j]) - total(fit.coefficients - h * np.eye(3)[j])) / (2 * h)
    inverse, meat, sums = np.linalg.inv(bread), np.zeros((3, 3)), np.zeros((20, 3))
    for i in range(120):
        g = gradient(fit.coefficients, i)
        sums[i // 6] += g
        lever = 1.0
        if covariance == "HC3":
            curve = FAMILIES[name].likelihood(np.array([x[i] @ fit.coefficients]), y[[i]])[2][0]
            lever = 1 - curve * x[i] @ inverse @ x[i]
        meat += np.outer(g, g) / lever**2
    factor = {"HC1": 120 / 117, "CR1": 20 / 19 * 119 / 117}.get(covariance, 1.0)
    known = inverse @ (sums.T @ sums if groups is not None else meat) @ inverse * factor
    values = fit.influence(np.eye(3), covariance, groups)
    if groups is not None:
        values = np.array([values[groups == g].sum(axis=0) for g in range(20)])
    assert values.T @ values / 120**2 == pytest.approx(known, rel=1e-5)


@every_family
def test_separation_is_a_value(name: str) -> None:
    x, y = drawn(name, 60)
    apart = np.column_stack([x, (np.arange(60) < 20).astype(float)])
    y = np.where(np.arange(60) < 20, 0.0, y)
    fit = glm(apart, y, FAMILIES[name])
    assert fit.problem == "separation"


def test_fractions_and_amounts_are_allowed() -> None:
    """The quasi-likelihood is right for the mean of outcomes between the edges too."""
    x, y = drawn("logit")
    share = 0.2 + 0.6 * y
    peer = sm.GLM(share, x, sm.families.Binomial()).fit()
    assert glm(x, share, FAMILIES["logit"]).coefficients == pytest.approx(peer.params)
    amount = np.exp(x[:, 1]) * 2.5
    assert glm(x, amount, FAMILIES["poisson"]).coefficients == pytest.approx([np.log(2.5), 1, 0], abs=1e-8)


def test_counts_in_the_billions() -> None:
    """The slope does not depend on the unit; the intercept moves by its logarithm."""
    x, y = drawn("poisson")
    small, large = glm(x, y, FAMILIES["poisson"]), glm(x, 1e9 * y, FAMILIES["poisson"])
    assert large.problem is None
    assert large.coefficients == pytest.approx(small.coefficients + np.array([np.log(1e9), 0, 0]), rel=1e-8)
