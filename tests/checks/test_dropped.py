from __future__ import annotations

import numpy as np
import pytest

from whence.checks.dropped import dropped


def test_passes_when_no_control_matters_much(table_of, effect_of):
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, 500))
    d = (rng.random(500) < 0.5).astype(float)
    table = table_of({"d": d, "y": d + x + z + rng.normal(size=500), "x": x, "z": z})
    found = dropped(table, effect_of(table, ["x", "z"]))
    assert found.verdict == "pass"
    assert [r["label"] for r in found.figure["rows"]][:1] == ["all controls"] and len(found.figure["rows"]) == 3


def test_worries_when_the_sign_hangs_on_one_control(table_of, effect_of):
    rng = np.random.default_rng(1)
    x, z = rng.normal(size=(2, 500))
    d = (x + rng.normal(size=500) > 0).astype(float)
    table = table_of({"d": d, "y": d - 3 * x + z + rng.normal(size=500), "x": x, "z": z})
    found = dropped(table, effect_of(table, ["x", "z"]))
    assert found.verdict == "worry" and found.numbers["flips"] == ["x"] and found.numbers["moves_most"] == "x"
    assert "The sign changes without 'x'" in found.saw


def test_worries_when_the_estimate_leaves_its_interval(confounded, effect_of):
    found = dropped(confounded, effect_of(confounded, ["x1", "x2", "group"], "ipw"))
    assert found.verdict == "worry" and found.numbers["leaves"] == ["x1"] and not found.numbers["flips"]


def test_each_row_is_the_regression_without_that_control(confounded, effect_of):
    found = dropped(confounded, effect_of(confounded, ["x1", "x2", "group"], degree=1))
    codes = confounded.codes("group")
    columns = {"x1": [confounded.numeric("x1")], "x2": [confounded.numeric("x2")],
               "group": [codes == 1, codes == 2]}
    for row in found.figure["rows"][1:]:
        kept = [c for name, part in columns.items() if f"without {name}" != row["label"] for c in part]
        design = np.column_stack([confounded.numeric("d"), np.ones(600), *kept])
        beta = np.linalg.lstsq(design, confounded.numeric("y"), rcond=None)[0]
        assert row["estimate"] == pytest.approx(beta[0])


def test_one_control_and_a_constant_one(table_of, effect_of):
    rng = np.random.default_rng(2)
    d = np.tile([0.0, 1.0], 100)
    table = table_of({"d": d, "y": d + rng.normal(size=200), "x": rng.normal(size=200), "c": np.full(200, 3.0)})
    found = dropped(table, effect_of(table, ["x", "c"]))
    assert found.verdict == "pass" and found.numbers["controls"] == 1
    assert "Without 'x' it is" in found.saw


def test_a_copied_control_is_not_missed(table_of, effect_of):
    rng = np.random.default_rng(3)
    x = rng.normal(size=300)
    d = (x + rng.normal(size=300) > 0).astype(float)
    table = table_of({"d": d, "y": d + 2 * x + rng.normal(size=300), "x": x, "twin": 3 * x - 1})
    found = dropped(table, effect_of(table, ["x", "twin"]))
    assert found.verdict == "pass"
    assert found.numbers["smallest"] == pytest.approx(found.numbers["largest"])


def test_missing_values_clusters_weights_and_a_dose(table_of, effect_of):
    rng = np.random.default_rng(4)
    x = rng.normal(size=400)
    x[:40] = np.nan
    dose = np.nan_to_num(x) + rng.normal(size=400)
    table = table_of({"d": dose, "y": dose + np.nan_to_num(x) + rng.normal(size=400), "x": x,
                      "g": rng.integers(0, 25, 400).astype(str).astype(object), "w": rng.uniform(1, 2, 400)})
    effect = effect_of(table, ["x"], "regression", cluster="g", weights="w", degree=1)
    found = dropped(table, effect)
    assert found.numbers["estimate"] == pytest.approx(effect.estimate)
    assert (found.numbers["high"] - found.numbers["low"]) / 2 == pytest.approx(
        1.959964 * effect.standard_error, rel=0.05)


def test_has_no_meaning_without_controls(confounded, effect_of):
    assert not dropped(confounded, effect_of(confounded, [], "difference")).applies
