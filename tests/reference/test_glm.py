"""Standardised generalised linear models against statsmodels with margins written out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm

from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec
from whence.stats.glm import FAMILIES

SPEC = Spec("adjustment", ("t",), ("y",), controls=("x",))
LINKS = sm.families.links
PEERS: dict[str, Any] = {
    "logit": sm.families.Binomial(), "probit": sm.families.Binomial(LINKS.Probit()),
    "cloglog": sm.families.Binomial(LINKS.CLogLog()), "poisson": sm.families.Poisson(),
}
every_family = pytest.mark.parametrize("family", PEERS)


def drawn(family: str, n: int = 400, seed: int = 0, dose: bool = False) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    t = 0.5 * x + rng.normal(size=n) if dose else (rng.random(n) < 1 / (1 + np.exp(-0.5 * x))).astype(int)
    mean = FAMILIES[family].mean(-0.4 + 0.5 * t + 0.4 * x)[0]
    y = (rng.random(n) < mean).astype(int) if FAMILIES[family].binary else rng.poisson(mean)
    return {"t": t, "x": x, "y": y, "c": np.arange(n) // 8}


def answered(columns: Any, spec: Spec = SPEC, **params: Any) -> Effect:
    effect = estimate(columns, spec, "glm", **params)
    assert isinstance(effect, Effect), effect
    return effect


def standardised(columns: dict[str, Any], family: str, quantity: str, rows: Any = slice(None)) -> float:
    """Fit each arm with statsmodels and average its predictions."""
    t, x, y = (np.asarray(columns[n])[rows] for n in "txy")
    whom = {"ATE": t >= 0, "ATT": t == 1, "ATC": t == 0}[quantity]
    design = sm.add_constant(x)
    means = [sm.GLM(y[t == a], design[t == a], PEERS[family]).fit(tol=1e-9, maxiter=300).predict(design[whom]).mean()
             for a in (0, 1)]
    return float(means[1] - means[0])


@every_family
@pytest.mark.parametrize("quantity", ["ATE", "ATT", "ATC"])
def test_estimates(family: str, quantity: Any) -> None:
    columns = drawn(family)
    effect = answered(columns, SPEC.replace(quantity=quantity), family=family, degree=1, interactions=True)
    assert effect.estimate == pytest.approx(standardised(columns, family, quantity), abs=1e-7)


@pytest.mark.parametrize(("family", "quantity"), [
    ("logit", "ATE"), ("logit", "ATT"), ("poisson", "ATT"), ("cloglog", "ATE")])
def test_errors_are_close_to_the_jackknife(family: str, quantity: Any) -> None:
    """Rows left out one by one, which the sandwich with HC3 resembles most."""
    columns = drawn(family, 110, 3)
    left = np.array([standardised(columns, family, quantity, np.arange(110) != i) for i in range(110)])
    jackknife = np.sqrt(109 / 110 * ((left - left.mean()) ** 2).sum())
    effect = answered(columns, SPEC.replace(quantity=quantity), family=family, degree=1, interactions=True)
    assert effect.standard_error == pytest.approx(jackknife, rel=0.03)


@pytest.mark.parametrize("clusters", [False, True])
def test_without_interactions_the_delta_method_by_hand(clusters: bool) -> None:
    columns = drawn("logit", seed=4)
    n, t, x = 400, columns["t"], columns["x"]
    design = np.column_stack([np.ones(n), x, t])
    kwargs: dict[str, Any] = {"cov_type": "cluster", "cov_kwds": {"groups": columns["c"]}} if clusters else {
        "cov_type": "HC0"}
    fit = sm.Logit(columns["y"], design).fit(disp=0, **kwargs)
    ends = [np.column_stack([np.ones(n), x, np.full(n, a)]) for a in (0, 1)]
    p = [1 / (1 + np.exp(-d @ fit.params)) for d in ends]
    gradient = sum(s * ((q * (1 - q)) @ d / n) for s, q, d in zip((-1, 1), p, ends, strict=True))
    effects = p[1] - p[0]
    effect = answered(columns, SPEC.replace(cluster="c") if clusters else SPEC, degree=1, interactions=False,
                      covariance="CR1" if clusters else "HC0")
    assert effect.estimate == pytest.approx(effects.mean(), abs=1e-9)
    # Scores and sampled covariates are summed row by row, so their covariance counts too.
    bread = np.linalg.inv(design.T @ (design * (fit.predict() * (1 - fit.predict()))[:, None]))
    factor = np.sqrt(50 / 49 * 399 / 397) if clusters else 1.0
    psi = n * (design @ bread @ gradient) * (columns["y"] - fit.predict()) * factor + effects - effects.mean()
    sums = np.bincount(columns["c"], psi) if clusters else psi
    assert effect.standard_error == pytest.approx(np.sqrt(sums @ sums) / n)


@every_family
def test_a_dose_has_its_average_slope(family: str) -> None:
    columns = drawn(family, 100, seed=5, dose=True)
    design = np.column_stack([np.ones(100), columns["x"], columns["t"]])
    fit = sm.GLM(columns["y"], design, PEERS[family]).fit(tol=1e-9, maxiter=300)
    slope = FAMILIES[family].mean(design @ fit.params)[1]
    effect = answered(columns, family=family, degree=1)
    assert effect.estimate == pytest.approx((slope * fit.params[2]).mean(), abs=1e-6)

    def again(rows: np.ndarray) -> float:
        one = sm.GLM(columns["y"][rows], design[rows], PEERS[family]).fit(tol=1e-9, maxiter=300)
        return float((FAMILIES[family].mean(design[rows] @ one.params)[1] * one.params[2]).mean())

    left = np.array([again(np.arange(100) != i) for i in range(100)])
    jackknife = np.sqrt(99 / 100 * ((left - left.mean()) ** 2).sum())
    assert effect.standard_error == pytest.approx(jackknife, rel=0.1)


def test_ratios_in_a_two_by_two_table() -> None:
    """Without controls: the risk ratio and odds ratio of the table, with the textbook's log errors."""
    a, b, c, d = 30, 20, 18, 42  # treated with and without, controls with and without
    columns = {"t": np.repeat([1, 1, 0, 0], [a, b, c, d]), "y": np.repeat([1, 0, 1, 0], [a, b, c, d])}
    effect = answered(columns, Spec("rct", ("t",), ("y",)), covariance="HC0")
    told = effect.diagnostics["means"]["1 vs 0"]
    assert told["ratio"]["estimate"] == pytest.approx((a / (a + b)) / (c / (c + d)))
    assert told["odds_ratio"]["estimate"] == pytest.approx(a * d / (b * c))
    log_error = np.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
    low, high = told["odds_ratio"]["interval"]
    assert np.log(high / low) / 2 == pytest.approx(1.959964 * log_error, rel=1e-6)
    assert effect.estimate == pytest.approx(a / (a + b) - c / (c + d))
