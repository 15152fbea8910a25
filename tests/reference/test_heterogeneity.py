"""The learners of effects against their own formulas, written out with loops over folds and plain least squares."""

from __future__ import annotations

import numpy as np
import pytest

from whence.data.load import read
from whence.estimation.conditional import conditional
from whence.identification.spec import Spec

SPEC = Spec("rct", ("a",), ("y",), controls=("x0", "x1"))


def setting(n=400):
    rng = np.random.default_rng(4)
    x = rng.standard_normal((n, 2))
    a = rng.integers(0, 2, n)
    return x, a, x[:, 0] + (1 + x[:, 1]) * a + rng.standard_normal(n)


def line(x, y, new, w=None):
    """Least squares with an intercept, by the normal equations."""
    x, new = (np.column_stack([np.ones(len(m)), m]) for m in (x, new))
    w = np.ones(len(x)) if w is None else w
    return new @ np.linalg.solve((x * w[:, None]).T @ x, (x * w[:, None]).T @ y)


def by_fold(fold, target, x, keep=None, w=None):
    out = np.empty(len(x))
    for k in np.unique(fold):
        train = (fold != k) & (True if keep is None else keep)
        out[fold == k] = line(x[train], target[train], x[fold == k], None if w is None else w[train])
    return out


@pytest.mark.parametrize("method", ["s_learner", "t_learner", "x_learner", "dr_learner", "r_learner"])
def test_learners_by_hand(method):
    x, a, y = setting()
    more = {} if method in ("s_learner", "t_learner") else {"effect_learner": "linear"}
    found = conditional(read({"x0": x[:, 0], "x1": x[:, 1], "a": a, "y": y}), SPEC, method, outcome_learner="linear",
                        treatment_learner="linear", **more)
    s = found.fitted.sample
    fold, e = s.fold, s.chance
    m = [by_fold(fold, y, x, a == arm) for arm in (0, 1)]
    np.testing.assert_allclose(s.outcome, np.column_stack(m), rtol=1e-9, atol=1e-10)
    score = m[1] - m[0] + a * (y - m[1]) / e - (1 - a) * (y - m[0]) / (1 - e)
    np.testing.assert_allclose(found.scores, score, rtol=1e-9, atol=1e-10)
    left, rest = a - e, y - e * m[1] - (1 - e) * m[0]
    # With products of treatment and columns one regression is two.
    want = {
        "s_learner": lambda: m[1] - m[0],
        "t_learner": lambda: m[1] - m[0],
        "x_learner": lambda: e * by_fold(fold, m[1] - y, x, a == 0) + (1 - e) * by_fold(fold, y - m[0], x, a == 1),
        "dr_learner": lambda: by_fold(fold, score, x),
        "r_learner": lambda: by_fold(fold, rest / left, x, w=left**2),
    }[method]()
    np.testing.assert_allclose(found.effects, want, rtol=1e-8, atol=1e-9)


def test_forest_residuals_and_trees_by_hand():
    """The forest is the reference kernel's on the residuals of the sample."""
    from whence.core.rng import generator
    from whence.kernels import causal_forest_ref

    x, a, y = setting(160)
    found = conditional(read({"x0": x[:, 0], "x1": x[:, 1], "a": a, "y": y}), SPEC, "causal_forest", trees=50, seed=2,
                        outcome_learner="linear", treatment_learner="linear")
    s = found.fitted.sample
    left = y - s.chance * s.outcome[:, 1] - (1 - s.chance) * s.outcome[:, 0]
    effect, variance = np.empty(160), np.empty(160)
    seed = int(generator(2, "causal forest").integers(2**63))
    causal_forest_ref.causal_forest(
        ((x - x.mean(axis=0)) / x.std(axis=0)).T, left, a - s.chance, np.arange(160), 160, np.zeros((2, 0)), 50, 2, 2,
        5, 0.05, seed, 1, effect, variance)
    np.testing.assert_allclose(found.effects, effect, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(found.errors, np.sqrt(variance), rtol=1e-7, atol=1e-9)
    assert sum(found.importance.values()) == pytest.approx(1.0)
