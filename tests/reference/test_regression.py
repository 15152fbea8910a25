"""The regression effect against a stacked M-estimation and the bootstrap, written out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

RNG = np.random.default_rng(11)
N = 250
X = RNG.normal(size=(N, 2))
T = (RNG.random(N) < 1 / (1 + np.exp(-X[:, 0]))).astype(int)
Y = 1 + T * (1 + X[:, 1]) + X[:, 0] + RNG.normal(size=N) * (1 + T)


@pytest.fixture(scope="module")
def table(make_table):
    return make_table({"t": T, "y": Y, "a": X[:, 0], "b": X[:, 1]}, t="binary")


def stacked(target):
    """g-computation by hand: estimating equations of both arms' coefficients and the effect, solved and sandwiched.

    Unknowns: b1 (3,), b0 (3,), effect. Rows' contributions: D x (y - x'b1), (1 - D) x (y - x'b0),
    target (x'b1 - x'b0 - effect).
    """
    x = np.column_stack([np.ones(N), X])
    b1 = np.linalg.solve(x[T == 1].T @ x[T == 1], x[T == 1].T @ Y[T == 1])
    b0 = np.linalg.solve(x[T == 0].T @ x[T == 0], x[T == 0].T @ Y[T == 0])
    effect = np.sum(target * (x @ b1 - x @ b0)) / np.sum(target)
    a, b = np.zeros((7, 7)), np.zeros((7, 7))
    for i in range(N):
        g = np.zeros(7)
        g[:3] = T[i] * x[i] * (Y[i] - x[i] @ b1)
        g[3:6] = (1 - T[i]) * x[i] * (Y[i] - x[i] @ b0)
        g[6] = target[i] * (x[i] @ (b1 - b0) - effect)
        d = np.zeros((7, 7))
        d[:3, :3] = T[i] * np.outer(x[i], x[i])
        d[3:6, 3:6] = (1 - T[i]) * np.outer(x[i], x[i])
        d[6, :3], d[6, 3:6], d[6, 6] = -target[i] * x[i], target[i] * x[i], target[i]
        a += d
        b += np.outer(g, g)
    inverse = np.linalg.inv(a)
    return effect, np.sqrt((inverse @ b @ inverse.T)[6, 6])


@pytest.mark.parametrize(("quantity", "target"), [("ATE", np.ones(N)), ("ATT", T), ("ATC", 1 - T)])
def test_stacked_equations(table, quantity, target):
    spec = Spec("adjustment", ("t",), ("y",), quantity, controls=("a", "b"))
    effect = estimate(table, spec, "regression", degree=1, interactions=True, covariance="HC0")
    expected = stacked(target)
    assert effect.estimate == pytest.approx(expected[0], rel=1e-9)
    assert effect.standard_error == pytest.approx(expected[1], rel=1e-9)


def test_bootstrap(table):
    spec = Spec("adjustment", ("t",), ("y",), controls=("a", "b"))
    effect = estimate(table, spec, "regression", degree=1, covariance="HC0")
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(1000):
        i = rng.integers(0, N, N)
        x = np.column_stack([np.ones(N), X[i]])
        b1 = np.linalg.lstsq(x[T[i] == 1], Y[i][T[i] == 1], rcond=None)[0]
        b0 = np.linalg.lstsq(x[T[i] == 0], Y[i][T[i] == 0], rcond=None)[0]
        draws.append(np.mean(x @ (b1 - b0)))
    # 1000 draws give a standard deviation to 2.2 %.
    assert effect.standard_error == pytest.approx(np.std(draws), rel=0.09)
