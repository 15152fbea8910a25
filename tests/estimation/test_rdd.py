"""The discontinuity design: known numbers, coverage, the cutoff found in the data, and every refusal."""

from __future__ import annotations

import numpy as np
import pytest

from whence import Effect, Refused, Spec, WhenceError, estimate, read

SPEC = Spec("rdd", ("d",), ("y",), running_variable="x", cutoff=0.0)


def columns(seed: int = 0, n: int = 1000, jump: float = 2.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = 2 * rng.beta(2, 4, n) - 1
    return {"x": x, "d": (x >= 0).astype(int), "y": x + jump * (x >= 0) + 0.3 * rng.standard_normal(n)}


@pytest.mark.parametrize(("file", "outcome", "plain", "corrected", "error", "bandwidth"), [
    ("rd_senate", "vote", 7.4141, 7.5065, 1.7413, 17.754), ("lee08", "voteshare", 6.345, 5.912, 1.260, None),
])
def test_known_values(cases, file, outcome, plain, corrected, error, bandwidth):
    table = read(cases / "effects" / f"{file}.csv")
    data = {name: table.column(name).values for name in (outcome, "margin")}
    data["won"] = (data["margin"] >= 0).astype(int)
    found = estimate(data, Spec("rdd", ("won",), (outcome,), running_variable="margin"), correction="own")
    assert isinstance(found, Effect)
    digits = 5e-5 if file == "rd_senate" else 5e-4
    assert found.estimate == pytest.approx(plain, abs=digits)
    assert found.diagnostics["bias_corrected"] == pytest.approx(corrected, abs=digits)
    assert found.standard_error == pytest.approx(error, abs=5e-4)
    assert found.diagnostics["cutoff"] == 0 and found.diagnostics["cutoff_found"]
    if bandwidth is not None:
        assert found.diagnostics["bandwidth"] == pytest.approx(bandwidth, abs=5e-4)


# Lee (2008) and Ludwig and Miller (2007), as polynomials by Imbens and Kalyanaraman (2012), and a straight line.
SHAPES = {
    "lee": ((0.48, 1.27, 7.18, 20.21, 21.54, 7.33), (0.52, 0.84, -3.00, 7.99, -9.01, 3.56)),
    "ludwig": ((3.71, 2.30, 3.28, 1.45, 0.23, 0.03), (0.26, 18.49, -54.81, 74.30, -45.02, 9.83)),
    "line": ((0.0, 1.0), (2.0, 1.0)),
}


def covered(shape: str, sets: int, fuzzy: bool = False) -> float:
    below, above = (np.polynomial.Polynomial(c) for c in SHAPES[shape])
    truth, inside = float(above(0) - below(0)), 0
    for seed in range(sets):
        rng = np.random.default_rng(seed)
        n = 4000 if fuzzy else 1000
        x = 2 * rng.beta(2, 4, n) - 1
        d = (x >= 0).astype(int)
        y = np.where(d == 1, above(x), below(x)) + 0.1295 * rng.standard_normal(n)
        if fuzzy:  # four in five of those above take it; the jump of the outcome is theirs
            d = d * (rng.random(n) < 0.8)
            y = np.where(x >= 0, y - truth * (1 - d), y)
        found = estimate({"x": x, "d": d, "y": y}, SPEC)
        assert isinstance(found, Effect), found
        inside += found.interval[0] <= truth <= found.interval[1]
    return inside / sets


def test_intervals_cover():
    assert covered("line", 100) >= 0.89  # Monte Carlo error 2.2 points


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "fuzzy"), [("line", False), ("lee", False), ("ludwig", False), ("line", True)])
def test_intervals_cover_500(shape, fuzzy):
    assert 0.92 <= covered(shape, 500, fuzzy) <= 0.98


def test_the_cutoff_is_found_sharp_and_fuzzy():
    rng = np.random.default_rng(4)
    x = rng.normal(50, 20, 3000)
    sharp = estimate({"x": x, "d": (x >= 60).astype(int), "y": x + 5 * (x >= 60) + rng.standard_normal(3000)},
                     SPEC.replace(cutoff=None))
    assert isinstance(sharp, Effect) and sharp.diagnostics["cutoff"] == 60.0
    assert "read off the data" in sharp.warnings[0].text and sharp.diagnostics["design"] == "sharp"
    d = (rng.random(3000) < np.where(x >= 60, 0.75, 0.2)).astype(int)
    fuzzy = estimate({"x": x, "d": d, "y": x + 5 * d + rng.standard_normal(3000)}, SPEC.replace(cutoff=None))
    assert isinstance(fuzzy, Effect) and abs(fuzzy.diagnostics["cutoff"] - 60) < 1
    assert fuzzy.diagnostics["design"] == "fuzzy" and fuzzy.interval[0] < 5 < fuzzy.interval[1]


def test_treated_below_the_cutoff_has_the_sign_of_the_treatment():
    data = columns()
    data["d"] = 1 - data["d"]
    assert estimate(data, SPEC).estimate == pytest.approx(-estimate(columns(), SPEC).estimate)


def test_rows_at_the_cutoff_go_where_the_treatment_says():
    x = np.repeat(np.arange(-20.0, 21), 10)
    rng = np.random.default_rng(0)
    y = 0.1 * x + 3 * (x > 0) + 0.1 * rng.standard_normal(410)
    found = estimate({"x": x, "d": (x > 0).astype(int), "y": y}, SPEC)
    assert found.diagnostics["design"] == "sharp" and abs(found.estimate - 3) < 0.2
    assert {"mass_points"} <= {w.code for w in found.warnings}


def test_a_control_narrows_and_one_that_follows_from_x_changes_nothing():
    rng = np.random.default_rng(1)
    data = columns(1)
    z = rng.standard_normal(1000)
    data |= {"z": z, "y": data["y"] + 2 * z, "copy": 3 * data["x"] + 1}
    alone, with_z = (estimate(data, SPEC.replace(controls=c), bandwidth=0.4) for c in ((), ("z",)))
    assert with_z.standard_error < 0.4 * alone.standard_error and abs(with_z.estimate - 2) < 0.2
    assert estimate(data, SPEC.replace(controls=("copy",)), bandwidth=0.4).estimate == pytest.approx(alone.estimate)


def test_weights_clusters_and_order_of_rows():
    data = columns(2)
    rng = np.random.default_rng(2)
    data |= {"w": rng.integers(1, 3, 1000).astype(float), "g": np.arange(1000) // 5}
    weighted = estimate(data, SPEC.replace(weights="w"), bandwidth=0.4)
    times = data["w"].astype(int)
    repeated = estimate({k: np.repeat(v, times) for k, v in data.items()}, SPEC, bandwidth=0.4)
    assert weighted.estimate == pytest.approx(repeated.estimate)
    clustered = estimate(data, SPEC.replace(cluster="g"), bandwidth=0.4)
    plain = estimate(data, SPEC, bandwidth=0.4)
    assert clustered.estimate == pytest.approx(plain.estimate) and clustered.df == 199
    assert 0.7 < clustered.standard_error / plain.standard_error < 1.4
    shuffled = rng.permutation(1000)
    again = estimate({k: v[shuffled] for k, v in reversed(data.items())}, SPEC)
    assert again.interval == pytest.approx(estimate(data, SPEC).interval, rel=1e-9)


def test_a_donut_leaves_rows_out_and_says_so():
    found = estimate(columns(), SPEC, donut=0.02)
    assert found.warnings[0].code == "donut" and found.n < 1000 and abs(found.estimate - 2) < 0.3


@pytest.mark.parametrize(("spec", "change", "code"), [
    (SPEC.replace(cutoff=7.0), {}, "cutoff_outside"),
    (SPEC.replace(cutoff=0.75), {}, "too_few_near"),
    (SPEC.replace(cutoff=-0.4), {}, "no_jump"),
    (SPEC.replace(cutoff=None), {"d": np.arange(1000) % 2}, "cutoff_not_found"),
    (SPEC, {"d": np.zeros(1000, dtype=int)}, "treatment_constant"),
    (SPEC, {"d": np.array(["a", "b", "c", "d"] * 250)}, "several_arms"),
    (SPEC, {"x": np.array(["a", "b", "c", "d"] * 250)}, "running_not_numeric"),
    (SPEC.replace(quantity="ATT"), {}, "quantity_not_available"),
])
def test_refusals(spec, change, code):
    found = estimate(columns() | change, spec)
    assert isinstance(found, Refused) and found.code == code, found


def test_rows_that_do_not_reach_the_cutoff_are_no_comparison():
    """Below the cutoff all rows are far away: none of a jump, and none of a kink, is seen."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, 3000)
    for start, kept in ((-0.02, True), (-0.5, False), (-0.9, False)):
        rows = (x < start) | (x >= 0)
        data = {"x": x[rows], "d": (x[rows] >= 0).astype(int), "dose": np.maximum(x[rows], 0),
                "y": np.sin(2 * x[rows]) + 0.3 * rng.standard_normal(rows.sum())}
        jump = estimate(data, SPEC)
        kink = estimate(data, SPEC.replace(treatments=("dose",)), change="kink")
        if kept:
            assert isinstance(jump, Effect) and isinstance(kink, Effect)
        else:
            assert jump.code == kink.code == "gap_at_cutoff" and jump.evidence["side"] == "below"
    rows = (x < -0.1) | (x >= 0)
    data = {"x": x[rows], "d": (x[rows] >= 0).astype(int), "y": x[rows] + rng.standard_normal(rows.sum())}
    stretched = estimate(data, SPEC, bandwidth=0.3)
    assert "gap_at_cutoff" in {w.code for w in stretched.warnings}
    alone = estimate({"x": np.abs(x), "d": np.arange(3000) % 2, "y": x}, SPEC)
    assert isinstance(alone, Refused) and alone.code == "cutoff_outside"  # no row at all below
    apart = estimate(columns(), SPEC, donut=0.15)  # what was left out on purpose is no gap
    assert isinstance(apart, Effect), apart


def test_without_a_treatment_the_rule_is_it():
    data = columns()
    full = estimate(data, SPEC)
    alone = {name: data[name] for name in ("x", "y")}
    for given in ({}, {"treatments": []}, {"treatments": [""]}, {"cutoff": 0.0}):
        found = estimate(alone, {"strategy": "rdd", "outcomes": ["y"], "running_variable": "x", **given})
        assert found.interval == full.interval and found.spec.treatments == ("x >= 0",) and found.spec.cutoff == 0
        assert "No treatment is named" in found.warnings[0].text
    moved = estimate(alone, {"strategy": "rdd", "outcomes": ["y"], "running_variable": "x", "cutoff": 0.25})
    assert moved.diagnostics["cutoff"] == 0.25 and moved.interval[0] < 0 < moved.interval[1]  # nothing happens there
    outside = estimate(alone, {"strategy": "rdd", "outcomes": ["y"], "running_variable": "x", "cutoff": 9})
    assert isinstance(outside, Refused) and outside.code == "treatment_constant"
    with pytest.raises(WhenceError) as caught:
        Spec.from_dict({"strategy": "did", "treatments": [""], "outcomes": ["y"]})
    assert caught.value.code == "missing_role"


def test_what_is_missing_is_named():
    with pytest.raises(WhenceError) as caught:
        estimate(columns(), SPEC.replace(running_variable=None))
    assert caught.value.code == "missing_role"
    assert estimate(columns(), SPEC, method="regression").code == "other_design"


def test_a_cutoff_that_was_found_comes_with_its_evidence():
    rng = np.random.default_rng(4)
    x = rng.uniform(-1, 1, 4000)
    for chance, confirmed in ((np.where(x >= 0.1, 0.9, 0.1), True), (1 / (1 + np.exp(-20 * x)), False)):
        d = (rng.random(4000) < chance).astype(int)
        found = estimate({"x": x, "d": d, "y": x + d + rng.standard_normal(4000)}, SPEC.replace(cutoff=None))
        if isinstance(found, Refused):  # a steep curve may leave no jump at the place that was found
            assert not confirmed and found.code == "no_jump"
            continue
        evidence = found.diagnostics["cutoff_evidence"]
        assert (evidence["p_value"] < 0.05) == confirmed and len(evidence["halves"]) == 2
        assert ("steep curve" in found.warnings[0].text) != confirmed
    sharp = estimate(columns(), SPEC.replace(cutoff=None))
    assert sharp.diagnostics["cutoff_evidence"]["p_value"] < 1e-9
