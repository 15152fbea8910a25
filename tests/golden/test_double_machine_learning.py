"""Double machine learning on data with a known answer: eligibility for a pension plan and wealth, beside another
computation on the same rows; outcomes simulated on real covariates (Hill 2011; Dorie et al. 2019; Neal, Huang and
Raghupathi 2020), whose mean effects are in the files."""

from __future__ import annotations

import numpy as np
import pytest

from whence.core.result import Refused
from whence.data.load import read
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

PENSION = ("age", "inc", "educ", "fsize", "marr", "twoearn", "db", "pira", "hown")
QUICK = {"outcome_learner": "ridge", "treatment_learner": "ridge", "n_splits": 1}


def pension(cases, method, **params):
    table = read(cases / "effects" / "pension.csv")
    spec = Spec("adjustment", ("e401",), ("net_tfa",), controls=PENSION)
    if method == "late":
        spec = Spec("iv", ("p401",), ("net_tfa",), "LATE", controls=PENSION, instruments=("e401",))
    return estimate(table, spec, method, **params)


# Partially linear and interactive model and local effect, computed apart with LightGBM for all learners, one split.
APART = {"partially_linear": (8466, 1357), "aipw": (8288, 1168), "tmle": (8288, 1168), "late": (11663, 1679)}


def near(effect, method, errors):
    """Within so many of the other's standard errors: learners and folds differ, the rows do not."""
    known, error = APART[method]
    assert effect.n == 9915 and abs(effect.estimate - known) < errors * error
    assert effect.standard_error == pytest.approx(error, rel=0.2)
    if method == "late":
        assert effect.diagnostics["compliers"] == pytest.approx(0.69, abs=0.03)
        assert "one_sided" in {w.code for w in effect.warnings}


@pytest.mark.parametrize("method", ["aipw", "tmle", "partially_linear", "late"])
def test_pension_by_a_quick_learner(cases, method):
    # Without steps in income the partially linear model gives 10,001, 1.13 errors above.
    near(pension(cases, method, **QUICK), method, 1.2)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["aipw", "tmle", "partially_linear", "late"])
def test_pension(cases, method):
    near(pension(cases, method), method, 0.75)


def simulated(cases, name, treatment, drop, controls=None):
    """The table without the answers, mu1 - mu0 or the effect of each row, and the treatment."""
    given = read(cases / "effects" / f"{name}.csv")
    effects = given.numeric("ite") if "ite" in given.names else given.numeric("mu1") - given.numeric("mu0")
    arms = given.numeric(treatment)
    columns = {n: given.numeric(n) if given.kind(n) != "categorical" else given.column(n).values for n in given.names
               if n not in drop}
    if "y" not in columns and "y_factual" not in columns:
        columns["y"] = np.where(arms == 1, given.numeric("y1"), given.numeric("y0"))
    return read(columns), effects, arms


@pytest.mark.parametrize("quantity", ["ATE", "ATT"])
def test_truth_of_a_simulated_trial(cases, quantity):
    table, effects, arms = simulated(cases, "ihdp_1", "treatment", ("mu0", "mu1", "y_cfactual"))
    truth = effects.mean() if quantity == "ATE" else effects[arms == 1].mean()
    assert truth == pytest.approx(4.016 if quantity == "ATE" else 4.000, abs=5e-4)
    spec = Spec("adjustment", ("treatment",), ("y_factual",), quantity, controls=tuple(f"x{j}" for j in range(1, 26)))
    for method in ("aipw", "tmle"):
        effect = estimate(table, spec, method)
        assert effect.interval[0] <= truth <= effect.interval[1] and effect.standard_error < 0.25


@pytest.mark.slow
def test_truth_among_the_treated_of_a_competition(cases):
    """Nobody is treated among 40 % of the people, so the files' mean effect of everyone (2.128) is not in the data."""
    table, effects, arms = simulated(cases, "acic2016_1", "z", ("mu0", "mu1", "y0", "y1"))
    truth = effects[arms == 1].mean()
    assert truth == pytest.approx(2.722, abs=5e-4)
    spec = Spec("adjustment", ("z",), ("y",), "ATT", controls=tuple(f"x_{j}" for j in range(1, 59)))
    for method in ("auto", "tmle"):
        effect = estimate(table, spec, method)
        assert effect.interval[0] <= truth <= effect.interval[1] and effect.standard_error < 0.2
        refused = estimate(table, spec.replace(quantity="ATE"), method)
        assert isinstance(refused, Refused) and refused.code == "no_overlap"
        assert refused.evidence["share_without_counterpart"] > 0.4


@pytest.mark.slow
def test_truth_of_twins(cases):
    """One draw of binary outcomes: the answer lies two of its errors from the mean effect drawn, -0.0693."""
    table, effects, _ = simulated(cases, "realcause_twins_0", "t", ("ite", "y0", "y1"))
    controls = tuple(n for n in table.names if n not in ("t", "y"))
    effect = estimate(table, Spec("adjustment", ("t",), ("y",), controls=controls))
    assert effect.method == "aipw" and effect.standard_error < 0.01
    assert abs(effect.estimate - effects.mean()) < 2.5 * effect.standard_error


@pytest.mark.slow
def test_truth_of_a_training_programme_and_an_effect_without_overlap(cases):
    table, effects, arms = simulated(cases, "realcause_lalonde_psid_0", "t", ("ite", "y0", "y1"))
    controls = tuple(n for n in table.names if n not in ("t", "y"))
    spec = Spec("adjustment", ("t",), ("y",), "ATT", controls=controls)
    for method in ("aipw", "tmle"):
        effect = estimate(table, spec, method)
        assert effect.interval[0] <= effects[arms == 1].mean() <= effect.interval[1]
        refused = estimate(table, spec.replace(quantity="ATE"), method)
        assert isinstance(refused, Refused) and refused.code == "no_overlap"
