"""Notation and evaluation of estimands."""

from __future__ import annotations

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.identification.expression import P, Product, Sum, adjustment_formula


def test_notation() -> None:
    formula = adjustment_formula(("y",), ("x",), ("z", "age"))
    assert formula.text() == "sum over z, age of P(y | x, z, age) * P(z, age)"
    assert formula.unicode() == str(formula) == "Σ_{z, age} P(y | x, z, age) P(z, age)"
    assert formula.latex() == r"\sum_{z, \text{age}} P(y \mid x, z, \text{age}) \, P(z, \text{age})"
    assert adjustment_formula(("y",), ("x",), ()) == P(("y",), ("x",))
    assert P(("y",), ("w",), ("x",)).latex() == r"P(y \mid \mathrm{do}(x), w)"
    assert Product((Sum(("a",), P(("a",))), P(("b",)))).text() == "[sum over a of P(a)] * P(b)"
    assert formula.variables == {"x", "y", "z", "age"}


def test_evaluation_against_loops() -> None:
    joint = np.random.default_rng(1).uniform(size=(2, 3, 4))
    joint /= joint.sum()
    found = adjustment_formula(("y",), ("x",), ("z",)).evaluate(joint, ("z", "x", "y"))
    for x in range(3):
        for y in range(4):
            by_hand = sum(joint[z, x, y] / joint[z, x].sum() * joint[z].sum() for z in range(2))
            assert found[0, x, y] == pytest.approx(by_hand, abs=1e-12)


def test_what_never_happens_is_nan_unless_its_weight_is_zero() -> None:
    joint = np.zeros((2, 2, 2))
    joint[0] = 0.25
    found = adjustment_formula(("y",), ("x",), ("z",)).evaluate(joint, ("z", "x", "y"))
    assert np.allclose(found, 0.5)
    joint[1, 0, 0] = 0.25
    found = adjustment_formula(("y",), ("x",), ("z",)).evaluate(joint, ("z", "x", "y"))
    assert not np.isnan(found[:, 0]).any() and np.isnan(found[:, 1]).all()


def test_an_intervention_is_not_evaluated() -> None:
    with pytest.raises(WhenceError) as error:
        P(("y",), (), ("x",)).evaluate(np.ones((2, 2)) / 4, ("x", "y"))
    assert error.value.code == "not_observational"
