"""Checks of an effect of several treatments: those that can hold the others fixed, and no others."""

from __future__ import annotations

import numpy as np
import pytest

from whence.checks.run import check
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

SPEC = Spec("adjustment", ("drug", "dose"), ("y",), controls=("a", "b"))
LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear"}
ONE = SPEC.replace(treatments=("drug",), controls=("a", "b", "dose"))


@pytest.fixture
def table(make_table):
    a, b, noise, other = np.random.default_rng(4).normal(size=(4, 500))
    drug = (a + other > 0).astype(int)
    dose = drug + b + np.random.default_rng(5).normal(size=500)
    return make_table({"drug": drug, "dose": dose, "y": drug + 2 * dose + a + b + noise, "a": a, "b": b}, drug="binary")


def test_those_that_look_at_two_groups_do_not_apply(table):
    effect = estimate(table, SPEC)
    found = {c.name: c for c in check(table, effect, ["balance", "overlap", "evalue", "rosenbaum", "tipping_point",
                                                      "specification_curve", "marginal_sensitivity", "assignment"])}
    assert all(not c.applies and "here are several" in c.saw for c in found.values())


def test_the_other_treatments_are_never_left_out(table):
    found = {c.name: c for c in check(table, estimate(table, SPEC, degree=1, interactions=False))}
    assert set(found) >= {"placebo", "dropped", "robustness"} and found["dropped"].numbers["controls"] == 2
    alone = {c.name: c for c in check(table, estimate(table, ONE, "regression", degree=1, interactions=False))}
    for name, key in (("placebo", "spread"), ("dropped", "estimate"), ("robustness", "robustness_value")):
        assert found[name].numbers[key] == pytest.approx(alone[name].numbers[key], rel=1e-9)
    assert {b["control"] for b in found["robustness"].numbers["benchmarks"]} == {"a", "b"}


def test_hidden_causes_of_the_first_treatment(table):
    """The bias of its slope scales as if the other treatment were one more control, taken out by a line."""
    both, one = (estimate(table, spec, "partially_linear", **LINEAR) for spec in (SPEC, ONE))
    values = [check(table, e, "omitted_variable")[0].numbers["robustness_value"] for e in (both, one)]
    assert values[0] == pytest.approx(values[1], rel=0.1)


def test_a_negative_control_with_the_treatments_held_fixed(table):
    extra = {"negative_control": {"exposure": "a"}}
    found = check(table, estimate(table, SPEC), "negative_control", parameters=extra)[0]
    alone = estimate(table, Spec("adjustment", ("a",), ("y",), controls=("b", "drug", "dose")), "regression")
    assert found.numbers["estimate"] == pytest.approx(alone.estimate, rel=1e-9)


def test_instruments_of_several_treatments(make_table):
    z1, z2, hidden, noise = np.random.default_rng(6).normal(size=(4, 400))
    drug, dose = z1 + hidden, z2 + 0.2 * z1 - hidden + np.random.default_rng(7).normal(size=400)
    table = make_table({"drug": drug, "dose": dose, "y": drug + dose + hidden + noise, "z1": z1, "z2": z2})
    spec = Spec("iv", ("drug", "dose"), ("y",), "LATE", instruments=("z1", "z2"))
    effect = estimate(table, spec)
    found = check(table, effect, "instrument")[0]
    assert found.numbers["effective_f"] == pytest.approx(min(effect.diagnostics["conditional_f"].values()))
    assert "conditional F" in found.saw
