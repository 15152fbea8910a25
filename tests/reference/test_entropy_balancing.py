"""Entropy balancing against a general-purpose minimiser of the entropy distance and stacked equations with numerical
derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, linprog, minimize

from whence.core.result import Refused
from whence.estimation.entropy_balancing import balance
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

RNG = np.random.default_rng(31)
N = 300
X = RNG.normal(size=(N, 2))
T = (RNG.random(N) < 1 / (1 + np.exp(-0.7 * X[:, 0] + 0.5 * X[:, 1]))).astype(int)
Y = X[:, 0] ** 2 + T * (1 + X[:, 1]) + RNG.normal(size=N)
W = RNG.uniform(0.5, 2, N)
Z = (X - X.mean(axis=0)) / X.std(axis=0)


def test_the_weights_are_those_of_least_entropy():
    """Minimise sum p log(p / q) over shares p with the treated means, by a solver that knows nothing of the dual."""
    c, q = Z[T == 0][:40], W[T == 0][:40] / W[T == 0][:40].sum()
    aim = 0.4 * Z[T == 1].mean(axis=0)
    slow = minimize(lambda p: np.sum(p * np.log(np.maximum(p, 1e-300) / q)), q, method="trust-constr",
                    jac=lambda p: np.log(np.maximum(p, 1e-300) / q) + 1, bounds=[(1e-12, 1)] * 40,
                    constraints=[LinearConstraint(np.vstack([np.ones(40), c.T]), [1, *aim], [1, *aim])],
                    options={"gtol": 1e-10, "xtol": 1e-14, "maxiter": 3000})
    fast = balance(c - aim, q)
    assert fast.problem is None
    assert fast.weights / 40 @ c == pytest.approx(aim, abs=1e-7)
    assert fast.weights / 40 == pytest.approx(slow.x, abs=2e-5)


@pytest.mark.parametrize("seed", range(40))
def test_infeasible_exactly_when_the_linear_program_says_so(seed):
    rng = np.random.default_rng(seed)
    c = rng.normal(size=(12, 3)) + rng.uniform(0, 1.5)
    feasible = linprog(np.zeros(12), A_eq=np.vstack([np.ones(12), c.T]), b_eq=[1, 0, 0, 0]).status == 0
    found = balance(c, np.ones(12))
    assert (found.problem is None) == feasible
    assert feasible or found.problem == "infeasible"


def equations(theta, quantity, w, y, by_row=False):
    """Rows of the stacked equations of m (2), lambda of each arm (2 + 2), mean of arm 1 and of arm 0."""
    m, lam, means = theta[:2], {1: theta[2:4], 0: theta[4:6]}, {1: theta[6], 0: theta[7]}
    s = w * {"ATE": np.ones(N), "ATT": T == 1, "ATC": T == 0}[quantity]
    rows = [s * (Z[:, j] - m[j]) for j in range(2)]
    raised = {a: w * (a == T) * np.exp((Z - m) @ lam[a]) for a in (0, 1)}
    for a in (1, 0):
        rows += [raised[a] * (Z[:, j] - m[j]) for j in range(2)]
    rows += [raised[a] * (y - means[a]) for a in (1, 0)]
    rows = np.array(rows)
    return rows if by_row else rows.sum(axis=1)


def solve(quantity, w, y):
    theta, step = np.zeros(8), 1e-5
    for _ in range(80):
        slope = np.empty((8, 8))
        for j in range(8):
            move = np.zeros(8)
            move[j] = step
            slope[:, j] = (equations(theta + move, quantity, w, y) - equations(theta - move, quantity, w, y)) / 2 / step
        change = np.linalg.solve(slope, equations(theta, quantity, w, y))
        theta = theta - change
        if np.abs(change).max() < 1e-12:
            break
    rows = equations(theta, quantity, w, y, by_row=True)
    inverse = np.linalg.inv(slope)
    spread = inverse @ (rows @ rows.T) @ inverse.T
    contrast = np.array([0, 0, 0, 0, 0, 0, 1, -1.0])
    return contrast @ theta, np.sqrt(contrast @ spread @ contrast)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("quantity", ["ATE", "ATT", "ATC"])
def test_stacked_equations(make_table, quantity, weighted):
    """Clusters of one row switch the HC2 factor off, and their own factor is known."""
    table = make_table({"t": T, "y": Y, "a": X[:, 0], "b": X[:, 1], "w": W, "g": np.arange(N)}, t="binary", g="count")
    spec = Spec("adjustment", ("t",), ("y",), quantity, controls=("a", "b"), weights="w" if weighted else None)
    effect = estimate(table, spec.replace(cluster="g"), "entropy_balancing", moments="means")
    expected = solve(quantity, W if weighted else np.ones(N), Y)
    assert effect.estimate == pytest.approx(expected[0], rel=1e-6)
    assert effect.standard_error == pytest.approx(expected[1] * np.sqrt(N / (N - 1)), rel=1e-5)
    alone = estimate(table, spec, "entropy_balancing", moments="means")
    assert 1 < alone.standard_error / expected[1] < 1.15


def test_moments_balanced_are_equal(make_table):
    table = make_table({"t": T, "y": Y, "a": X[:, 0], "b": X[:, 1]}, t="binary")
    spec = Spec("adjustment", ("t",), ("y",), "ATT", controls=("a", "b"))
    for moments, columns in (("means", 2), ("variances", 4), ("interactions", 5)):
        effect = estimate(table, spec, "entropy_balancing", moments=moments)
        assert not isinstance(effect, Refused) and effect.diagnostics["columns"] == columns
        for seen in effect.diagnostics["balance"]["1 vs 0"].values():
            assert seen["largest_imbalance_after"] < 1e-7
