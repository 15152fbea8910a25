"""Overlap: who lacks a counterpart, by the fitted chances and by what happened among the least likely."""

from __future__ import annotations

import numpy as np
import pytest

from whence.core.result import Refused
from whence.estimation.estimate import estimate
from whence.estimation.overlap import hardly_ever
from whence.identification.spec import Spec

SPEC = Spec("adjustment", ("t",), ("y",), controls=("x", "z"))
LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear", "n_splits": 1}


def test_groups_without_anyone_are_found_and_no_larger():
    rng = np.random.default_rng(0)
    chance = np.where(np.arange(4000) < 1600, rng.uniform(0.001, 0.01, 4000), rng.uniform(0.01, 0.6, 4000))
    inside = (np.arange(4000) >= 1600) & (rng.random(4000) < chance)
    found = hardly_ever(chance, inside, 0.004)
    assert found[:1600].all() and found[1600:].sum() <= 80 and inside[found].sum() <= 3
    assert not hardly_ever(chance, rng.random(4000) < 0.02, 0.004).any()


@pytest.mark.parametrize("size", [300, 1000])
def test_few_rows_are_no_evidence(size):
    chance = np.linspace(0.001, 0.9, size)
    assert not hardly_ever(chance, chance > 0.5, 0.004).any()


def test_equal_chances_are_one_group():
    assert not hardly_ever(np.full(5000, 0.01), np.zeros(5000, dtype=bool), 0.004).any()


def people(n, never):
    """A rule that the learner does not see: nobody with z below ``never`` is treated."""
    rng = np.random.default_rng(3)
    x, z = rng.normal(size=n), rng.random(n)
    t = (rng.random(n) < 0.4) & (z > never)
    return {"x": x, "z": z, "t": t, "y": x + t * (1 + 2 * z) + rng.normal(size=n)}


def test_a_hard_rule_behind_smooth_chances_is_refused(make_table):
    """The logit gives those never treated chances of up to a quarter; that nobody of them was treated tells."""
    table = make_table(people(6000, 0.45), t="binary")
    answer = estimate(table, SPEC, "aipw", **LINEAR)
    assert isinstance(answer, Refused) and answer.code == "no_overlap"
    assert answer.evidence["share_without_counterpart"] > 0.3 and "ATT" in answer.remedy
    treated = estimate(table, SPEC.replace(quantity="ATT"), "aipw", **LINEAR)
    assert abs(treated.estimate - (1 + 2 * 0.725)) < 4 * treated.standard_error
    assert isinstance(estimate(table, SPEC, "ipw"), Refused)


def test_rare_but_present_everywhere_is_answered(make_table):
    rng = np.random.default_rng(4)
    x, z = rng.normal(size=(2, 6000))
    t = rng.random(6000) < 1 / (1 + np.exp(2.5 - 0.5 * x))
    table = make_table({"x": x, "z": z, "t": t, "y": x + t + rng.normal(size=6000)}, t="binary")
    effect = estimate(table, SPEC, "aipw", **LINEAR)
    assert abs(effect.estimate - 1) < 4 * effect.standard_error
