"""Estimators of staggered and switching treatments against loops over units, regressions with every dummy written out,
and the jackknife."""

from __future__ import annotations

import numpy as np
import pytest

from whence import Spec, estimate
from whence.estimation.sun_abraham import CARD as SUN_ABRAHAM
from whence.stats.panel_change import HOW, changes, sections

SPEC = Spec("did", ("d",), ("y",), time="t", unit="u")
NEVER = 99


def panel(seed: int = 0, units: int = 45, periods: int = 7, gaps: int = 0) -> dict[str, np.ndarray]:
    """Starts at 3, 5, 6 or never; effects that grow and differ by start."""
    rng = np.random.default_rng(seed)
    start = rng.permutation(np.resize([3, 5, 6, NEVER], units))
    u, t = np.repeat(np.arange(units), periods), np.tile(np.arange(1, periods + 1), units)
    d = (t >= start[u]).astype(int)
    x = rng.standard_normal(len(u))
    y = (rng.standard_normal(units)[u] + 0.3 * t + d * (1 + 0.5 * (t - start[u]) + (start[u] == 3)) + 0.5 * x
         + rng.standard_normal(len(u)))
    keep = np.ones(len(u), dtype=bool)
    keep[rng.choice(len(u), gaps, replace=False)] = False
    seen = np.array([t[keep & (u == i) & (d == 1)].min(initial=NEVER) for i in range(units)])  # as it can be read
    return {k: v[keep] for k, v in {"u": u, "t": t, "d": d, "y": y, "x": x, "start": seen[u]}.items()}


def dummies(*codes: np.ndarray) -> np.ndarray:
    return np.column_stack([(c[:, None] == np.unique(c)).astype(float) for c in codes])


def regression(
    y: np.ndarray, design: np.ndarray, weights: np.ndarray, clusters: np.ndarray, nested: int
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and their CR1 covariance; ``nested`` columns do not count."""
    root = np.sqrt(weights)[:, None]
    b = np.linalg.lstsq(design * root, y * root[:, 0], rcond=None)[0]
    bread = np.linalg.pinv((design * root).T @ (design * root))
    scores = design * (weights * (y - design @ b))[:, None]
    sums = np.array([scores[clusters == g].sum(axis=0) for g in np.unique(clusters)])
    groups, n, k = len(sums), len(y), np.linalg.matrix_rank(design) - nested
    return b, groups / (groups - 1) * (n - 1) / (n - k) * bread @ (sums.T @ sums) @ bread


def shown(found) -> dict[str, tuple[float, float]]:
    return {c.label: (c.estimate, c.standard_error) for c in found.comparisons}


@pytest.mark.parametrize("gaps", [0, 25])
def test_stacked_is_the_weighted_regression_on_the_stack(gaps):
    data = panel(1, gaps=gaps)
    found = estimate(data, SPEC.replace(controls=("x",)), "stacked", before=2, after=2)
    parts = []
    for k, g in enumerate(g for g in np.unique(data["start"]) if g <= 5):  # later windows do not fit
        rows = np.flatnonzero((data["t"] >= g - 2) & (data["t"] <= g + 2)
                              & ((data["start"] == g) | (data["start"] > g + 2)))
        own = data["start"][rows] == g
        weights = np.where(own, 1.0, own.sum() / (~own).sum())
        parts.append((rows, np.full(len(rows), k), data["t"][rows] - g, own, weights))
    row, part, step, own, weights = (np.concatenate(p) for p in zip(*parts, strict=True))
    steps = [-2, 0, 1, 2]
    design = np.column_stack([*((step == e) & own for e in steps), data["x"][row],
                              dummies(1000 * part + data["u"][row], 1000 * part + step)]).astype(float)
    nested = len(np.unique(1000 * part + data["u"][row])) - 1
    b, v = regression(data["y"][row], design, weights, data["u"][row], nested)
    for j, label in enumerate(["-2 periods", "+0 periods", "+1 period", "+2 periods"]):
        assert shown(found)[label] == pytest.approx((b[j], np.sqrt(v[j, j])), rel=1e-7)
    mean = np.r_[0, np.ones(3) / 3, np.zeros(len(b) - 4)]
    assert (found.estimate, found.standard_error) == pytest.approx((mean @ b, np.sqrt(mean @ v @ mean)), rel=1e-7)
    assert any(w.code == "starts_left_out" for w in found.warnings)


def test_stacked_is_the_average_of_two_by_twos():
    data = panel(2)
    found = estimate(data, SPEC, "stacked", before=2, after=1)
    y = {(u, t): v for u, t, v in zip(data["u"], data["t"], data["y"], strict=True)}
    start = dict(zip(data["u"].tolist(), data["start"].tolist(), strict=True))
    for e, label in ((-2, "-2 periods"), (0, "+0 periods"), (1, "+1 period")):
        total, count = 0.0, 0
        for g in (3, 5, 6):
            own = [y[u, g + e] - y[u, g - 1] for u in start if start[u] == g]
            rest = [y[u, g + e] - y[u, g - 1] for u in start if start[u] > g + 1]
            total, count = total + len(own) * (np.mean(own) - np.mean(rest)), count + len(own)
        assert shown(found)[label][0] == pytest.approx(total / count, rel=1e-9)


@pytest.mark.parametrize(("weighting", "gaps"), [("treated", 0), ("treated", 30), ("variance", 30)])
def test_local_projection_is_a_regression_at_each_distance(weighting, gaps):
    data = panel(3, gaps=gaps)
    found = estimate(data, SPEC.replace(controls=("x",)), "local_projection", weighting=weighting)
    at = {(u, t): i for i, (u, t) in enumerate(zip(data["u"], data["t"], strict=True))}
    start = dict(zip(data["u"].tolist(), data["start"].tolist(), strict=True))
    for h, label in ((-3, "-3 periods"), (0, "+0 periods"), (2, "+2 periods")):
        use = [(u, t) for u in start for t in range(2, 8) if (u, t + h) in at and (u, t - 1) in at
               and (start[u] == t or start[u] > max(t, t + h))]
        when = np.array([t for _, t in use])
        on = np.array([start[u] == t for u, t in use])
        mixed = np.array([0 < on[when == t].sum() < (when == t).sum() for t in when])
        when, on, use = when[mixed], on[mixed], [p for p, m in zip(use, mixed, strict=True) if m]
        weights = np.ones(len(on))
        if weighting == "treated":
            weights = np.array([1.0 if o else on[when == t].sum() / (~on[when == t]).sum()
                                for o, t in zip(on, when, strict=True)])
        change = np.array([data["y"][at[u, t + h]] - data["y"][at[u, t - 1]] for u, t in use])
        x = np.array([data["x"][at[u, t - 1]] for u, t in use])
        design = np.column_stack([on, x, dummies(when)]).astype(float)
        b, v = regression(change, design, weights, np.array([u for u, _ in use]), 0)
        assert shown(found)[label] == pytest.approx((b[0], np.sqrt(v[0, 0])), rel=1e-7)


@pytest.mark.parametrize(("gaps", "never"), [(0, True), (25, True), (0, False)])
def test_sun_abraham_is_the_saturated_regression(gaps, never):
    data = panel(4, gaps=gaps)
    keep = np.ones(len(data["u"]), dtype=bool) if never else data["start"] != NEVER
    data = {k: v[keep] for k, v in data.items()}
    found = estimate(data, SPEC.replace(controls=("x",)), SUN_ABRAHAM.name)
    use = np.ones(len(data["u"]), dtype=bool) if never else data["t"] < 6
    based = np.unique(data["start"][data["t"] == data["start"] - 1])
    use &= np.isin(data["start"], based) | (data["start"] == data["start"].max())
    u, t, y, x, start = (data[k][use] for k in ("u", "t", "y", "x", "start"))
    last = start.max()
    cells = [(g, e) for g in np.unique(start) for e in range(-6, 6)
             if e != -1 and g != last and ((start == g) & (t - g == e)).any()]
    each = np.column_stack([(start == g) & (t - g == e) for g, e in cells]).astype(float)
    design = np.column_stack([each, x, dummies(u, t)])
    b, _ = regression(y, design, np.ones(len(y)), u, len(np.unique(u)) - 1)
    # The covariance of each unit's part, that of the shares included.
    bread = np.linalg.pinv(design.T @ design)
    groups, n = np.unique(u), len(y)
    factor = np.sqrt(len(groups) / (len(groups) - 1) * (n - 1) / (n - np.linalg.matrix_rank(design) + len(groups) - 1))
    for e, label in ((-2, "-2 periods"), (0, "+0 periods"), (1, "+1 period")):
        which = np.array([c[1] == e for c in cells])
        size = each[:, which].sum(axis=0)
        share = np.zeros(design.shape[1])
        share[: len(cells)][which] = size / size.sum()
        value = share @ b
        parts = factor * (design @ (bread @ share)) * (y - design @ b)
        parts = parts + each[:, which] @ (b[: len(cells)][which] - value) / size.sum()
        sums = np.array([parts[u == g].sum() for g in groups])
        assert shown(found)[label] == pytest.approx((value, np.sqrt(sums @ sums)), rel=1e-6)


def test_sun_abraham_without_controls_is_group_time_with_one_base():
    data = panel(5)
    one, other = estimate(data, SPEC, "sun_abraham"), estimate(data, SPEC, "group_time", base="universal")
    assert one.estimate == pytest.approx(other.estimate, rel=1e-9)
    for label in ("-3 periods", "+0 periods", "+4 periods"):
        assert shown(one)[label][0] == pytest.approx(shown(other)[label][0], rel=1e-9)


def test_switchers_by_loops():
    rng = np.random.default_rng(6)
    units, periods = 40, 5
    status = rng.random((units, periods)) < 0.4
    y = rng.standard_normal((units, periods)).cumsum(axis=1) + 0.7 * status
    flat = {"u": np.repeat(np.arange(units), periods), "t": np.tile(np.arange(periods), units),
            "d": status.ravel().astype(int), "y": y.ravel()}
    found = estimate(flat, SPEC, "switchers")

    def did_m(status: np.ndarray, y: np.ndarray, lag: int) -> float:
        total, count = 0.0, 0
        for t in range(1 + lag, periods):
            change = y[:, t - lag] - y[:, t - 1 - lag]
            for was in (False, True):
                same = (status[:, t - 1] == was) & ((status[:, t - 2] == was) if lag else True)
                moved, stayed = same & (status[:, t] != was), same & (status[:, t] == was)
                if moved.any():
                    gap = change[moved].mean() - change[stayed].mean()
                    total, count = total + moved.sum() * (gap if not was else -gap), count + moved.sum()
        return total / count

    assert found.estimate == pytest.approx(did_m(status, y, 0), rel=1e-9)
    assert shown(found)["-1 period"][0] == pytest.approx(did_m(status, y, 1), rel=1e-9)
    jackknife = np.array([did_m(np.delete(status, i, 0), np.delete(y, i, 0), 0) for i in range(units)])
    error = np.sqrt((units - 1) / units * ((jackknife - jackknife.mean()) ** 2).sum())
    assert found.standard_error == pytest.approx(error, rel=0.12)


def sample(seed: int, n: int = 250) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 2))
    on = rng.random(n) < 1 / (1 + np.exp(-x[:, 0]))
    after, weights = rng.random(n) < 0.5, rng.random(n) + 0.5
    change = x @ [1.0, -1.0] + on * (1 + x[:, 1]) + rng.standard_normal(n)
    y = x @ [1.0, -1.0] + x[:, 0] * after + 0.5 * on + after * on * (1 + x[:, 1]) + rng.standard_normal(n)
    return x, on, after, weights / weights.mean(), change, y


def weighted_line(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    root = np.sqrt(weights)
    return x @ np.linalg.lstsq(x * root[:, None], y * root, rcond=None)[0]


@pytest.mark.parametrize("how", HOW)
def test_changes_and_sections_with_controls_by_formula(how):
    from scipy.optimize import root
    from statsmodels.api import GLM, add_constant, families

    x, on, after, w, change, y = sample(7)
    z = add_constant(x)
    chance = GLM(on.astype(float), z, family=families.Binomial(), freq_weights=w).fit(tol=1e-12).predict()
    odds = w * ~on * chance / (1 - chance)
    if how == "improved":
        tilt = root(lambda g: z.T @ (w * ~on * np.exp(z @ g)) - z.T @ (w * on), np.zeros(3), tol=1e-12).x
        odds = w * ~on * np.exp(z @ tilt)
        np.testing.assert_allclose(z.T @ odds, z.T @ (w * on), rtol=1e-8)
    base = odds if how == "improved" else w * ~on
    line = weighted_line(z, change, base) if how != "weighting" else 0.0
    expected = np.average(change - line, weights=w * on)
    if how != "regression":
        expected -= np.average(change - line, weights=odds)
    assert changes(change, on, x, w, how)[0] == pytest.approx(expected, rel=1e-6)

    def corner(g: bool, t: bool) -> float:
        inside = (on == g) & (after == t)
        weights = (w if g or how == "regression" else odds) * inside
        if how == "weighting" or (g and how == "regression"):
            return np.average(y, weights=weights)
        line = weighted_line(z, y, (odds if how == "improved" and not g else w) * inside)
        rest = 0.0 if how == "regression" else np.average(y - line, weights=weights)
        return np.average(line, weights=w * on) + rest

    expected = corner(True, True) - corner(True, False) - corner(False, True) + corner(False, False)
    assert sections(y, on, after, x, w, how)[0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("how", ["doubly_robust", "regression"])
def test_errors_of_sections_by_leaving_one_out(how):
    x, on, after, w, _, y = sample(8)
    n = len(y)
    _, psi = sections(y, on, after, x, w, how)
    left = [np.delete(np.arange(n), i) for i in range(n)]
    jackknife = np.array([sections(y[k], on[k], after[k], x[k], w[k] / w[k].mean(), how)[0] for k in left])
    error = np.sqrt((n - 1) / n * ((jackknife - jackknife.mean()) ** 2).sum())
    assert np.sqrt((psi**2).sum()) / n == pytest.approx(error, rel=0.12) and abs(psi.mean()) < 1e-9
    assert np.corrcoef(psi, -jackknife)[0, 1] > 0.99


def test_group_time_from_repeated_cross_sections_is_means_of_groups():
    data = panel(9, units=80)
    rng = np.random.default_rng(9)
    use = rng.random(len(data["u"])) < 0.8
    cross = {"first": np.where(data["start"] < NEVER, data["start"], 0)[use], "t": data["t"][use], "y": data["y"][use]}
    found = estimate(cross, Spec("did", ("first",), ("y",), time="t"), "group_time")

    def mean(g: int, t: int) -> float:
        return cross["y"][(cross["first"] == g) & (cross["t"] == t)].mean()

    for row in found.diagnostics["group_time"]:
        g, t = int(row["group"]), int(row["time"])
        base = g - 1 if t >= g else t - 1
        assert row["estimate"] == pytest.approx(mean(g, t) - mean(g, base) - mean(0, t) + mean(0, base), abs=1e-9)
    assert found.diagnostics["adoption"] == "staggered"
    assert any(w.code == "repeated_sections" for w in found.warnings)
