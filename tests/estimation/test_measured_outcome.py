"""Effects on a predicted outcome: which rows serve for what, what is refused, what is said."""

from __future__ import annotations

import numpy as np
import pytest

from whence.core.result import Refused
from whence.data.load import read
from whence.estimation.estimate import estimate
from whence.identification.spec import Condition, Spec
from whence.studies.study import study

SPEC = Spec("rct", ("t",), ("p",), truth="y")
ADJUSTED = Spec("adjustment", ("t",), ("p",), controls=("x",), truth="y")
LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear"}


def columns(n=1000, extra=300, labelled=0, seed=0, slope=0.5, direct=0.0, noise=0.5, effect=1.0):
    """A trial of n rows, the first of them ``labelled``, and ``extra`` rows with the truth and no treatment."""
    rng = np.random.default_rng([seed, n])
    rows = np.arange(n + extra)
    x = rng.normal(size=n + extra)
    t = (rng.random(n + extra) < 1 / (1 + np.exp(-x))).astype(float)
    y = effect * t + x + rng.normal(size=n + extra)
    p = slope * y + noise * rng.normal(size=n + extra)
    p = p + direct * p.std() * t * (rows < n)
    known = (rows >= n) | (rows < labelled)
    return {"x": x, "t": np.where(rows < n, t, np.nan), "p": p, "y": np.where(known, y, np.nan)}


def codes(effect):
    return {w.code for w in effect.warnings}


@pytest.mark.parametrize("correction", ["linear", "tweedie"])
@pytest.mark.parametrize("comparison", ["auto", "regression", "ipw", "aipw"])
def test_near_the_truth_where_the_naive_effect_is_not(make_table, correction, comparison):
    # A prediction that is calibrated (its slope on the truth is its share of the variance), as Tweedie needs.
    given = columns(4000, 1500, slope=0.5, noise=np.sqrt(0.25 * 2.25))
    table = make_table(given)
    effect = estimate(table, ADJUSTED, "measured_outcome", correction=correction, comparison=comparison, **LINEAR)
    assert abs(effect.estimate - 1) < 3 * effect.standard_error < 0.3
    naive = estimate(table, ADJUSTED.replace(truth=None), "ipw")
    assert naive.estimate < 0.6


def test_of_gaussian_predictions_tweedie_is_linear(make_table):
    rng = np.random.default_rng(5)
    n = 20_000
    half = np.arange(n) < n // 2
    p = rng.normal(size=n)  # of trial and calibration rows alike; the treatment does nothing
    t = (rng.random(n) < 1 / (1 + np.exp(-0.5 * p))).astype(float)
    y = p + 1.2 * rng.normal(size=n)
    table = make_table({"t": np.where(half, t, np.nan), "p": p, "y": np.where(half, np.nan, y)})
    one, *others = (estimate(table, SPEC, "measured_outcome", **kw) for kw in (
        {}, {"correction": "tweedie"}, {"correction": "tweedie", "density": "calibration"}))
    for other in others:
        assert other.estimate == pytest.approx(one.estimate, rel=0.03)
        assert other.standard_error == pytest.approx(one.standard_error, rel=0.25)


def test_calibration_rows_are_not_counted_as_lost(make_table):
    given = columns(500, 200)
    given["p"][3] = np.nan  # lost indeed
    effect = estimate(make_table(given), SPEC)
    lost = next(w for w in effect.warnings if w.code == "rows_dropped")
    assert effect.method == "measured_outcome" and effect.n == 699
    assert lost.evidence["dropped"] == 1 and lost.evidence["missing"] == {"p": 1}
    assert effect.diagnostics["calibration_rows"] == 200 and effect.diagnostics["trial_rows"] == 499


def test_rows_outside_the_population_calibrate(make_table):
    given = columns(500, 200)
    inside = (np.arange(700) < 500).astype(float)
    marked = {**given, "t": np.nan_to_num(given["t"]), "in": inside}
    spec = SPEC.replace(population=(Condition("in", "==", 1.0),))
    one, two = estimate(make_table(marked), spec), estimate(make_table(given), SPEC)
    assert one.estimate == two.estimate and one.standard_error == pytest.approx(two.standard_error)


def test_without_other_rows_those_of_the_trial_calibrate(make_table):
    given = columns(3000, 0, labelled=600, seed=4)
    effect = estimate(make_table(given), ADJUSTED, **LINEAR)
    assert effect.n == 3000 and abs(effect.estimate - 1) < 3 * effect.standard_error
    said = next(w for w in effect.warnings if w.code == "calibrated")
    assert "of the trial itself" in said.text and "prediction_checked" in codes(effect)


def test_a_binary_truth_and_a_score(make_table):
    """Shares counted by a classifier with 80 % sensitivity and 90 % specificity (Rogan and Gladen)."""
    rng = np.random.default_rng(6)
    n = 6000
    t = np.arange(n) % 2
    y = rng.random(n) < 0.3 + 0.2 * t
    p = np.where(rng.random(n) < np.where(y, 0.8, 0.1), "yes", "no")
    trial = np.arange(n) < 4000
    table = make_table({"t": np.where(trial, t, np.nan), "p": p, "y": np.where(trial, np.nan, y)}, p="binary")
    effect = estimate(table, SPEC)
    assert abs(effect.estimate - 0.2) < 3 * effect.standard_error < 0.08
    assert effect.diagnostics["slope"] == pytest.approx(0.7, abs=0.04)


def test_clusters_and_several_arms():
    given = columns(900, 300)
    given["t"] = [None if np.isnan(t) else "abc"[i % 3] for i, t in enumerate(given["t"])]
    given["g"] = np.arange(1200) // 10
    table = read(given, kinds={"t": "categorical"})
    effect, alone = estimate(table, SPEC.replace(cluster="g")), estimate(table, SPEC)
    assert len(effect.comparisons) == 2 and effect.diagnostics["clusters"] == 120
    assert effect.estimate == pytest.approx(alone.estimate) and effect.standard_error != alone.standard_error
    assert (effect - effect).standard_error == 0


@pytest.mark.parametrize("spec", [SPEC, ADJUSTED])
def test_a_treatment_that_moves_the_predictor_is_refused(make_table, spec):
    """The planted violation: the treatment shifts the prediction by .3 of its standard deviation by itself."""
    table = make_table(columns(4000, 1000, labelled=800, direct=0.3))
    answer = estimate(table, spec, **LINEAR)
    assert isinstance(answer, Refused) and answer.code == "treatment_moves_prediction"
    assert answer.evidence["bias"][0] > 0.3 and answer.evidence["p_value"] < 1e-3
    fair = estimate(make_table(columns(4000, 1000, labelled=800)), spec, **LINEAR)
    assert "prediction_checked" in codes(fair)


def test_without_labels_in_the_trial_the_violation_cannot_be_seen_and_that_is_said(make_table):
    blind = estimate(make_table(columns(4000, 1000, direct=0.3)), ADJUSTED, **LINEAR)
    assert "prediction_not_checked" in codes(blind) and blind.estimate - 1 > 0.3


def test_false_alarms_of_the_check_are_rare(make_table):
    """60 fair trials: at 1 % per test, 4 or more refusals have a chance below .5 %."""
    answers = [estimate(make_table(columns(400, 200, labelled=200, seed=s)), SPEC) for s in range(60)]
    assert sum(isinstance(a, Refused) for a in answers) <= 3


@pytest.mark.parametrize(("code", "changes", "params"), [
    ("no_truth", {"truth": None}, {}),
    ("prediction_uninformative", {"slope": -0.5}, {}),
    ("prediction_uninformative", {"slope": 0.0}, {}),
    ("too_few_calibration_rows", {"extra": 9}, {}),
    ("too_few_calibration_rows", {"extra": 0}, {}),
    ("truth_constant", {"fixed": True}, {}),
    ("infinite_values", {"endless": True}, {}),
    ("dependence_not_available", {}, {"covariance": "conley", "latitude": "x", "longitude": "x", "distance_km": 1.0}),
    ("missing_controls_not_available", {"spec": ADJUSTED.replace(missing_controls="impute"), "hole": True}, {}),
    ("continuous_treatment", {"dose": True}, {"correction": "tweedie"}),
])
def test_refusals(make_table, code, changes, params):
    given = columns(300, changes.get("extra", 100), slope=changes.get("slope", 0.5))
    spec = changes.get("spec", SPEC).replace(**({"truth": None} if "truth" in changes else {}))
    if "fixed" in changes:
        given["y"][300:] = 2.0
    if "endless" in changes:
        given["y"][350] = np.inf
    if "hole" in changes:
        given["x"][5] = np.nan
    if "dose" in changes:
        given["t"] = np.where(np.isnan(given["t"]), np.nan, given["x"])
    answer = estimate(make_table(given), spec, "measured_outcome", **params)
    assert isinstance(answer, Refused) and answer.code == code and answer.remedy


def test_a_dose_is_corrected_too(make_table):
    rng = np.random.default_rng(9)
    dose, y0 = rng.normal(size=(2, 3000))
    y = 2 * dose + y0
    p = 0.4 * y + 0.3 * rng.normal(size=3000)
    trial = np.arange(3000) < 2000
    table = make_table({"t": np.where(trial, dose, np.nan), "p": p, "y": np.where(trial, np.nan, y)})
    effect = estimate(table, SPEC)
    assert effect.diagnostics["comparison"] == "regression" and abs(effect.estimate - 2) < 3 * effect.standard_error


@pytest.mark.parametrize(("code", "changes", "params"), [
    ("few_calibration_rows", {"extra": 60}, {}), ("flat_calibration", {"slope": 0.15, "noise": 0.1}, {}),
    ("outside_calibration", {"far": True}, {}), ("calibration_not_linear", {"bend": True}, {}),
    ("prediction_not_calibrated", {"slope": 2.0}, {"correction": "tweedie"}),
])
def test_what_weakens_the_calibration_is_said(make_table, code, changes, params):
    far, bend = changes.get("far"), changes.get("bend")
    given = columns(1000, **({"extra": 500} | {k: v for k, v in changes.items() if k not in ("far", "bend")}))
    if far:
        given["y"] = np.where(given["p"] > 0.8, np.nan, given["y"])
    if bend:
        given["p"] = np.exp(given["p"])
    assert code in codes(estimate(make_table(given), SPEC, "measured_outcome", **params))
    assert code not in codes(estimate(make_table(columns(1000, 500)), SPEC, "measured_outcome"))


def test_a_study_sets_the_uncorrected_effect_beside_it_and_checks_the_corrected_outcome(make_table):
    found = study(make_table(columns(800, 300)), spec=ADJUSTED, parameters=LINEAR).run()
    plain = found.alternatives[0]
    assert found.effect.estimate / plain.estimate == pytest.approx(1 / found.effect.diagnostics["slope"], rel=0.05)
    dropped = next(c for c in found.checks if c.name == "dropped")
    assert dropped.numbers["estimate"] == pytest.approx(found.effect.estimate, rel=0.2)
    assert not [c for c in found.checks if "error" in c.numbers]
