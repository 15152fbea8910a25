"""Several treatments at once, against statsmodels and the formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from whence.estimation.estimate import estimate
from whence.estimation.joint_slopes import joint_slopes
from whence.identification.spec import Spec
from whence.stats.resample import folds

RNG = np.random.default_rng(31)
N = 400
X = RNG.normal(size=(N, 2))
Z = RNG.normal(size=(N, 3))
HIDDEN = RNG.normal(size=N)
GROUPS = RNG.integers(0, 60, N)
WEIGHTS = RNG.uniform(0.3, 3, N)
DOSE = X[:, 0] + Z @ [1.0, 0.3, 0.5] + HIDDEN + RNG.normal(size=N)
ARM = (X[:, 1] + Z @ [0.0, 1.5, 1.0] + HIDDEN + RNG.normal(size=N) > 0).astype(int)
Y = 2.0 * DOSE - 1.0 * ARM + X @ [1.0, 0.5] + HIDDEN + RNG.normal(size=N) * (1 + ARM)
COLUMNS = {"d": DOSE, "t": ARM, "y": Y, "a": X[:, 0], "b": X[:, 1], "z1": Z[:, 0], "z2": Z[:, 1], "z3": Z[:, 2],
           "g": GROUPS, "w": WEIGHTS}
SPEC = Spec("adjustment", ("d", "t"), ("y",), controls=("a", "b"))
IV = SPEC.replace(strategy="iv", quantity="LATE", instruments=("z1", "z2", "z3"))
LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear"}
TOLERANCE = 1e-9


@pytest.fixture
def table(make_table):
    return make_table(COLUMNS, t="binary", g="count")


def same(effect, estimates, errors, tolerance=TOLERANCE):
    assert [c.label for c in effect.comparisons] == ["d", "t"]
    assert [c.estimate for c in effect.comparisons] == pytest.approx(estimates, rel=tolerance)
    assert [c.standard_error for c in effect.comparisons] == pytest.approx(errors, rel=tolerance)


@pytest.mark.parametrize("covariance", ["HC0", "HC1", "HC2", "HC3"])
def test_regression_as_in_statsmodels(table, covariance):
    fit = sm.OLS(Y, sm.add_constant(np.column_stack([DOSE, ARM, X]))).fit(cov_type=covariance)
    effect = estimate(table, SPEC, "regression", degree=1, covariance=covariance)
    same(effect, fit.params[1:3], fit.bse[1:3])
    joint = fit.f_test(np.eye(5)[1:3])
    assert effect.diagnostics["joint_test"]["statistic"] / 2 == pytest.approx(float(joint.fvalue), rel=TOLERANCE)


def test_weighted_and_clustered_regression_as_in_statsmodels(table):
    fit = sm.WLS(Y, sm.add_constant(np.column_stack([DOSE, ARM, X])), WEIGHTS).fit(
        cov_type="cluster", cov_kwds={"groups": GROUPS})
    effect = estimate(table, SPEC.replace(cluster="g", weights="w"), "regression", degree=1, covariance="CR1")
    same(effect, fit.params[1:3], fit.bse[1:3])


def test_interactions_are_taken_at_the_average_of_the_controls(make_table):
    other = (X[:, 0] + RNG.normal(size=N) > 0).astype(int)
    table = make_table({"d": other, "t": ARM, "y": Y, "a": X[:, 0], "b": X[:, 1]}, t="binary", d="binary")
    x = X - X.mean(axis=0)
    design = sm.add_constant(np.column_stack([other, ARM, x, other[:, None] * x, ARM[:, None] * x]))
    fit = sm.OLS(Y, design).fit()
    effect = estimate(table, SPEC, "regression", degree=1)
    assert effect.diagnostics["interactions"]
    assert [c.estimate for c in effect.comparisons] == pytest.approx(fit.params[1:3], rel=TOLERANCE)


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_partially_linear_by_hand(make_table, weighted, clustered):
    """A second dose; the errors by leaving out a row or cluster at a time, without fitting the nuisances again."""
    second = 0.5 * DOSE + X[:, 1] + np.random.default_rng(3).normal(size=N)
    table = make_table(COLUMNS | {"t": second}, g="count")
    spec = SPEC.replace(cluster="g" if clustered else None, weights="w" if weighted else None)
    effect = estimate(table, spec, "partially_linear", 4, n_splits=1, n_folds=4, **LINEAR)
    groups = GROUPS if clustered else np.arange(N)
    fold = folds(4, np.zeros(N, dtype=int), GROUPS if clustered else None, 4, 0)
    w = WEIGHTS / WEIGHTS.mean() if weighted else np.ones(N)
    x, left = sm.add_constant(X), []
    for values in (Y, DOSE, second):
        rest = np.empty(N)
        for k in range(4):
            train, test = fold != k, fold == k
            rest[test] = values[test] - sm.WLS(values[train], x[train], w[train]).fit().predict(x[test])
        left.append(rest)
    u, v = left[0], np.column_stack(left[1:])
    theta = sm.WLS(u, v, w).fit().params
    moves = [sm.WLS(u[groups != g], v[groups != g], w[groups != g]).fit().params - theta for g in np.unique(groups)]
    factor = len(moves) / (len(moves) - 1) if clustered else 1.0
    same(effect, theta, np.sqrt(factor * (np.array(moves) ** 2).sum(axis=0)), 1e-8)


def two_stages(d, z, x, w=None):
    """Coefficients, their residuals and what multiplies the scores, by the normal equations."""
    root = np.ones((N, 1)) if w is None else np.sqrt(w / w.mean())[:, None]
    regressors, instruments = (root * np.column_stack([np.ones(N), *part]) for part in ((x.T[0], x.T[1], *d.T),
                                                                                        (x.T[0], x.T[1], *z.T)))
    y = root[:, 0] * Y
    fitted = instruments @ np.linalg.solve(instruments.T @ instruments, instruments.T @ regressors)
    bread = np.linalg.inv(fitted.T @ regressors)
    beta = bread @ fitted.T @ y
    return beta, y - regressors @ beta, fitted, bread


@pytest.mark.parametrize("instruments", [("z1", "z2"), ("z1", "z2", "z3")])
def test_two_stage_least_squares_by_hand(table, instruments):
    """HC1 as in linearmodels' IV2SLS with debiased robust errors: n / (n - k) times the sandwich."""
    d, z = np.column_stack([DOSE, ARM]), Z[:, : len(instruments)]
    beta, rest, fitted, bread = two_stages(d, z, X)
    meat = sum(rest[i] ** 2 * np.outer(fitted[i], fitted[i]) for i in range(N))
    errors = np.sqrt(np.diagonal(N / (N - 5) * bread @ meat @ bread.T))
    same(estimate(table, IV.replace(instruments=instruments), covariance="HC1"), beta[3:], errors[3:])


def test_clustered_and_weighted_two_stages_by_hand(table):
    beta, rest, fitted, bread = two_stages(np.column_stack([DOSE, ARM]), Z, X, WEIGHTS)
    names = np.unique(GROUPS)
    sums = [(fitted * rest[:, None])[g == GROUPS].sum(axis=0) for g in names]
    factor = len(names) / (len(names) - 1) * (N - 1) / (N - 5)
    errors = np.sqrt(np.diagonal(factor * bread @ sum(np.outer(s, s) for s in sums) @ bread.T))
    same(estimate(table, IV.replace(cluster="g", weights="w"), covariance="CR1"), beta[3:], errors[3:])


def left_of(values, by):
    return values - by @ np.linalg.lstsq(by, values, rcond=None)[0]


def test_strength_and_agreement_of_the_instruments_by_hand(table):
    """Sanderson and Windmeijer's F in its two steps, and Hansen's J by the efficient weights."""
    found = estimate(table, IV).diagnostics
    x = sm.add_constant(X)
    y, d, z = left_of(Y, x), left_of(np.column_stack([DOSE, ARM]), x), left_of(Z, x)
    for j, name in enumerate(("d", "t")):
        fitted = z @ np.linalg.solve(z.T @ z, z.T @ d[:, 1 - j])
        gap = d[:, j] - d[:, 1 - j] * (fitted @ d[:, j]) / (fitted @ d[:, 1 - j])
        along = z @ np.linalg.solve(z.T @ z, z.T @ gap)
        f = (along @ along / 2) / ((gap - along) @ (gap - along) / (N - 3 - 3))
        assert found["conditional_f"][name] == pytest.approx(f, rel=TOLERANCE)
    _, rest, _, _ = two_stages(np.column_stack([DOSE, ARM]), Z, X)
    weight = np.linalg.inv((z * rest[:, None] ** 2).T @ z)
    to = z.T @ d
    best = np.linalg.solve(to.T @ weight @ to, to.T @ weight @ z.T @ y)
    j = (z.T @ (y - d @ best)) @ weight @ (z.T @ (y - d @ best))
    assert found["hansen_j"] == pytest.approx(j, rel=1e-7)


@pytest.mark.parametrize("estimator", ["liml", "fuller"])
def test_limited_information_by_hand(table, estimator):
    """kappa as the smallest root of det(W'W - kappa W'MW), found by its generalised eigenvalues."""
    from scipy.linalg import eigh

    x = sm.add_constant(X)
    y, d, z = left_of(Y, x), left_of(np.column_stack([DOSE, ARM]), x), left_of(Z, x)
    both = np.column_stack([y, d])
    kappa = eigh(both.T @ both, left_of(both, z).T @ left_of(both, z), eigvals_only=True)[0]
    kappa -= 1 / (N - 6) if estimator == "fuller" else 0
    inner = d - kappa * left_of(d, z)
    expected = np.linalg.solve(inner.T @ d, inner.T @ y)
    effect = estimate(table, IV, estimator=estimator)
    assert [c.estimate for c in effect.comparisons] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("clustered", [False, True])
def test_degrees_of_freedom_of_joint_slopes(clustered):
    """Mean and variance of the squared errors under normal noise, drawn: Satterthwaite's degrees of freedom."""
    rng = np.random.default_rng(2)
    v = rng.normal(size=(60, 2)) * np.exp(rng.normal(size=(60, 1)))
    groups = np.repeat(np.arange(12), 5) if clustered else None
    square = np.array([
        (cluster_totals(joint_slopes(noise, v, np.ones(60), groups).influence, groups) ** 2).sum(axis=0)
        for noise in rng.normal(size=(8_000, 60))])
    known = 2 * square.mean(axis=0) ** 2 / square.var(axis=0)
    assert joint_slopes(v[:, 0], v, np.ones(60), groups).df == pytest.approx(known, rel=0.08)


def cluster_totals(values, groups):
    if groups is None:
        return values
    return np.array([values[groups == g].sum(axis=0) for g in np.unique(groups)])
