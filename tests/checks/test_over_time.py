"""Checks of designs over time: donors left out, starts moved to where nothing happened, and memory that is left."""

from __future__ import annotations

import numpy as np
import pytest

from whence import Spec, check, estimate, read

UNITS = Spec("synthetic_control", ("d",), ("y",), time="t", unit="u")
ONE = Spec("interrupted_series", ("d",), ("y",), time="t")


def panel(seed=0, units=20, periods=28, start=20, treated=1, early=0.0, alone=0.0):
    """Walks with loadings by unit. early: an effect from period 10 on. alone: how much the treated follows unit 0."""
    rng = np.random.default_rng(seed)
    loadings = rng.random((units, 2))
    loadings[-treated:] = 0.5 * loadings[:treated] + 0.5 * loadings[treated : 2 * treated]
    y = 10 + loadings @ np.cumsum(rng.standard_normal((2, periods)), axis=1)
    y += 0.2 * rng.standard_normal((units, periods))
    if alone:
        walk = alone * np.cumsum(rng.standard_normal(periods))
        y[[0, -1]] += walk + alone * 8 * (np.arange(periods) >= start)
    y[-treated:, start:] += 3
    y[-treated:, 10:] += early
    u, t = np.meshgrid(np.arange(units), np.arange(periods), indexing="ij")
    return read({"u": u.ravel(), "t": t.ravel(), "d": ((u >= units - treated) & (t >= start)).ravel().astype(int),
                 "y": y.ravel()})


@pytest.mark.parametrize("kind", ["simplex", "did", "augmented"])
def test_a_sound_synthetic_control_passes(kind):
    table = panel(3)
    effect = estimate(table, UNITS, kind=kind)
    found = check(table, effect, "donor_choices")[0]
    assert found.verdict == "pass", found
    weights = effect.diagnostics["weights"]
    assert {w["without"] for w in found.numbers["without"]} <= set(weights) and len(found.numbers["without"]) > 1
    assert 0 < found.numbers["moved_p_value"] <= 1


def test_without_a_donor_it_is_the_estimate_on_the_rest():
    table = panel(3)
    effect = estimate(table, UNITS)
    first = check(table, effect, "donor_choices")[0].numbers["without"][0]
    rest = read({n: table.column(n).values[table.numeric("u") != float(first["without"])] for n in table.names})
    assert first["estimate"] == pytest.approx(estimate(rest, UNITS).estimate, rel=1e-6)
    assert first["weight"] == pytest.approx(max(effect.diagnostics["weights"].values()))


def test_an_effect_before_the_start_and_a_donor_that_carries_it_all():
    table = panel(4, early=4.0)
    assert check(table, estimate(table, UNITS), "donor_choices")[0].verdict == "worry"
    table = panel(5, alone=1.5)
    found = check(table, estimate(table, UNITS), "donor_choices")[0]
    assert found.verdict == "worry" and found.numbers["carried"] >= 1 and "Without 0" in found.saw


def test_several_treated_units():
    table = panel(6, treated=3)
    found = check(table, estimate(table, UNITS), "donor_choices")[0]
    assert found.numbers["moved_p_value"] is None and found.numbers["moved_start"] is not None


def series(seed=0, early=0.0, errors="ar1", periods=80, start=50):
    rng = np.random.default_rng(seed)
    e = rng.standard_normal(periods)
    for k in range(2, periods):
        e[k] += 0.5 * e[k - 1] if errors == "ar1" else 0.85 * e[k - 2]
    t = np.arange(periods)
    y = 0.1 * t + 3.0 * (t >= start) + early * (t >= start // 2) + e
    return read({"t": t, "d": (t >= start).astype(int), "y": y})


@pytest.mark.parametrize("method", ["interrupted_series", "structural_series"])
def test_series(method):
    found = check(series(1), estimate(series(1), ONE, method), "series_choices")[0]
    assert found.verdict == "pass", found
    table = series(2, early=9.0)
    found = check(table, estimate(table, ONE, method), "series_choices")[0]
    assert found.verdict == "worry" and found.numbers["moved_start"] == pytest.approx(9, abs=4)


def test_memory_that_is_left_and_short_series():
    table = series(3, errors="ar2")
    found = check(table, estimate(table, ONE), "series_choices")[0]
    assert found.verdict == "worry" and found.numbers["leftover_p_value"] < 0.01
    left = [estimate(series(k), ONE).diagnostics["leftover_p_value"] for k in range(20)]
    assert np.mean(np.array(left) < 0.05) <= 0.2
    short = series(4, periods=30, start=12)
    assert check(short, estimate(short, ONE), "series_choices")[0].numbers["moved_start"] is None


def test_they_do_not_apply_elsewhere():
    table = read({"d": np.arange(60) % 2, "y": np.random.default_rng(0).standard_normal(60)})
    effect = estimate(table, Spec("rct", ("d",), ("y",)))
    assert all(not c.applies for c in check(table, effect, ["donor_choices", "series_choices"]))
