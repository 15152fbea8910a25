"""Sensitivity of the indirect effect: a hidden cause that is really there is seen at its own correlation."""

from __future__ import annotations

import numpy as np
import pytest

from whence.checks.mediator_confounding import Linear, mediator_confounding
from whence.checks.run import check
from whence.stats.regress import influence, ols

LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear", "n_splits": 1}
MEDIATION = {"quantity": "NIE", "mediators": ("m",)}


def hidden(n=4000, seed=0, gamma=0.5, own=1.0):
    """u behind m and y brings a correlation of own^2 / (1 + own^2) of their errors; the effect through m is gamma."""
    rng = np.random.default_rng(seed)
    c, u = rng.normal(size=(2, n))
    d = (rng.random(n) < 1 / (1 + np.exp(-c))).astype(float)
    m = d + c + own * u + rng.normal(size=n)
    return {"c": c, "d": d, "m": m, "y": d + gamma * m + c + own * u + rng.normal(size=n)}


def model_of(c):
    design = np.column_stack([np.ones(len(c["d"])), c["d"], c["c"]])
    left, through = ols(design, c["y"]), ols(design, c["m"])
    own = influence(through, np.array([[0.0, 1.0, 0.0]]), "HC1")[:, 0]
    return Linear(through.coefficients[1], own, left.residuals, through.residuals, np.ones(len(c["d"])), None)


def test_at_its_own_correlation_the_truth_comes_back():
    for gamma in (0.0, 0.5):
        found = [model_of(hidden(seed=seed, gamma=gamma)).at(0.5) for seed in range(200)]
        estimates, errors = np.array(found).T
        assert abs(estimates.mean() - gamma) < 4 * estimates.std() / np.sqrt(200)
        assert errors.mean() == pytest.approx(estimates.std(), rel=0.15)
    # By the paper's own expression (theorem 4), from the correlation of the two residuals.
    c = hidden()
    model = model_of(c)
    a, b, rho = model.outcome.std(), model.mediator.std(), 0.3
    tilde = np.corrcoef(model.outcome, model.mediator)[0, 1]
    paper = model.slope * a / b * (tilde - rho * np.sqrt((1 - tilde**2) / (1 - rho**2)))
    assert model.at(rho)[0] == pytest.approx(paper) and model.at(model.ending)[0] == pytest.approx(0, abs=1e-12)


def test_what_was_left_out_is_the_benchmark(table_of, effect_of):
    """u among the controls is said to bring in the correlation that leaving it out does bring in."""
    rng = np.random.default_rng(3)
    n = 20_000
    u = rng.normal(size=n)
    d = (rng.random(n) < 0.5).astype(float)
    m = d + u + rng.normal(size=n)
    columns = {"d": d, "m": m, "u": u, "y": d + 0.2 * m + 0.8 * u + rng.normal(size=n)}
    found = mediator_confounding(table_of(columns), effect_of(table_of(columns), ["u"], "mediation", **MEDIATION,
                                                              **LINEAR))
    assert found.numbers["strongest"] == "u"
    assert found.numbers["strongest_rho"] == pytest.approx(0.8 / np.sqrt(2 * 1.64), abs=0.02)
    assert found.numbers["indirect"] == pytest.approx(0.2, abs=0.04) and found.verdict == "worry"


def test_verdicts(table_of, effect_of):
    rng = np.random.default_rng(1)
    c = hidden(2000, own=0.0) | {"z": rng.normal(size=2000)}
    table = table_of(c)
    near = mediator_confounding(table, effect_of(table, ["c"], "mediation", **MEDIATION, **LINEAR))
    assert near.verdict in ("pass", "worry") and near.numbers["needed"] > 0.3
    nothing = hidden(2000, gamma=0.0, own=0.0)
    table = table_of(nothing)
    found = mediator_confounding(table, effect_of(table, ["c"], "mediation", **MEDIATION, **LINEAR))
    assert found.verdict == "informational" and "as it is" in found.saw
    plain = mediator_confounding(table, effect_of(table, ["c"]))
    assert not plain.applies
    names = {one.name for one in check(table, effect_of(table, ["c"], "mediation", **MEDIATION, **LINEAR))}
    assert {"mediator_confounding", "balance", "overlap"} <= names and "tipping_point" not in names
