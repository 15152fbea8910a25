"""Covariances of least squares written out by loops over rows, clusters and pairs; statsmodels where it has them."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

from whence.core.rng import generator
from whence.data.load import read
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec
from whence.stats.cluster_robust import bias_reduced, orthonormal
from whence.stats.conley import EARTH_KM, Spatial
from whence.stats.newey_west import Serial, automatic_lags
from whence.stats.regress import covariance_matrix, influence, ols
from whence.stats.two_way import TwoWay
from whence.stats.wild_bootstrap import SIX, wild_cluster

RNG = np.random.default_rng(5)
N, G = 90, 9
C = np.repeat(np.arange(G), np.arange(2, 2 * G + 1, 2))
H = RNG.integers(0, 7, N)
X = np.column_stack([np.ones(N), RNG.normal(size=(N, 2)), RNG.normal(size=G)[C]])
Y = X @ [1, 2, 0, 1] + RNG.normal(size=G)[C] + RNG.normal(size=N)
W = RNG.uniform(0.5, 2.0, N)
FIT = ols(X, Y, W)
ROOT = np.sqrt(W)
PICK = np.eye(4)[[1, 3]]
A = ROOT[:, None] * (X @ FIT.bread @ PICK.T)  # the estimates are A' (ROOT * Y)
E = ROOT * FIT.residuals
HAT = (ROOT[:, None] * X) @ FIT.bread @ (ROOT[:, None] * X).T
BASE = {"t": X[:, 1], "y": Y, "a": X[:, 2], "b": X[:, 3], "c": C.astype(float), "h": H.astype(float)}
SPEC = Spec("adjustment", ("t",), ("y",), controls=("a", "b"))


def table(**more):
    return read(BASE | more, kinds={"c": "categorical", "h": "categorical"})


def answered(spec=SPEC, more=None, **params):
    found = estimate(table(**(more or {})), spec, "regression", degree=1, **params)
    assert found, found
    return found


def power(matrix, exponent):
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(values**exponent) @ vectors.T


@pytest.mark.parametrize(("kind", "exponent", "factor"), [("CR2", -0.5, 1.0), ("CR3", -1.0, (G - 1) / G)])
def test_bias_reduced_by_loops(kind, exponent, factor):
    found = bias_reduced(orthonormal(FIT), A, E, C, kind)
    covariance, rows = np.zeros((2, 2)), []
    for g in range(G):
        inside = g == C
        adjust = power(np.eye(inside.sum()) - HAT[np.ix_(inside, inside)], exponent)
        score = A[inside].T @ adjust @ E[inside]
        covariance += factor * np.outer(score, score)
        rows.append(A[inside].T @ adjust @ (np.eye(N) - HAT)[inside])
    rows = np.array(rows)  # (G, 2, N): what each cluster's score is of independent errors
    for j in range(2):
        gram = rows[:, j] @ rows[:, j].T
        assert found.df[j] == pytest.approx(np.trace(gram) ** 2 / np.trace(gram @ gram))
    np.testing.assert_allclose(covariance_matrix(found.values, C), covariance, rtol=1e-9)
    assert found.decided == 0


def test_cr2_is_unbiased_for_independent_rows():
    """E[(a_g' A_g e_g)^2] summed over clusters is a'a when the errors are independent with variance one."""
    total = np.zeros(2)
    for g in range(G):
        inside = g == C
        adjust = power(np.eye(inside.sum()) - HAT[np.ix_(inside, inside)], -0.5)
        scores = A[inside].T @ adjust @ (np.eye(N) - HAT)[inside]
        total += (scores**2).sum(axis=1)
    np.testing.assert_allclose(total, (A**2).sum(axis=0), rtol=1e-10)


def test_a_cluster_that_decides_a_column_is_counted():
    x = np.column_stack([X, C == 3])
    fit = ols(x, Y)
    found = bias_reduced(orthonormal(fit), x @ fit.bread @ np.eye(5)[[1]].T, fit.residuals, C, "CR2")
    assert found.decided == 1 and np.isfinite(found.values).all() and found.df[0] > 1


def test_single_rows_as_clusters_are_hc2_and_hc3():
    fit = ols(X, Y)
    q, direction = orthonormal(fit), X @ fit.bread @ PICK.T
    for kind, rows, factor in (("CR2", "HC2", 1.0), ("CR3", "HC3", (N - 1) / N)):
        got = covariance_matrix(bias_reduced(q, direction, fit.residuals, np.arange(N), kind).values)
        np.testing.assert_allclose(got, factor * covariance_matrix(influence(fit, PICK, rows)), rtol=1e-9)


def test_the_jackknife_is_cr3():
    """(G - 1) / G sum_g (b_(g) - b)^2 with clusters left out (MacKinnon, Nielsen and Webb 2023, equation 13)."""
    total = 0.0
    for g in range(G):
        out = g != C
        total += (ols(X[out], Y[out], W[out]).coefficients[1] - FIT.coefficients[1]) ** 2
    found = bias_reduced(orthonormal(FIT), A, E, C, "CR3")
    assert covariance_matrix(found.values, C)[0, 0] == pytest.approx((G - 1) / G * total)


def test_two_way_as_statsmodels():
    fit = sm.OLS(Y, X).fit()
    expected = cov_cluster_2groups(fit, C, H)[0][1, 1]
    found = answered(SPEC.replace(cluster="c"), covariance="two_way", also_cluster="h")
    one_way = [sm.OLS(Y, X).fit(cov_type="cluster", cov_kwds={"groups": g}).bse[1] ** 2 for g in (C, H)]
    assert found.standard_error**2 == pytest.approx(max(expected, *one_way))
    assert found.df == min(G, len(np.unique(H))) - 1
    assert found.diagnostics["covariance"] == "two_way" and "'h'" in found.errors


def test_two_way_by_pairs_of_rows():
    values = RNG.normal(size=(N, 2)) + RNG.normal(size=(G, 2))[C] + RNG.normal(size=(7, 2))[H]
    got = TwoWay(C, H, ("c", "h")).products(values * np.sqrt(G / (G - 1)))
    both = len({(a, b) for a, b in zip(C, H, strict=True)})
    total = np.zeros((2, 2))
    for i in range(N):
        for j in range(N):
            weight = (C[i] == C[j]) * G / (G - 1) + (H[i] == H[j]) * 7 / 6
            weight -= (C[i] == C[j] and H[i] == H[j]) * both / (both - 1)
            total += weight * np.outer(values[i], values[j])
    np.testing.assert_allclose(got, total * G / (G - 1) / (G / (G - 1)), rtol=1e-9)


@pytest.mark.parametrize("lags", [0, 1, 4])
def test_newey_west_as_statsmodels(lags):
    shuffled = np.random.default_rng(1).permutation(N)
    found = estimate(table(time=np.arange(N)).take(shuffled), SPEC.replace(time="time"), "regression", degree=1,
                     covariance="hac", lags=lags)
    bare = sm.OLS(Y, X).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True}).bse[1]
    # ours has one factor more, for what centring takes from the autocovariances
    ones = np.ones((N, 1))
    factor = Serial(C * 0, np.arange(N), lags, "").products(ones)[0, 0] / kernel_sum(N, lags)
    assert found.standard_error == pytest.approx(bare * np.sqrt(factor))


def kernel_sum(n, lags):
    """The sum of the Bartlett weights over all pairs of n rows."""
    return n + 2 * sum((1 - k / (lags + 1)) * (n - k) for k in range(1, lags + 1))


def test_lags_within_units_and_over_gaps():
    """By pairs of rows: same unit, at most two periods apart; years are missing here and there."""
    unit, year = np.arange(40) % 4, 2000 + (np.arange(40) // 4)
    keep = np.random.default_rng(2).random(40) < 0.7
    unit, year = unit[keep], year[keep]
    values = np.random.default_rng(3).normal(size=(len(unit), 2))
    made = Serial(unit, year - 2000, 2, "year")
    weight = np.array([[(a == b) * max(0.0, 1 - abs(s - t) / 3) for b, t in zip(unit, year, strict=True)]
                       for a, s in zip(unit, year, strict=True)])
    n = len(unit)
    centring = np.eye(n) - 1 / n
    white = centring @ weight @ centring
    factor, df = (n - 1) / np.trace(white), np.trace(white) ** 2 / np.trace(white @ white)
    np.testing.assert_allclose(made.products(values), factor * values.T @ weight @ values, rtol=1e-10)
    assert made.df == pytest.approx(df)


def test_conley_by_pairs_of_rows():
    lat, lon = RNG.uniform(-60, 70, N), RNG.uniform(-180, 180, N)
    values = RNG.normal(size=(N, 2))
    p, q = np.deg2rad(lat), np.deg2rad(lon)
    # haversine, not the chord that the code uses
    a = np.sin((p[:, None] - p) / 2) ** 2 + np.cos(p)[:, None] * np.cos(p) * np.sin((q[:, None] - q) / 2) ** 2
    km = 2 * EARTH_KM * np.arcsin(np.sqrt(np.minimum(a, 1)))
    centring = np.eye(N) - 1 / N
    for kernel, weight in (("bartlett", np.maximum(1 - km / 3000, 0)), ("uniform", (km <= 3000) * 1.0)):
        made = Spatial(lat, lon, 3000.0, kernel)
        white = centring @ weight @ centring
        factor = (N - 1) / np.trace(white)
        np.testing.assert_allclose(made.products(values), factor * values.T @ weight @ values, rtol=1e-6)
        assert made.df == pytest.approx(np.trace(white) ** 2 / np.trace(white @ white), rel=1e-6)


def test_fixed_b_critical_values():
    """Kiefer and Vogelsang (2005), table 1, Bartlett, 97.5 %: 1.96 + 2.9694 b + 0.4160 b^2 - 0.5324 b^3."""
    from scipy.special import stdtrit

    n = 1000
    for b in (0.02, 0.05, 0.1, 0.2):
        made = Serial(np.zeros(n, dtype=int), np.arange(n), int(b * n) - 1, "t")
        factor = made.products(np.ones((n, 1)))[0, 0] / kernel_sum(n, int(b * n) - 1)
        ours = stdtrit(made.df, 0.975) * np.sqrt(factor)
        assert ours == pytest.approx(1.96 + 2.9694 * b + 0.4160 * b**2 - 0.5324 * b**3, rel=0.03)


def test_automatic_lags():
    assert [automatic_lags(k) for k in (2, 50, 200, 800)] == [1, 10, 19, 37]


def refit_p_value(null, draws, rng):
    """The restricted wild cluster bootstrap (WCR-S) as it is defined: a new outcome and fit for every draw."""
    rest = np.delete(X, 1, 1)
    restricted = ols(rest, Y - null * X[:, 1], W)
    fitted = rest @ restricted.coefficients + null * X[:, 1]
    hat = (ROOT[:, None] * rest) @ restricted.bread @ (ROOT[:, None] * rest).T
    drawn = np.zeros(N)
    for g in range(G):
        inside = g == C
        block = np.eye(inside.sum()) - hat[np.ix_(inside, inside)]
        drawn[inside] = np.linalg.solve(block, (ROOT * restricted.residuals)[inside]) / ROOT[inside]

    def t_value(outcome):
        fit = ols(X, outcome, W)
        values = influence(fit, PICK[:1], "HC0", C)
        return (fit.coefficients[1] - null) / np.sqrt(covariance_matrix(values, C)[0, 0])

    actual = abs(t_value(Y))
    beyond = sum(abs(t_value(fitted + SIX[rng.integers(6, size=G)][C] * drawn)) >= actual for _ in range(draws))
    return (1 + beyond) / (1 + draws)


def test_wild_bootstrap_by_refits():
    found = wild_cluster(orthonormal(FIT), A[:, 0], E, C, FIT.coefficients[1], 0.8, 20_000, generator(0, "wild"))
    rng = np.random.default_rng(4)
    for end in found.interval:  # at the ends of the 80 % interval the p-value is 20 %; three errors of 600 draws
        assert refit_p_value(end, 600, rng) == pytest.approx(0.2, abs=0.05)
    assert found.weights == "webb" and not found.complete
    null = FIT.coefficients[1] * 0.9
    shifted = wild_cluster(orthonormal(FIT), A[:, 0], E, C, FIT.coefficients[1] - null, 0.8, 20_000,
                           generator(0, "wild"))
    assert refit_p_value(null, 600, rng) == pytest.approx(shifted.p_value, abs=0.06)


def test_wild_bootstrap_enumerates_few_clusters():
    few = C % 4
    fit = ols(X[:, :2], Y)
    q, a = orthonormal(fit), X[:, :2] @ fit.bread[:, 1]
    found = [wild_cluster(q, a, fit.residuals, few, fit.coefficients[1], 0.9, 9999, generator(k, "wild"))
             for k in (0, 1)]
    assert found[0].complete and found[0].draws == 6**4 and found[0] == found[1]
    signs = wild_cluster(q, a, fit.residuals, np.arange(N) % 13, fit.coefficients[1], 0.9, 9999, generator(0, "wild"))
    assert signs.complete and signs.draws == 2**13 and signs.weights == "rademacher"


COUNTS = RNG.integers(1, 5, N)


@pytest.mark.parametrize("covariance", ["HC0", "HC1", "HC2", "HC3"])
@pytest.mark.parametrize("quantity", ["ATE", "ATT"])
def test_frequency_weights_are_rows_written_out(covariance, quantity):
    treated = (X[:, 1] > 0).astype(float)
    columns = BASE | {"t": treated, "k": COUNTS.astype(float)}
    spec = SPEC.replace(quantity=quantity)
    short = estimate(read(columns, kinds={"t": "binary"}), spec.replace(weights="k"), "regression",
                     covariance=covariance, weights_are="frequency", interactions=True)
    long = estimate(read({k: np.repeat(v, COUNTS) for k, v in columns.items()}, kinds={"t": "binary"}), spec,
                    "regression", covariance=covariance, interactions=True)
    assert short.estimate == pytest.approx(long.estimate, rel=1e-9)
    assert short.standard_error == pytest.approx(long.standard_error, rel=1e-9)
    assert short.df == long.df and short.interval == pytest.approx(long.interval)


@pytest.mark.parametrize("covariance", ["CR1", "CR2", "CR3", "wild"])
def test_frequency_weights_by_cluster(covariance):
    columns = BASE | {"k": COUNTS.astype(float)}
    kinds = {"c": "categorical"}
    spec = SPEC.replace(cluster="c")
    short = estimate(read(columns, kinds=kinds), spec.replace(weights="k"), "regression", degree=1,
                     covariance=covariance, weights_are="frequency")
    long = estimate(read({k: np.repeat(v, COUNTS) for k, v in columns.items()}, kinds=kinds), spec, "regression",
                    degree=1, covariance=covariance)
    assert short.standard_error == pytest.approx(long.standard_error, rel=1e-8)
    assert short.interval == pytest.approx(long.interval, rel=1e-6)


def test_inverse_variance_weights_do_not_change_whom_the_effect_is_about():
    """Two groups with effects 1 and 3, and all the weight on the first."""
    rng = np.random.default_rng(0)
    n = 400
    group, t = np.arange(n) % 2, rng.integers(0, 2, n)
    y = t * (1 + 2.0 * group) + group + rng.normal(size=n) * 0.01
    columns = {"t": t, "y": y, "group": group, "w": np.where(group == 0, 9.0, 1.0)}
    spec = Spec("adjustment", ("t",), ("y",), controls=("group",), weights="w")
    found = {m: estimate(columns, spec, "regression", weights_are=m).estimate for m in
             ("sampling", "inverse_variance", "frequency")}
    assert found == pytest.approx({"sampling": 1.2, "inverse_variance": 2.0, "frequency": 1.2}, abs=0.01)
