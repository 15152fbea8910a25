"""Interrupted series: how rows are read, known effects, seasons, every refusal, and intervals that cover."""

from __future__ import annotations

import numpy as np
import pytest

from whence import Effect, Refused, Spec, WhenceError, estimate

SPEC = Spec("interrupted_series", ("d",), ("y",), time="t")
METHODS = ("interrupted_series", "structural_series")


def series(seed=0, periods=60, start=40, step=3.0, slope=0.1, memory=0.5, noise=1.0):
    """A line with a step and a change in slope, and errors that remember the last."""
    rng = np.random.default_rng(seed)
    e = np.empty(periods)
    e[0] = rng.standard_normal()
    for k in range(1, periods):
        e[k] = memory * e[k - 1] + np.sqrt(1 - memory**2) * rng.standard_normal()
    t = np.arange(periods)
    d = (t >= start).astype(int)
    return {"t": t, "d": d, "y": 10 + 0.2 * t + d * (step + slope * (t - start)) + noise * e}


def truth(periods=60, start=40, step=3.0, slope=0.1):
    return step + slope * np.arange(periods - start).mean()


def test_without_noise_the_numbers_are_exact():
    found = estimate(series(noise=0.0), SPEC)
    assert isinstance(found, Effect) and found.method == "interrupted_series" and found.quantity == "ATT"
    assert [c.estimate for c in found.comparisons] == pytest.approx([truth(), 3.0, 0.1])
    other = estimate(series(noise=0.0), SPEC, "structural_series")
    assert other.estimate == pytest.approx(truth(), abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_order_of_rows_and_the_rows_of_a_period(method):
    """Shuffled rows, and each period told twice around its mean, say the same."""
    data = series(1)
    one = estimate(data, SPEC, method)
    order = np.random.default_rng(0).permutation(120)
    twice = {k: np.tile(v, 2)[order] for k, v in data.items()}
    twice["y"] = (np.concatenate([data["y"] - 1, data["y"] + 1]))[order]
    two = estimate(twice, SPEC, method)
    assert any(w.code == "averaged" for w in two.warnings) and two.n == 120
    assert two.estimate == pytest.approx(one.estimate) and two.standard_error == pytest.approx(one.standard_error)
    assert two.interval == pytest.approx(one.interval)


@pytest.mark.parametrize("method", METHODS)
def test_months_have_a_season_and_gaps_are_allowed_for(method):
    data = series(2, periods=96, start=72)
    months = np.datetime64("2001-01", "M") + np.arange(96)
    wave = 5 * np.sin(2 * np.pi * data["t"] / 12)
    dated = {"t": months.astype("datetime64[D]"), "d": data["d"], "y": data["y"] + wave}
    found, plain = estimate(dated, SPEC, method), estimate(data, SPEC, method, season=1)
    assert found.diagnostics["season"] == 12 and found.estimate == pytest.approx(plain.estimate, abs=0.6)
    assert found.standard_error < 2 * plain.standard_error
    keep = np.delete(np.arange(96), [10, 11, 50, 80])
    gaps = estimate({k: v[keep] for k, v in dated.items()}, SPEC, method)
    assert any(w.code == "periods_missing" and w.evidence["missing"] == 4 for w in gaps.warnings)
    assert gaps.estimate == pytest.approx(found.estimate, abs=0.7)
    assert found.diagnostics["picture"]["first_treated"].startswith("2007-01")


@pytest.mark.parametrize("method", METHODS)
def test_a_control_series_sharpens_the_answer(method):
    data = series(3)
    common = 3 * np.cumsum(np.random.default_rng(5).standard_normal(60))
    moved = data | {"y": data["y"] + common, "x": common, "x2": 2 * common}
    without, beside = estimate(moved, SPEC, method), estimate(moved, SPEC.replace(controls=("x",)), method)
    assert beside.standard_error < 0.6 * without.standard_error and abs(beside.estimate - truth()) < 2.5
    copied = estimate(moved | {"x2": 0.2 * data["t"]}, SPEC.replace(controls=("x", "x2")), method)
    assert any(w.code == "controls_dropped" for w in copied.warnings)


@pytest.mark.parametrize("method", METHODS)
def test_units_that_start_together_are_averaged_and_the_others_left_out(method):
    data = series(4)
    many = {k: np.tile(v, 3) for k, v in data.items()} | {"u": np.repeat(["a", "b", "c"], 60)}
    many["d"] = np.where(many["u"] == "c", 0, many["d"])
    many["y"] = many["y"] + np.repeat([1.0, -1.0, 50.0], 60)
    found = estimate(many, SPEC.replace(unit="u"), method)
    assert {"averaged", "never_treated_left_out"} <= {w.code for w in found.warnings}
    assert found.estimate == pytest.approx(estimate(data, SPEC, method).estimate)
    one = estimate(data | {"u": ["a"] * 60}, SPEC.replace(unit="u"), method)
    assert one.estimate == pytest.approx(found.estimate)


def test_autocorrelation_is_shown_and_widens():
    smooth, rough = estimate(series(6, memory=0.9), SPEC), estimate(series(6, memory=0.0), SPEC)
    assert smooth.diagnostics["autocorrelation"] > 0.5 > abs(rough.diagnostics["autocorrelation"])
    assert smooth.diagnostics["durbin_watson"] < rough.diagnostics["durbin_watson"]
    assert smooth.diagnostics["autocorrelations"][0] > 0.3 and "remember" in smooth.errors
    hac = estimate(series(6), SPEC, covariance="hac")
    assert any(w.code == "short_series" for w in hac.warnings)
    assert "Newey-West" in hac.errors and hac.estimate == pytest.approx(estimate(series(6), SPEC).estimate, abs=0.5)


@pytest.mark.parametrize("method", METHODS)
def test_words_of_the_treatment_and_clusters(method):
    data = series(8)
    told = data | {"d": np.where(data["d"] == 1, "after", "before"), "g": np.arange(60) % 2}
    found = estimate(told, SPEC.replace(cluster="g"), method)
    assert found.estimate == pytest.approx(estimate(data, SPEC, method).estimate)
    assert found.interval == pytest.approx(estimate(data, SPEC, method).interval)
    assert any(w.code == "contrast_chosen" and w.evidence["treated"] == "after" for w in found.warnings)
    assert any(w.code == "cluster_not_used" for w in found.warnings) and found.clusters is None


def test_few_periods_after():
    short = estimate(series(7, periods=42, slope=0.0), SPEC)
    assert len(short.comparisons) == 0 and any(w.code == "slope_not_looked_for" for w in short.warnings)
    one = estimate(series(7, periods=41, slope=0.0), SPEC, "structural_series")
    assert isinstance(one, Effect) and one.diagnostics["periods_after"] == 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("changes", "code"), [
    ({"start": 7}, "too_few_periods"), ({"d": lambda s: np.where(s["t"] > 50, 0, s["d"])}, "treatment_switches"),
    ({"d": lambda s: s["t"] / 7}, "not_a_start"), ({"d": lambda s: 0 * s["t"] + 1}, "treatment_constant"),
])
def test_refusals(method, changes, code):
    data = series(start=changes.get("start", 40))
    data = data | {k: v(data) for k, v in changes.items() if callable(v)}
    found = estimate(data, SPEC, method)
    assert isinstance(found, Refused) and found.code == code, found


def test_more_refusals():
    data = series()
    both = {k: np.tile(v, 2) for k, v in data.items()}
    both["d"] = np.where(np.arange(120) >= 60, 0, both["d"])
    assert estimate(both, SPEC).code == "comparison_available"
    always = {k: np.tile(v, 2) for k, v in data.items()} | {"u": np.repeat([0, 1], 60), "d": np.repeat([0, 1], 60)}
    assert estimate(always, SPEC.replace(unit="u")).code == "start_unknown"
    noise = {f"x{j}": np.random.default_rng(j).standard_normal(60) for j in range(40)}
    crowded = SPEC.replace(controls=tuple(noise))
    assert estimate(series(periods=60, start=30) | noise, crowded, "structural_series").code == "too_few_periods"
    noise = {f"x{j}": np.random.default_rng(j).standard_normal(60) for j in range(54)}
    assert estimate(data | noise, SPEC.replace(controls=tuple(noise))).code == "too_few_periods"
    assert estimate(data, SPEC, "structural_series", covariance="hac").code == "errors_not_available"
    assert estimate(data, SPEC, "twfe").code == "other_design"
    with pytest.raises(WhenceError, match="time"):
        estimate(data, SPEC.replace(time=None))
    uneven = data | {"t": data["t"] ** 2}
    assert any(w.code == "uneven_times" for w in estimate(uneven, SPEC).warnings)


def test_one_unit_cannot_be_compared_and_hears_what_could_be_done():
    found = estimate(series() | {"u": ["a"] * 60}, SPEC.replace(strategy="did", unit="u"))
    assert isinstance(found, Refused) and found.code == "no_untreated" and "interrupted_series" in found.remedy


def coverage(method, sets, **how):
    inside = []
    for seed in range(sets):
        found = estimate(series(1000 + seed, **how), SPEC, method)
        low, high = found.interval
        inside.append(low <= truth(**{k: v for k, v in how.items() if k in ("periods", "start")}) <= high)
    return np.mean(inside)


@pytest.mark.parametrize("method", METHODS)
def test_intervals_cover_in_40_sets(method):
    assert coverage(method, 40, periods=40, start=25) >= 0.87


@pytest.mark.slow
@pytest.mark.parametrize(("periods", "start", "memory", "least"), [
    (60, 40, 0.5, 0.94), (40, 25, 0.5, 0.94), (24, 14, 0.5, 0.93), (60, 40, 0.8, 0.93), (60, 40, 0.0, 0.93),
])
@pytest.mark.parametrize("method", METHODS)
def test_intervals_cover_500(method, periods, start, memory, least):
    """Monte Carlo error 1 point."""
    got = coverage(method, 500, periods=periods, start=start, memory=memory)
    assert got >= least - 0.02, got
