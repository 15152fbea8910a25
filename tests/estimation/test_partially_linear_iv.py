"""The partially linear model with instruments, against two-stage least squares by hand, and its refusals."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from whence.core.result import Refused
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.spec import Contrast, Spec
from whence.stats.resample import folds

LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear", "n_splits": 1}
SPEC = Spec("iv", ("d",), ("y",), "LATE", controls=("x",), instruments=("z",))


def columns(n=1500, seed=0, strength=1.0, bent=False):
    rng = np.random.default_rng(seed)
    x, hidden = rng.normal(size=(2, n))
    shape = 2 * np.abs(x) if bent else x
    z = shape + rng.normal(size=n)
    d = strength * z + shape + hidden + rng.normal(size=n)
    return {"x": x, "z": z, "z2": z**2 + rng.normal(size=n), "d": d,
            "y": 0.5 * d + 3 * shape + 2 * hidden + rng.normal(size=n)}


@pytest.mark.parametrize("instruments", [("z",), ("z", "z2")])
def test_by_hand(make_table, instruments):
    given = columns(600)
    effect = estimate(make_table(given), SPEC.replace(instruments=instruments), "partially_linear_iv", 2, n_folds=4,
                      **LINEAR)
    fold, x = folds(4, np.zeros(600, dtype=int), None, 2, 0), sm.add_constant(given["x"])

    def left(values):
        out = np.empty(600)
        for k in range(4):
            out[fold == k] = values[fold == k] - sm.OLS(values[fold != k], x[fold != k]).fit().predict(x[fold == k])
        return out

    u, v = left(given["y"]), left(given["d"])
    z = np.column_stack([left(given[name]) for name in instruments])
    fitted = z @ np.linalg.lstsq(z, v, rcond=None)[0]
    theta = (fitted @ u) / (fitted @ v)
    assert effect.estimate == pytest.approx(theta)
    assert effect.standard_error == pytest.approx(np.sqrt(((fitted * (u - theta * v)) ** 2).sum()) / (fitted @ v))


def test_crooked_controls_and_the_step_of_a_dose(make_table):
    table = make_table(columns(bent=True))
    effect = estimate(table, SPEC, "partially_linear_iv", n_splits=1)
    assert abs(effect.estimate - 0.5) < 4 * effect.standard_error < 0.5
    straight = estimate(table, SPEC, "partially_linear_iv", **LINEAR)
    assert abs(straight.estimate - 0.5) > 4 * straight.standard_error
    double = estimate(table, SPEC.replace(contrast=Contrast(2, 0)), "partially_linear_iv", **LINEAR)
    assert double.estimate == pytest.approx(2 * straight.estimate)
    assert double.standard_error == pytest.approx(2 * straight.standard_error)


def test_a_weak_instrument_has_the_interval_of_anderson_and_rubin(make_table):
    found = [estimate(make_table(columns(400, seed, 0.15)), SPEC, "partially_linear_iv", **LINEAR) for seed in range(6)]
    weak = [e for e in found if isinstance(e, Effect) and "weak_instruments" in {w.code for w in e.warnings}]
    assert weak and all(list(e.interval) == e.diagnostics["anderson_rubin"] for e in weak)


@pytest.mark.parametrize(("code", "changes"), [
    ("weak_instrument", {"z": np.random.default_rng(8).normal(size=300)}),
    ("several_arms", {"d": np.array(["a", "b", "c"])[np.arange(300) % 3]}),
])
def test_refusals(make_table, code, changes):
    kinds = {"d": "categorical"} if code == "several_arms" else {}
    answer = estimate(make_table(columns(300, 1) | changes, **kinds), SPEC, "partially_linear_iv", **LINEAR)
    assert isinstance(answer, Refused) and answer.code == code and answer.remedy


def test_an_instrument_that_the_controls_make(make_table):
    given = columns(300)
    given["z"] = given["x"] * 2 + 1
    answer = estimate(make_table(given), SPEC, "partially_linear_iv", **LINEAR)
    assert isinstance(answer, Refused) and answer.code in ("instrument_is_control", "weak_instrument")
