from __future__ import annotations

import json

import numpy as np
import pytest

from whence.checks.overlap import overlap, overlap_of


def test_overlap_by_hand():
    score = np.array([0.1, 0.3, 0.5, 0.4, 0.6, 0.98])
    treated = np.array([False, False, False, True, True, True])
    weights = np.array([1.0, 1.0, 2.0, 1.0, 1.0, 1.0])
    found = overlap_of(score, treated, weights, np.ones(6, dtype=bool), 0.05)
    assert (found.low, found.high) == (0.4, 0.5)
    assert found.outside == pytest.approx(4 / 6) and found.extreme == pytest.approx(1 / 6)
    assert found.effective == pytest.approx((3.0, 16 / 6)) and found.rows == (3, 3)
    assert found.heaviest == pytest.approx(0.5)
    only = overlap_of(score, treated, weights, treated, 0.05)
    assert only.outside == pytest.approx(2 / 3) and only.extreme == pytest.approx(1 / 3)


@pytest.mark.parametrize("method", ["regression", "ipw", "aipw"])
def test_passes_where_both_arms_occur_everywhere(confounded, effect_of, method):
    found = overlap(confounded, effect_of(confounded, ["x1", "x2", "group"], method))
    assert found.verdict == "pass", found.saw
    figure = found.figure
    assert len(figure["edges"]) == len(figure["treated"]) + 1 == len(figure["control"]) + 1
    assert sum(figure["treated"]) + sum(figure["control"]) == len(confounded)
    json.dumps(found.numbers, allow_nan=False)


def test_worries_when_the_groups_hardly_meet(table_of, effect_of):
    rng = np.random.default_rng(0)
    d = np.repeat([0.0, 1.0], 300)
    x = rng.normal(size=600) + 3.5 * d
    table = table_of({"d": d, "y": d + x + rng.normal(size=600), "x": x})
    found = overlap(table, effect_of(table, ["x"]))
    assert found.verdict == "worry" and found.numbers["extreme_rows"] > 0.5


def test_complete_separation_is_a_worry_and_no_crash(table_of, effect_of):
    rng = np.random.default_rng(0)
    d = np.repeat([0.0, 1.0], 100)
    x = rng.uniform(size=200) + 2 * d
    table = table_of({"d": d, "y": d + x + rng.normal(size=200), "x": x})
    assert overlap(table, effect_of(table, ["x"], interactions=False)).verdict == "worry"


def test_one_heavy_row_is_a_worry(table_of, effect_of):
    """A single treated row where treatment is rare carries much of the weight."""
    rng = np.random.default_rng(7)
    x = np.r_[rng.normal(1, 0.3, 200), rng.normal(-1, 0.3, 400)]
    d = np.r_[(rng.random(200) < 0.9), np.zeros(400)].astype(float)
    d[250] = 1.0
    table = table_of({"d": d, "y": rng.normal(size=600), "x": x})
    found = overlap(table, effect_of(table, ["x"]))
    assert found.verdict == "worry" and found.numbers["heaviest"] > 0.1


def test_att_asks_only_for_counterparts_of_the_treated(table_of, effect_of):
    """Half the untreated are like nobody treated: bad for the ATE, no matter for the ATT."""
    rng = np.random.default_rng(8)
    x = np.r_[rng.normal(0, 1, 600), rng.normal(-6, 0.5, 600)]
    d = np.r_[rng.random(600) < 0.5, np.zeros(600)].astype(float)
    table = table_of({"d": d, "y": rng.normal(size=1200), "x": x})
    effect = effect_of(table, ["x"], "regression", quantity="ATT")
    assert overlap(table, effect).verdict == "pass"
    assert overlap(table, effect_of(table, ["x"], "regression")).verdict == "worry"


def test_uses_the_rows_the_estimator_kept(confounded, effect_of):
    effect = effect_of(confounded, ["x1", "x2", "group"], "ipw", trim=0.2)
    assert effect.n < len(confounded)
    found = overlap(confounded, effect)
    assert found.numbers["treated"] + found.numbers["control"] == effect.n


def test_villages_with_a_single_arm_have_no_overlap(darfur, effect_of):
    """Village fixed effects: many villages have only harmed or only unharmed people, and that must show."""
    controls = ["age", "pastvoted", "village", "female"]
    fields = {"treatments": ("directlyharmed",), "outcomes": ("peacefactor",)}
    effect = effect_of(darfur, controls, degree=1, interactions=False, **fields)
    found = overlap(darfur, effect)
    harmed, village = darfur.numeric("directlyharmed"), darfur.codes("village")
    share = np.bincount(village, harmed) / np.bincount(village)
    alone = np.isin(share[village], (0.0, 1.0)).mean()
    assert found.verdict == "worry" and found.numbers["extreme_rows"] == pytest.approx(alone, abs=0.02)


def test_has_no_meaning_without_controls_or_for_a_dose(confounded, table_of, effect_of):
    assert not overlap(confounded, effect_of(confounded, [], "difference")).applies
    rng = np.random.default_rng(2)
    dose = table_of({"d": rng.normal(size=60), "y": rng.normal(size=60), "x": rng.normal(size=60)})
    assert not overlap(dose, effect_of(dose, ["x"])).applies
