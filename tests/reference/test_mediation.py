"""Mediation against models enumerated in full, formulas written again, and statsmodels' simulation of linear ones."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from whence.data.load import read
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.estimation.mediation import fieller
from whence.identification.spec import Spec

SPEC = Spec("adjustment", ("x",), ("y",), quantity="NDE", mediators=("m",), controls=("c",))


class Model:
    """Binary c -> x -> m -> y with every arrow among them; tables of chances."""

    def __init__(self, rng: np.random.Generator, levels: int = 2) -> None:
        self.c = 0.3 + 0.4 * rng.random()
        self.x = 0.25 + 0.5 * rng.random(2)
        self.m = rng.dirichlet(np.full(levels, 5.0), (2, 2))  # by c, x
        self.y = 0.1 + 0.8 * rng.random((2, 2, levels))

    def draw(self, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        c = (rng.random(n) < self.c).astype(int)
        x = (rng.random(n) < self.x[c]).astype(int)
        m = (rng.random(n)[:, None] > np.cumsum(self.m[c, x], axis=1)).sum(axis=1)
        y = (rng.random(n) < self.y[c, x, m]).astype(int)
        return {"c": c, "x": x, "m": m, "y": y}

    def mean(self, own: int, through: int) -> float:
        """E[Y(own, M(through))]."""
        return sum(p * self.m[c, through] @ self.y[c, own] for c, p in ((0, 1 - self.c), (1, self.c)))

    def controlled(self, m: int) -> float:
        return sum(p * (self.y[c, 1, m] - self.y[c, 0, m]) for c, p in ((0, 1 - self.c), (1, self.c)))

    def truth(self) -> dict[str, float]:
        one, zero = self.mean(1, 1), self.mean(0, 0)
        past, by = self.mean(1, 0), self.mean(0, 1)
        controlled = self.controlled(0)
        # VanderWeele (2014), the four parts written out over the levels of the mediator.
        reference = mediated = 0.0
        for c, p in ((0, 1 - self.c), (1, self.c)):
            for m in range(self.m.shape[2]):
                both = self.y[c, 1, m] - self.y[c, 0, m] - self.y[c, 1, 0] + self.y[c, 0, 0]
                reference += p * both * self.m[c, 0, m]
                mediated += p * both * (self.m[c, 1, m] - self.m[c, 0, m])
        return {"total effect": one - zero, "natural direct effect": past - zero, "total indirect effect": one - past,
                "total direct effect": one - by, "natural indirect effect": by - zero, "mediated interaction": mediated,
                "controlled direct effect, m = 0": controlled, "reference interaction": reference}


def answered(columns, spec=SPEC, **params) -> Effect:
    effect = estimate(read(columns, kinds={"m": "categorical"} if "m" in columns else None), spec, **params)
    assert isinstance(effect, Effect), effect
    return effect


def plug_in(columns: dict[str, np.ndarray], own: int, through: int) -> float:
    """The mediation formula on the shares of the sample, by loops."""
    c, x, m, y = (columns[k] for k in "cxmy")
    total = 0.0
    for k, level in itertools.product(np.unique(c), np.unique(m)):
        cell = (c == k) & (x == own) & (m == level)
        arm = (c == k) & (x == through)
        total += y[cell].mean() * (m[arm] == level).mean() * (c == k).mean()
    return total


@pytest.mark.parametrize("seed", range(2))
def test_all_parts_of_an_enumerated_model(seed: int) -> None:
    rng = np.random.default_rng([seed, 1])
    model = Model(rng)
    effect = answered(model.draw(6_000, rng), outcome_learner="boosting", treatment_learner="boosting", n_splits=1,
                      n_folds=2)
    truth = model.truth()
    assert {c.label for c in effect.comparisons} == set(truth)
    for c in effect.comparisons:  # four standard errors, eight numbers in two models
        assert abs(c.estimate - truth[c.label]) < 4 * c.standard_error < 0.11, c
    part = {c.label: c.estimate for c in effect.comparisons}
    total = part["total effect"]
    assert np.isclose(part["natural direct effect"] + part["total indirect effect"], total)
    assert np.isclose(part["total direct effect"] + part["natural indirect effect"], total)
    four = ("controlled direct effect, m = 0", "reference interaction", "mediated interaction",
            "natural indirect effect")
    assert np.isclose(sum(part[label] for label in four), total)


def test_no_controls_is_the_plug_in_formula() -> None:
    """Without controls and with few values everything is saturated: the formula on shares, to within the folds."""
    rng = np.random.default_rng(5)
    columns = Model(rng, 3).draw(6_000, rng) | {"c": np.zeros(6_000, dtype=int)}
    spec = SPEC.replace(strategy="rct", controls=())
    effect = answered({k: columns[k] for k in "xmy"}, spec, outcome_learner="linear", treatment_learner="linear")
    part = {c.label: c.estimate for c in effect.comparisons}
    mean = {(a, b): plug_in(columns, a, b) for a in (0, 1) for b in (0, 1)}
    assert abs(part["natural direct effect"] - (mean[1, 0] - mean[0, 0])) < 0.002
    assert abs(part["natural indirect effect"] - (mean[0, 1] - mean[0, 0])) < 0.002
    assert abs(part["total effect"] - (mean[1, 1] - mean[0, 0])) < 0.002


def test_linear_model_beside_statsmodels() -> None:
    """With linear equations without interaction NDE and NIE are products of coefficients; statsmodels simulates."""
    import pandas as pd
    import statsmodels.api as sm
    from statsmodels.stats.mediation import Mediation

    rng = np.random.default_rng(8)
    n = 4_000
    c = rng.normal(size=n)
    x = (rng.random(n) < 1 / (1 + np.exp(-c))).astype(float)
    m = 0.8 * x + 0.5 * c + rng.normal(size=n)
    y = 0.5 * x + 0.7 * m + c + rng.normal(size=n)
    frame = pd.DataFrame({"x": x, "m": m, "y": y, "c": c})
    peer = Mediation(sm.OLS.from_formula("y ~ x + m + c", frame), sm.OLS.from_formula("m ~ x + c", frame), "x", "m")
    np.random.seed(0)  # noqa: NPY002
    theirs = peer.fit(n_rep=300).summary()
    effect = estimate(read({"x": x.astype(int), "m": m, "y": y, "c": c}), SPEC, outcome_learner="linear",
                      treatment_learner="linear")
    assert isinstance(effect, Effect)
    part = {one.label: one for one in effect.comparisons}
    for ours, row, truth in (("natural direct effect", "ADE (control)", 0.5),
                             ("natural indirect effect", "ACME (control)", 0.56)):
        assert abs(part[ours].estimate - truth) < 3 * part[ours].standard_error
        assert abs(part[ours].estimate - theirs.loc[row, "Estimate"]) < 2.5 * part[ours].standard_error


def test_fieller_by_search() -> None:
    covariance = np.array([0.04, 0.01, 0.03])
    low, high = fieller(0.5, 1.0, covariance, 1.96) or (np.nan, np.nan)
    grid = np.linspace(-3, 5, 80_001)
    gap = np.abs(0.5 - grid) / np.sqrt(covariance[0] - 2 * grid * covariance[1] + grid**2 * covariance[2])
    inside = grid[gap <= 1.96]
    assert np.allclose([low, high], [inside.min(), inside.max()], atol=2e-4)
    assert fieller(0.5, 0.1, covariance, 1.96) is None
