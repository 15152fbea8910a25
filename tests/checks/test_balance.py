from __future__ import annotations

import json
import math

import numpy as np
import pytest

from whence.checks.balance import balance, differences
from whence.core.errors import WhenceError


def by_hand(column, treated, before, after):
    """One column's differences and variance ratio, loops and textbook formulas (equal weights before)."""
    means, variances, shifted = {}, {}, {}
    for arm in (True, False):
        values = [v for v, t in zip(column, treated, strict=True) if t == arm]
        means[arm] = sum(values) / len(values)
        variances[arm] = sum((v - means[arm]) ** 2 for v in values) / (len(values) - 1)
        weights = [w for w, t in zip(after, treated, strict=True) if t == arm]
        shifted[arm] = sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)
    spread = math.sqrt((variances[True] + variances[False]) / 2)
    return (means[True] - means[False]) / spread, (shifted[True] - shifted[False]) / spread, \
        variances[True] / variances[False]


def test_differences_by_hand():
    rng = np.random.default_rng(0)
    columns, treated, after = rng.normal(size=(50, 3)), rng.random(50) < 0.4, rng.uniform(1, 3, 50)
    found = differences(columns, treated, np.ones(50), after)
    for j in range(3):
        before, weighted, ratio = by_hand(columns[:, j], treated, None, after)
        assert found.before[j] == pytest.approx(before) and found.after[j] == pytest.approx(weighted)
        assert found.ratio_before[j] == pytest.approx(ratio)


def test_arms_that_are_constant_and_differ_are_infinitely_far_apart():
    treated = np.array([True, True, False, False])
    columns = np.column_stack([treated * 1.0, np.ones(4)])
    found = differences(columns, treated, np.ones(4), np.ones(4))
    assert found.before[0] == math.inf and found.before[1] == 0 and np.isnan(found.ratio_before).all()


@pytest.mark.parametrize("method", ["regression", "ipw", "aipw"])
def test_passes_when_weighting_balances(confounded, effect_of, method):
    found = balance(confounded, effect_of(confounded, ["x1", "x2", "group"], method))
    assert found.verdict == "pass"
    assert found.numbers["largest_before"] > 0.4 > 0.1 > found.numbers["largest"]
    rows = {row["label"]: row for row in found.figure["rows"]}
    assert set(rows) == {"x1", "x2", "group=b", "group=c"}
    assert abs(rows["x1"]["before"]) > 0.4 and abs(rows["x1"]["after"]) < 0.1
    json.dumps(found.figure, allow_nan=False)


def test_worries_about_an_estimate_that_does_not_adjust(confounded, effect_of):
    found = balance(confounded, effect_of(confounded, ["x1", "x2", "group"], "difference"))
    assert found.verdict == "worry" and "x1" in found.numbers["columns_above"]
    assert "between the groups" in found.worry and found.numbers["weighted_by"] is None


def test_worries_when_the_propensity_model_misses_the_shape(table_of, effect_of):
    """The treatment depends on x squared only in the tails; a logit linear in x leaves z = x^3 far apart."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=800)
    d = (rng.random(800) < np.where(np.abs(x) > 1, 0.9, 0.2)).astype(float)
    table = table_of({"d": d, "y": d + x**2 + rng.normal(size=800), "x": x, "w": np.abs(x)})
    only_x = effect_of(table, ["x"], "ipw", degree=1)
    assert balance(table, only_x).verdict == "pass"  # x itself is balanced
    both = effect_of(table, ["x", "w"], "ipw", degree=1)
    forgot = both.__class__(**{**vars(both), "propensity": only_x.propensity})
    found = balance(table, forgot)
    assert found.verdict == "worry" and found.numbers["columns_above"] == ["w"]


def test_the_target_decides_the_weights(confounded, effect_of):
    controls = ["x1", "x2", "group"]
    means = {}
    for quantity in ("ATE", "ATT", "ATC"):
        effect = effect_of(confounded, controls, "ipw", quantity=quantity)
        assert balance(confounded, effect).verdict == "pass"
        means[quantity] = balance(confounded, effect).figure["rows"][2]["after"]
    assert len({round(v, 6) for v in means.values()}) == 3


def test_chance_imbalance_in_an_experiment_is_no_worry(table_of, effect_of):
    rng = np.random.default_rng(5)
    d, x = rng.permutation(np.repeat([0.0, 1.0], 40)), rng.normal(size=80)
    x += 0.25 * (d - 0.5)
    table = table_of({"d": d, "y": rng.normal(size=80), "x": x})
    found = balance(table, effect_of(table, ["x"], "difference", strategy="rct"))
    assert found.numbers["largest"] > 0.1 and found.verdict == "pass"
    far = table_of({"d": d, "y": rng.normal(size=80), "x": x + 2 * d})
    assert balance(far, effect_of(far, ["x"], "difference", strategy="rct")).verdict == "worry"


def test_threshold_is_a_parameter(confounded, effect_of):
    effect = effect_of(confounded, ["x1", "x2", "group"], "difference")
    assert balance(confounded, effect, threshold=5.0).verdict == "pass"
    with pytest.raises(WhenceError) as error:
        balance(confounded, effect, threshhold=5.0)
    assert error.value.code == "unknown_parameter"


def test_says_where_it_has_no_meaning(confounded, table_of, effect_of):
    assert not balance(confounded, effect_of(confounded, [], "difference")).applies
    rng = np.random.default_rng(2)
    dose = table_of({"d": rng.normal(size=60), "y": rng.normal(size=60), "x": rng.normal(size=60)})
    found = balance(dose, effect_of(dose, ["x"]))
    assert not found.applies and found.verdict == "informational"


def test_categorical_treatment_compares_the_contrast(table_of, effect_of):
    rng = np.random.default_rng(3)
    n = 600
    x = rng.normal(size=n)
    d = np.array(["low", "mid", "high"], dtype=object)[np.clip(np.round(x / 2 + 1 + 0.7 * rng.normal(size=n)), 0, 2)
                                                       .astype(int)]
    table = table_of({"d": d, "y": rng.normal(size=n) + x, "x": x})
    from whence.identification.spec import Contrast

    effect = effect_of(table, ["x"], "regression", contrast=Contrast("mid", "low"))
    found = balance(table, effect)
    rows = (d == "low") | (d == "mid")
    expected = by_hand(x[rows], (d == "mid")[rows], None, np.ones(rows.sum()))[0]
    assert found.figure["rows"][0]["before"] == pytest.approx(expected)


def test_sampling_weights_count_before_and_after(confounded, table_of, effect_of):
    rng = np.random.default_rng(4)
    whole = {name: confounded.numeric(name) for name in ("d", "y", "x1", "x2")}
    table = table_of({**whole, "w": rng.uniform(0.5, 4, len(confounded))})
    plain = balance(table, effect_of(table, ["x1", "x2"], "ipw"))
    weighted = balance(table, effect_of(table, ["x1", "x2"], "ipw", weights="w"))
    assert weighted.verdict == "pass"
    assert weighted.figure["rows"][0]["before"] != pytest.approx(plain.figure["rows"][0]["before"], abs=1e-4)
