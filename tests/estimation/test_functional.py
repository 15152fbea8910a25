"""Values and derivatives of estimands on tables, against evaluation and finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from whence.estimation.functional import Masses, conditions, enters_as_mean, evaluated
from whence.identification.expression import Expression, P, Product, Quotient, Sum
from whence.identification.identify import identify

NAPKIN = "w --> r; r --> x; x --> y; w <-> x; w <-> y"
FRONT = "x --> m; m --> y; x <-> y"
COVARIATES = "x --> m; m --> y; x <-> y; w --> x; w --> m; w --> y"
GRAPHS = (NAPKIN, FRONT, COVARIATES)


def expression_of(text: str) -> Expression:
    found = identify(text, "x", "y")
    return found.expression  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("text", GRAPHS)
def test_value_is_that_of_the_expression(text: str) -> None:
    expression = expression_of(text)
    names = tuple(sorted(expression.variables))
    mass = np.random.default_rng(1).integers(1, 30, [2, 3, 2, 3][: len(names)]).astype(float)
    node = evaluated(expression, Masses(names, mass))
    assert np.allclose(node.value, expression.evaluate(mass / mass.sum(), names), rtol=1e-13)


@pytest.mark.parametrize("text", GRAPHS)
def test_derivative_is_that_of_finite_differences(text: str) -> None:
    expression = expression_of(text)
    names = tuple(sorted(expression.variables))
    rng = np.random.default_rng(2)
    mass = rng.integers(3, 30, [2, 3, 2, 3][: len(names)]).astype(float)
    direction = rng.normal(size=evaluated(expression, Masses(names, mass)).value.shape)
    table = Masses(names, mass)
    evaluated(expression, table).pull(direction)
    assert abs((mass * table.by_mass).sum()) < 1e-12  # the formula does not change with the total
    for place in np.ndindex(mass.shape):
        ends = []
        for step in (1e-5, -1e-5):
            moved = mass.copy()
            moved[place] += step
            ends.append(float((evaluated(expression, Masses(names, moved)).value * direction).sum()))
        assert table.by_mass[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("text", GRAPHS)
def test_mean_outcome_is_the_sum_over_its_levels(text: str) -> None:
    expression = expression_of(text)
    names = tuple(sorted(expression.variables))
    mass = np.random.default_rng(3).integers(1, 30, [2, 3, 2, 3][: len(names)]).astype(float)
    y, scores = names.index("y"), np.arange(mass.shape[names.index("y")]) * 1.5 - 1
    shape = [-1 if k == y else 1 for k in range(len(names))]
    by_level = evaluated(expression, Masses(names, mass)).value
    rest = tuple(n for n in names if n != "y")
    means = Masses(rest, mass.sum(axis=y), (mass * scores.reshape(shape)).sum(axis=y), "y")
    assert enters_as_mean(expression, "y")
    assert np.allclose(evaluated(expression, means).value, (by_level * scores.reshape(shape)).sum(axis=y))


def test_where_a_mean_may_stand() -> None:
    once = Sum(("z",), Product((P(("y",), ("x", "z")), P(("z",)))))
    assert enters_as_mean(once, "y")
    assert not enters_as_mean(Sum(("y",), once), "y") and not enters_as_mean(P(("z",), ("y",)), "y")
    assert not enters_as_mean(Product((once, P(("y",)))), "y")
    assert not enters_as_mean(Quotient(P(("y", "x")), P(("y",))), "y")
    assert conditions(once) == [("x", "z")] and conditions(Product((once, once))) == [("x", "z")]


def test_what_lacks_is_named_and_only_that() -> None:
    names = ("m", "x", "y")
    mass = np.ones((3, 2, 2))
    mass[2, 1] = 0  # m = 2 never with x = 1
    expression = expression_of(FRONT)
    root = evaluated(expression, Masses(names, mass))
    # With x = 0 the value m = 2 occurs, so what y does there under x = 1 is needed; with x = 1 it is not.
    assert np.isnan(root.value[:, 0]).all() and not np.isnan(root.value[:, 1]).any()
    assert {tuple(sorted(c.items())) for c in root.lacking(np.isnan(root.value))} == {(("m", 2), ("x", 1))}
    table = Masses(names, mass)
    evaluated(expression, table).pull(np.array([[[0.0, 0.0], [0.0, 1.0]]]))
    assert np.isfinite(table.by_mass).all()


def test_a_denominator_that_is_zero_is_named() -> None:
    mass = np.ones((2, 2, 2, 2))  # r, w, x, y
    mass[1, :, 1] = 0
    root = evaluated(expression_of(NAPKIN), Masses(("r", "w", "x", "y"), mass))
    assert {"r": 1, "x": 1} in list(root.lacking(np.isnan(root.value)))


def test_a_product_of_nothing_is_one() -> None:
    node = evaluated(Product(()), Masses(("x",), np.ones(2)))
    node.pull(np.ones(1))
    assert node.value.tolist() == [1.0] and not list(node.lacking(np.ones(1, dtype=bool)))
