"""Inverse weighting against a stacked M-estimation with numerical derivatives, for two and three arms."""

from __future__ import annotations

import numpy as np
import pytest

from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

RNG = np.random.default_rng(12)
N = 400
X = RNG.normal(size=(N, 2))
ARM = np.clip(np.digitize(X[:, 0] + RNG.logistic(size=N), [-0.6, 0.9]), 0, 2)
Y = X[:, 0] + ARM * (1 + X[:, 1]) + RNG.normal(size=N)
W = RNG.uniform(0.5, 2, N)


def probabilities(gamma, arms):
    """Multinomial probabilities (n, arms) by the formula, arm 0 as the base; gamma is ((arms - 1) * 3,)."""
    eta = np.column_stack([np.ones(N), X]) @ gamma.reshape(arms - 1, 3).T
    top = np.exp(np.column_stack([np.zeros(N), eta]))
    return top / top.sum(axis=1, keepdims=True)


def equations(theta, arm, arms, quantity, w, by_row=False):
    """Stacked estimating equations: scores of the propensity, then the mean of arm 1 and of arm 0."""
    gamma, mean1, mean0 = theta[:-2], theta[-2], theta[-1]
    p = probabilities(gamma, arms)
    x = np.column_stack([np.ones(N), X])
    h = {"ATE": np.ones(N), "ATT": p[:, 1], "ATC": p[:, 0], "ATO": 1 / (1 / p).sum(axis=1)}[quantity]
    rows = []
    for a in range(1, arms):
        rows += [w * ((arm == a) - p[:, a]) * x[:, j] for j in range(3)]
    rows.append(w * (arm == 1) * h / p[:, 1] * (Y - mean1))
    rows.append(w * (arm == 0) * h / p[:, 0] * (Y - mean0))
    rows = np.array(rows)
    return rows if by_row else rows.sum(axis=1)


def solve(arm, arms, quantity, w):
    """Newton on the stacked equations with central differences, then each row left out: the squares of the moves
    (A - A_i)^-1 psi_i, A_i what the row adds to the derivatives."""
    theta = np.zeros((arms - 1) * 3 + 2)
    step = 1e-5
    for _ in range(60):
        slope = np.empty((len(theta), len(theta)))
        for j in range(len(theta)):
            up, down = theta.copy(), theta.copy()
            up[j] += step
            down[j] -= step
            slope[:, j] = (equations(up, arm, arms, quantity, w) - equations(down, arm, arms, quantity, w)) / (2 * step)
        move = np.linalg.solve(slope, equations(theta, arm, arms, quantity, w))
        theta = theta - move
        if np.abs(move).max() < 1e-11:
            break
    contrast = np.zeros(len(theta))
    contrast[-2:] = 1, -1
    by_row = np.stack([
        (equations(theta + h, arm, arms, quantity, w, True) - equations(theta - h, arm, arms, quantity, w, True)) / 2e-5
        for h in np.eye(len(theta)) * 1e-5], axis=1)
    rows = equations(theta, arm, arms, quantity, w, by_row=True)
    moves = [contrast @ np.linalg.solve(slope - by_row[:, :, i], rows[:, i]) for i in range(N)]
    return contrast @ theta, np.sqrt(np.square(moves).sum())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("quantity", ["ATE", "ATT", "ATC", "ATO"])
@pytest.mark.parametrize("arms", [2, 3])
def test_stacked_equations(make_table, arms, quantity, weighted):
    arm = np.minimum(ARM, arms - 1)
    table = make_table({"t": arm, "y": Y, "a": X[:, 0], "b": X[:, 1], "w": W}, t="categorical")
    spec = Spec("adjustment", ("t",), ("y",), quantity, controls=("a", "b"), weights="w" if weighted else None)
    effect = estimate(table, spec, "ipw", degree=1)
    expected = solve(arm, arms, quantity, W if weighted else np.ones(N))
    assert effect.estimate == pytest.approx(expected[0], rel=1e-7)
    assert effect.standard_error == pytest.approx(expected[1], rel=1e-5)


def test_overlap_weights_are_the_chance_of_the_other_arm_and_balance_exactly(make_table):
    """Li, Morgan and Zaslavsky (2018), theorem 3: with a logit, weighted means of the controls are equal."""
    import statsmodels.api as sm

    arm = np.minimum(ARM, 1)
    table = make_table({"t": arm, "y": Y, "a": X[:, 0], "b": X[:, 1]}, t="binary")
    effect = estimate(table, Spec("adjustment", ("t",), ("y",), "ATO", controls=("a", "b")), degree=1)
    assert effect.method == "ipw" and effect.quantity == "ATO"
    p = sm.Logit(arm, sm.add_constant(X)).fit(disp=0, tol=1e-12).predict()
    w = np.where(arm == 1, 1 - p, p)
    means = [np.average(np.column_stack([Y, X])[arm == a], axis=0, weights=w[arm == a]) for a in (0, 1)]
    assert effect.estimate == pytest.approx(means[1][0] - means[0][0])
    assert means[1][1:] == pytest.approx(means[0][1:], abs=1e-8)


def test_truncated_weights(make_table):
    """The chances divided by stop at the bound; its rows do not move with the model (numerical derivatives)."""
    import statsmodels.api as sm

    arm, bound = np.minimum(ARM, 1), 0.2
    table = make_table({"t": arm, "y": Y, "a": X[:, 0], "b": X[:, 1]}, t="binary")
    effect = estimate(table, Spec("adjustment", ("t",), ("y",), controls=("a", "b")), "ipw", degree=1, truncate=bound)
    x = sm.add_constant(X)
    gamma = sm.Logit(arm, x).fit(disp=0, tol=1e-12).params

    def rows(theta):
        p = 1 / (1 + np.exp(-x @ theta[:3]))
        own = np.maximum(np.where(arm == 1, p, 1 - p), bound)
        return np.vstack([(arm - p) * x.T, (arm == 1) / own * (Y - theta[3]), (arm == 0) / own * (Y - theta[4])])

    p = 1 / (1 + np.exp(-x @ gamma))
    w = 1 / np.maximum(np.where(arm == 1, p, 1 - p), bound)
    theta = np.append(gamma, [np.average(Y[arm == a], weights=w[arm == a]) for a in (1, 0)])
    by_row = np.stack([(rows(theta + h) - rows(theta - h)) / 2e-7 for h in np.eye(5) * 1e-7], axis=1)
    slope, at = by_row.sum(axis=2), rows(theta)
    moves = np.array([np.linalg.solve(slope - by_row[:, :, i], at[:, i]) for i in range(N)])
    assert effect.estimate == pytest.approx(theta[3] - theta[4])
    assert effect.standard_error == pytest.approx(np.sqrt(((moves[:, 3] - moves[:, 4]) ** 2).sum()), rel=1e-4)
    said = next(w for w in effect.warnings if w.code == "truncated").evidence
    assert said["rows"] == (np.where(arm == 1, p, 1 - p) < bound).sum() > 5
