from __future__ import annotations

import json

import numpy as np
import pytest

from whence.checks.robustness import robustness


def test_darfur(darfur, effect_of):
    """Cinelli and Hazlett (2020), table 1 and section 5: numbers as printed by their software."""
    controls = ["age", "farmer_dar", "herder_dar", "pastvoted", "hhsize_darfur", "village", "female"]
    fields = {"treatments": ("directlyharmed",), "outcomes": ("peacefactor",)}
    effect = effect_of(darfur, controls, degree=1, interactions=False, **fields)
    found = robustness(darfur, effect)
    numbers = found.numbers
    assert numbers["estimate"] == pytest.approx(0.0973, abs=5e-5)
    assert numbers["classical_error"] == pytest.approx(0.0233, abs=5e-5) and numbers["freedom"] == 783
    assert numbers["partial_r2"] == pytest.approx(0.0219, abs=5e-5)
    assert numbers["robustness_value"] == pytest.approx(0.139, abs=5e-4)
    assert numbers["robustness_value_interval"] == pytest.approx(0.0763, abs=5e-4)
    like = {b["times"]: b for b in numbers["benchmarks"] if b["control"] == "female"}
    printed = {1: (0.0092, 0.1246, 0.0752, 0.0219), 2: (0.0183, 0.2493, 0.0529, 0.0204),
               3: (0.0275, 0.3741, 0.0304, 0.0187)}
    for times, expected in printed.items():
        b = like[times]
        got = (b["treatment_r2"], b["outcome_r2"], b["estimate"], b["standard_error"])
        assert got == pytest.approx(expected, abs=6e-5)
    assert numbers["strongest"] == "female" and numbers["not_benchmarks"] == ["village"]
    assert found.verdict == "pass" and "13.9%" in found.saw


def test_worries_when_a_confounder_like_a_control_would_do(table_of, effect_of):
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    d = (x + rng.normal(size=400) > 0).astype(float)
    table = table_of({"d": d, "y": 0.4 * d + 2 * x + rng.normal(size=400), "x": x})
    found = robustness(table, effect_of(table, ["x"]))
    assert found.numbers["robustness_value_interval"] > 0
    assert found.verdict == "worry" and "enough to change the answer" in found.saw


@pytest.mark.parametrize("method", ["regression", "ipw", "aipw"])
def test_passes_when_the_effect_towers_over_the_controls(table_of, effect_of, method):
    rng = np.random.default_rng(1)
    x, z = rng.normal(size=(2, 400))
    d = (0.2 * x + rng.normal(size=400) > 0).astype(float)
    table = table_of({"d": d, "y": 2 * d + 0.2 * x + rng.normal(size=400), "x": x, "z": z})
    found = robustness(table, effect_of(table, ["x", "z"], method))
    assert found.verdict == "pass" and found.numbers["robustness_value"] > 0.4
    assert "linear regression" in found.saw
    json.dumps([found.numbers, found.figure], allow_nan=False)


def test_the_curve_in_the_figure_brings_the_estimate_to_zero(confounded, effect_of):
    from whence.checks.hidden import adjusted

    found = robustness(confounded, effect_of(confounded, ["x1", "x2", "group"]))
    n = found.numbers
    for treatment_r2, outcome_r2 in found.figure["zero"]:
        left, _ = adjusted(n["estimate"], n["classical_error"], n["freedom"], treatment_r2, outcome_r2)
        assert left == pytest.approx(0, abs=1e-9)
    assert {p["label"] for p in found.figure["points"]} == {"x1", "x2", "group"}


def test_informational_without_controls_and_when_the_interval_holds_zero(confounded, table_of, effect_of):
    alone = robustness(confounded, effect_of(confounded, [], "difference"))
    assert alone.verdict == "informational" and alone.applies and "no control to compare" in alone.saw
    rng = np.random.default_rng(2)
    table = table_of({"d": np.tile([0.0, 1.0], 50), "y": rng.normal(size=100), "x": rng.normal(size=100)})
    found = robustness(table, effect_of(table, ["x"]))
    assert found.verdict == "informational" and "includes zero as it is" in found.saw


def test_a_category_counts_as_one_control(confounded, effect_of):
    found = robustness(confounded, effect_of(confounded, ["x1", "group"], degree=1))
    assert {b["control"] for b in found.numbers["benchmarks"]} == {"x1", "group"}
    y, d, x = (confounded.numeric(name) for name in ("y", "d", "x1"))
    codes, one = confounded.codes("group"), np.ones(600)

    def rss(target, *columns):
        design = np.column_stack(columns)
        return ((target - design @ np.linalg.lstsq(design, target, rcond=None)[0]) ** 2).sum()

    r2 = 1 - rss(d, one, x, codes == 1, codes == 2) / rss(d, one, x)
    group = next(b for b in found.numbers["benchmarks"] if b["control"] == "group" and b["times"] == 1)
    assert group["treatment_r2"] == pytest.approx(r2 / (1 - r2))
    assert rss(y, d, one, x) > rss(y, d, one, x, codes == 1, codes == 2)


def test_negative_effects_are_treated_alike(confounded, table_of, effect_of):
    columns = {name: confounded.numeric(name) for name in ("d", "y", "x1", "x2")}
    plus, minus = (table_of({**columns, "y": sign * columns["y"]}) for sign in (1, -1))
    up, down = (robustness(t, effect_of(t, ["x1", "x2"])) for t in (plus, minus))
    assert up.verdict == down.verdict and up.numbers["strongest"] == down.numbers["strongest"]
    assert up.numbers["strongest_estimate"] == pytest.approx(-down.numbers["strongest_estimate"])


def test_has_no_meaning_in_an_experiment(confounded, effect_of):
    assert not robustness(confounded, effect_of(confounded, ["x2"], strategy="rct")).applies


def test_a_perfect_fit_has_nothing_hidden(table_of, effect_of):
    d = np.tile([0.0, 1.0], 20)
    x = np.arange(40.0)
    table = table_of({"d": d, "y": d + x, "x": x})
    found = robustness(table, effect_of(table, ["x"]))
    assert found.verdict == "informational" and "fits perfectly" in found.saw
