"""Matching against loops over all pairs of rows, from the formulas of Abadie and Imbens."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from whence.estimation.estimate import estimate
from whence.estimation.nearest import cells, match
from whence.identification.spec import Spec

RNG = np.random.default_rng(5)
N = 160


def drawn(ties):
    rng = np.random.default_rng(17)
    x = rng.normal(size=(N, 2))
    x = np.round(x) if ties else x
    t = (rng.random(N) < 1 / (1 + np.exp(-0.6 * x[:, 0]))).astype(int)
    y = x[:, 0] + x[:, 1] ** 2 + t * (1 + 0.5 * x[:, 0]) + rng.normal(size=N)
    return x, t, y


def distances(points):
    return np.sqrt(((points[:, None, :] - points[None, :, :]) ** 2).sum(axis=2))


def neighbours(d, i, pool, m, limit=np.inf):
    """The m nearest of ``pool`` to row i and all at the distance of the last of them."""
    pool = [j for j in pool if d[i, j] <= limit + 1e-9]
    if not pool:
        return []
    ranked = sorted(d[i, j] for j in pool)
    edge = ranked[min(m, len(ranked)) - 1]
    return [j for j in pool if d[i, j] <= edge + 1e-9]


def by_loops(points, x, t, y, quantity, m, j_own, correct, limit=np.inf):
    """Estimate and AI variance (2006, theorems 6 and 7, with K_M and K'_M)."""
    d, n = distances(points), len(y)
    treated, control = np.flatnonzero(t == 1), np.flatnonzero(t == 0)
    asked = {"ATE": range(n), "ATT": treated, "ATC": control}[quantity]
    sets = {i: neighbours(d, i, control if t[i] else treated, m, limit) for i in asked}
    asked = [i for i in asked if sets[i]]
    k, k2 = np.zeros(n), np.zeros(n)
    for i in asked:
        for j in sets[i]:
            k[j] += 1 / len(sets[i])
            k2[j] += 1 / len(sets[i]) ** 2
    fitted = np.zeros((n, 2))
    if correct:
        for b in (0, 1):
            rows = (t == b) & (k > 0)
            if not rows.any():
                continue
            fit = sm.WLS(y[rows], sm.add_constant(x[rows]), weights=k[rows]).fit()
            fitted[:, b] = fit.predict(sm.add_constant(x))
    gains = []
    for i in asked:
        other = 1 - t[i]
        imputed = np.mean([y[j] + fitted[i, other] - fitted[j, other] for j in sets[i]])
        gains.append((y[i] - imputed) if t[i] else (imputed - y[i]))
    gains = np.array(gains)
    effect = gains.mean()
    sigma2 = np.zeros(n)
    own = y - fitted[np.arange(n), t]
    for i in range(n):
        near = neighbours(d, i, [j for j in np.flatnonzero(t == t[i]) if j != i], j_own)
        sigma2[i] = len(near) / (len(near) + 1) * (own[i] - np.mean([own[j] for j in near])) ** 2
    share = len(asked)
    if quantity == "ATE":
        variance = ((gains - effect) ** 2).sum() / share**2 + ((k**2 + 2 * k - k2) * sigma2).sum() / share**2
    else:
        variance = ((gains - effect) ** 2).sum() / share**2 + ((k**2 - k2) * sigma2).sum() / share**2
    return effect, np.sqrt(variance)


def mahalanobis(x):
    centred = x - x.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(x))
    return centred @ vectors / np.sqrt(values)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("correct", [False, True])
@pytest.mark.parametrize("quantity", ["ATE", "ATT", "ATC"])
def test_loops(make_table, quantity, correct, ties):
    x, t, y = drawn(ties)
    table = make_table({"t": t, "y": y, "a": x[:, 0], "b": x[:, 1]}, t="binary")
    spec = Spec("adjustment", ("t",), ("y",), quantity, controls=("a", "b"))
    for m, own in ((1, 1), (3, 2)):
        effect = estimate(table, spec, "matching", neighbours=m, variance_neighbours=own, bias_correction=correct)
        expected = by_loops(mahalanobis(x), x, t, y, quantity, m, own, correct)
        assert effect.estimate == pytest.approx(expected[0], rel=1e-9)
        assert effect.standard_error == pytest.approx(expected[1], rel=1e-9)
        assert np.sqrt(np.sum(effect.influence**2)) / N == pytest.approx(expected[1], rel=1e-9)


def test_caliper_and_exact_columns(make_table):
    x, t, y = drawn(False)
    site = np.random.default_rng(3).choice(["n", "s"], N)
    table = make_table({"t": t, "y": y, "a": x[:, 0], "b": x[:, 1], "site": site}, t="binary", site="categorical")
    spec = Spec("adjustment", ("t",), ("y",), "ATT", controls=("a", "b"))
    effect = estimate(table, spec, "matching", neighbours=2, caliper=0.5, bias_correction=False, variance_neighbours=1)
    expected = by_loops(mahalanobis(x), x, t, y, "ATT", 2, 1, False, 0.5)
    assert effect.estimate == pytest.approx(expected[0])
    assert effect.diagnostics["matches"]["1 vs 0"]["unmatched"] > 0
    assert "unmatched" in {w.code for w in effect.warnings}
    spec = spec.replace(controls=("a", "b", "site"))
    effect = estimate(table, spec, "matching", neighbours=2, exact="site", bias_correction=False, variance_neighbours=1)
    full = mahalanobis(np.column_stack([x, site == "s"]))
    split = np.column_stack([full, 1e3 * (site == "s")])  # no match across sites
    expected = by_loops(split, x, t, y, "ATT", 2, 1, False)
    assert effect.estimate == pytest.approx(expected[0])
    assert effect.standard_error == pytest.approx(expected[1])


def covariances(d, i, pool, x, y):
    near = neighbours(d, i, pool, 2)
    return ((x[near] - x[near].mean(axis=0)) * (y[near] - y[near].mean())[:, None]).sum(axis=0) / (len(near) - 1)


@pytest.mark.parametrize("quantity", ["ATE", "ATT", "ATC"])
def test_the_estimated_propensity(make_table, quantity):
    """Abadie and Imbens (2016), theorem 2, term by term."""
    x, t, y = drawn(False)
    table = make_table({"t": t, "y": y, "a": x[:, 0], "b": x[:, 1]}, t="binary")
    spec = Spec("adjustment", ("t",), ("y",), quantity, controls=("a", "b"))
    effect = estimate(table, spec, "matching", metric="propensity", neighbours=2, variance_neighbours=1)
    design = sm.add_constant(x)
    fit = sm.Logit(t, design).fit(disp=0, tol=1e-12)
    p, odds = fit.predict(), design @ fit.params
    d = distances(odds[:, None])
    point, error = by_loops(odds[:, None], x, t, y, quantity, 2, 1, False)
    assert effect.estimate == pytest.approx(point, rel=1e-8)
    information = design.T @ (design * (p * (1 - p))[:, None]) / N
    treated, control = np.flatnonzero(t == 1), np.flatnonzero(t == 0)
    cov1 = np.array([covariances(d, i, treated, design, y) for i in range(N)])
    cov0 = np.array([covariances(d, i, control, design, y) for i in range(N)])
    f = p * (1 - p)
    if quantity == "ATE":
        c = np.mean((1 - p)[:, None] * cov1 + p[:, None] * cov0, axis=0)
        added = -c @ np.linalg.solve(information, c)
    else:
        h, sign = (p, 1.0) if quantity == "ATT" else (1 - p, -1.0)
        first, second = (cov1, (p / (1 - p))[:, None] * cov0) if quantity == "ATT" else (
            ((1 - p) / p)[:, None] * cov1, cov0)
        sets = [neighbours(d, i, control if t[i] else treated, 2) for i in range(N)]
        gains = np.array([(1 if t[i] else -1) * (y[i] - y[sets[i]].mean()) for i in range(N)])
        c = np.mean(f[:, None] * (sign * design * (gains - point)[:, None] + first + second), axis=0) / h.mean()
        # The derivative's effect(x) is that of the least squares weighted by how often rows are used.
        asked = treated if quantity == "ATT" else control
        k = np.zeros(N)
        for i in asked:
            k[sets[i]] += 1 / len(sets[i])
        own = {"ATT": 1, "ATC": 0}[quantity]
        lines = {}
        for b in (0, 1):
            rows = np.flatnonzero(t == b)
            weights = np.ones(len(rows)) if b == own else k[rows]
            rows, weights = rows[weights > 0], weights[weights > 0]
            lines[b] = sm.WLS(y[rows], design[rows], weights=weights).fit().predict(design)
        change = lines[1] - lines[0]
        slope = np.mean((sign * f * (change - change[asked].mean()))[:, None] * design, axis=0) / h.mean()
        added = -c @ np.linalg.solve(information, c) + slope @ np.linalg.solve(information, slope)
    assert effect.standard_error == pytest.approx(np.sqrt(error**2 + added / N), rel=1e-6)


def test_cells_and_neighbours_by_sorting():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, size=(80, 2)).astype(float)
    groups = cells(x)
    assert (x[groups.first][groups.of] == x).all() and len(groups.first) == len(np.unique(x, axis=0))
    inside = rng.random(80) < 0.3
    found = match(x[groups.first], groups, inside, ~inside, 3)
    values = rng.normal(size=80)
    carried, d = found.carry(values), distances(x)
    received = found.received(np.ones(80))
    expected = np.zeros(80)
    for i in np.flatnonzero(~inside):
        near = neighbours(d, i, np.flatnonzero(inside), 3)
        assert carried[i] == pytest.approx(values[near].mean())
        expected[near] += 1 / len(near)
    assert received == pytest.approx(expected)
