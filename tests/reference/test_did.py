"""Differences in differences against regressions with every dummy written out, loops over units, and the jackknife."""

from __future__ import annotations

import numpy as np
import pytest

from whence import Spec, estimate
from whence.stats.decomposition import bacon, negative_share
from whence.stats.fixed_effects import absorb, singletons
from whence.stats.panel_change import changes

SPEC = Spec("did", ("d",), ("y",), time="t", unit="u")


def panel(seed: int = 0, units: int = 60, periods: int = 6, gaps: int = 0) -> dict[str, np.ndarray]:
    """Starts at 3, 4 or never; effects that grow with time and differ by start."""
    rng = np.random.default_rng(seed)
    start = rng.choice([3, 4, 99], units)
    u, t = np.repeat(np.arange(units), periods), np.tile(np.arange(1, periods + 1), units)
    z = rng.standard_normal(units)
    d = (t >= start[u]).astype(int)
    y = z[u] + 0.3 * t + 0.2 * z[u] * t + d * (1 + 0.5 * (t - start[u]) + (start[u] == 3)) + rng.standard_normal(len(u))
    keep = np.ones(len(u), dtype=bool)
    keep[rng.choice(len(u), gaps, replace=False)] = False
    data = {"u": u, "t": t, "d": d, "y": y, "z": z[u], "start": np.where(start < 99, start, 0)[u],
            "x": rng.standard_normal(len(u))}
    return {k: v[keep] for k, v in data.items()}


def dummies(*codes: np.ndarray) -> np.ndarray:
    return np.column_stack([(c[:, None] == np.unique(c)).astype(float) for c in codes])


@pytest.mark.parametrize("dense", [True, False])
def test_absorbed_is_what_all_dummies_leave(dense, monkeypatch):
    if not dense:
        monkeypatch.setattr("whence.stats.fixed_effects.DENSE", 1)
    rng = np.random.default_rng(1)
    factors = [rng.integers(0, k, 300) for k in (150, 9, 4)]
    weights, columns = rng.random(300) + 0.1, rng.standard_normal((300, 3))
    found = absorb(columns, factors, weights)
    all_of_them = dummies(*factors)
    root = np.sqrt(weights)[:, None]
    left = columns - all_of_them @ np.linalg.lstsq(all_of_them * root, columns * root, rcond=None)[0]
    np.testing.assert_allclose(found.columns, left, atol=1e-9)
    assert found.rank == np.linalg.matrix_rank(all_of_them)


def test_singletons_go_until_none_is_left():
    a, b = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 1, 2, 2, 3])
    alone = singletons([a, b])
    left = ~alone
    assert alone.any()
    for factor in (a[left], b[left]):
        assert not len(factor) or np.bincount(factor)[np.unique(factor)].min() > 1


@pytest.mark.parametrize("gaps", [0, 40])
def test_twfe_is_the_regression_with_dummies(gaps):
    data = panel(2, gaps=gaps)
    found = estimate(data, SPEC.replace(controls=("x",)), "twfe")
    design = np.column_stack([data["d"], data["x"], dummies(data["u"], data["t"])[:, :-1]])
    b = np.linalg.lstsq(design, data["y"], rcond=None)[0]
    assert found.estimate == pytest.approx(b[0], rel=1e-9)
    # CR1 by unit: unit effects do not count.
    bread = np.linalg.pinv(design.T @ design)
    residual, meat = data["y"] - design @ b, np.zeros((design.shape[1],) * 2)
    groups = np.unique(data["u"])
    for g in groups:
        score = design[data["u"] == g].T @ residual[data["u"] == g]
        meat += np.outer(score, score)
    n, k = len(residual), 2 + len(np.unique(data["t"]))
    factor = len(groups) / (len(groups) - 1) * (n - 1) / (n - k)
    assert found.standard_error == pytest.approx(np.sqrt(factor * (bread @ meat @ bread)[0, 0]), rel=1e-8)


def test_the_parts_of_twfe_sum_to_it():
    data = panel(3)
    whole = estimate(data, SPEC, "twfe")
    first = np.where(data["start"] > 0, data["start"], np.inf).astype(float)
    parts = bacon(data["y"], data["u"], data["t"] - 1, first, data["t"].astype(float))
    assert sum(p.weight for p in parts) == pytest.approx(1)
    assert sum(p.weight * p.estimate for p in parts) == pytest.approx(whole.estimate, rel=1e-9)
    by_hand = [p for p in parts if p.starts == 4 and p.against == 3]
    y = {g: np.array([data["y"][(data["start"] == g) & (data["t"] == t)].mean() for t in range(1, 7)]) for g in (3, 4)}
    gap = y[4] - y[3]
    assert by_hand[0].forbidden and by_hand[0].estimate == pytest.approx(gap[3:].mean() - gap[2:3].mean())
    left = np.linalg.lstsq(dummies(data["u"], data["t"]), data["d"].astype(float), rcond=None)[0]
    rest = data["d"] - dummies(data["u"], data["t"]) @ left
    on = rest[data["d"] == 1]
    assert negative_share(rest, data["d"], np.ones(len(rest))) == pytest.approx(-on[on < 0].sum() / np.abs(on).sum())


@pytest.mark.parametrize("gaps", [0, 30])
def test_imputation_is_two_regressions(gaps):
    data = panel(4, gaps=gaps)
    found = estimate(data, SPEC.replace(controls=("x",)))
    assert found.method == "imputation"
    on = data["d"] == 1
    design = np.column_stack([data["x"], dummies(data["u"], data["t"])])
    b = np.linalg.lstsq(design[~on], data["y"][~on], rcond=None)[0]
    seen = np.isin(data["u"], data["u"][~on])
    use = on & seen
    effect = data["y"] - design @ b
    assert found.estimate == pytest.approx(effect[use].mean(), rel=1e-9)
    # The weights of every row, and residuals around the mean effect of each start at each time since.
    weights = use / use.sum()
    carried = np.zeros(len(on))
    carried[~on] = design[~on] @ np.linalg.pinv(design[~on].T @ design[~on]) @ (design.T @ weights)
    begun = {u: data["t"][on & (data["u"] == u)].min(initial=99) for u in np.unique(data["u"])}
    since = data["t"] - np.array([begun[u] for u in data["u"]])
    start = np.array([begun[u] for u in data["u"]])
    residual = np.where(on, 0.0, effect)
    for i in np.flatnonzero(use):
        then = use & (since == since[i])
        alike = [rows for rows in (then & (start == start[i]), then) if rows.sum() >= 5]
        residual[i] = effect[i] - effect[alike[0] if alike else use].mean()
    sums = np.array([((weights - carried) * residual)[data["u"] == g].sum() for g in np.unique(data["u"])])
    assert found.standard_error == pytest.approx(np.sqrt((sums**2).sum() * len(sums) / (len(sums) - 1)), rel=1e-7)


def test_group_time_by_loops():
    data = panel(5)
    found = estimate(data, SPEC, "group_time", compared_with="not_yet")
    y = {(u, t): v for u, t, v in zip(data["u"], data["t"], data["y"], strict=True)}
    start = dict(zip(data["u"].tolist(), data["start"].tolist(), strict=True))

    def gap(g: int, t: int, before: int) -> float:
        own = [y[u, t] - y[u, before] for u in start if start[u] == g]
        rest = [y[u, t] - y[u, before] for u in start if start[u] == 0 or start[u] > max(t, g)]
        return float(np.mean(own) - np.mean(rest))

    cells = {(g, t): gap(g, t, g - 1) for g in (3, 4) for t in range(g, 7)}
    for row in found.diagnostics["group_time"]:
        if row["time"] >= row["group"]:
            assert row["estimate"] == pytest.approx(cells[int(row["group"]), int(row["time"])], rel=1e-9)
    sizes = {g: sum(s == g for s in start.values()) for g in (3, 4)}
    total = sum(sizes[g] * e for (g, _), e in cells.items()) / sum(sizes[g] for g, _ in cells)
    assert found.estimate == pytest.approx(total, rel=1e-9)
    first = {c.label: c.estimate for c in found.comparisons}["+0 periods"]
    assert first == pytest.approx(sum(sizes[g] * cells[g, g] for g in (3, 4)) / sum(sizes.values()), rel=1e-9)


def test_changes_with_controls_by_formula_and_by_leaving_one_out():
    rng = np.random.default_rng(6)
    n = 150
    x = rng.standard_normal((n, 2))
    on = rng.random(n) < 1 / (1 + np.exp(-x[:, 0]))
    change = x @ [1.0, -1.0] + on * (1 + x[:, 1]) + rng.standard_normal(n)
    estimate_, psi = changes(change, on, x, np.ones(n))

    from statsmodels.api import Logit, add_constant

    design = add_constant(x)
    chance = Logit(on.astype(float), design).fit(disp=0, tol=1e-12).predict()
    slope = np.linalg.lstsq(design[~on], change[~on], rcond=None)[0]
    rest, odds = change - design @ slope, (~on) * chance / (1 - chance)
    assert estimate_ == pytest.approx(rest[on].mean() - (odds @ rest) / odds.sum(), rel=1e-7)
    jackknife = np.array([changes(np.delete(change, i), np.delete(on, i), np.delete(x, i, axis=0), np.ones(n - 1))[0]
                          for i in range(n)])
    error = np.sqrt((n - 1) / n * ((jackknife - jackknife.mean()) ** 2).sum())
    assert np.sqrt((psi**2).sum()) / n == pytest.approx(error, rel=0.08)
    assert psi.mean() == pytest.approx(0, abs=1e-9)
