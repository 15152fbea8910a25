"""Several treatments at once: which methods answer, what is said, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.estimation.bounds import bounds
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.spec import Contrast, Spec

LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear"}
SPEC = Spec("adjustment", ("drug", "dose"), ("y",), controls=("x",))
IV = SPEC.replace(strategy="iv", quantity="LATE", instruments=("z1", "z2"))


def columns(n=400, seed=0):
    """Effects 1 of drug and -2 of dose, both confounded by x and by something hidden that the instruments are not."""
    rng = np.random.default_rng([seed, n])
    x, hidden, noise, z1, z2 = rng.normal(size=(5, n))
    drug = (x + hidden + 1.5 * z1 + rng.normal(size=n) > 0).astype(int)
    dose = 0.5 * x + hidden + z2 + 0.5 * z1 + rng.normal(size=n)
    return {"drug": drug, "dose": dose, "y": drug - 2 * dose + x + hidden + noise, "x": x, "hidden": hidden, "z1": z1,
            "z2": z2}


def table_of(make_table, changes=None, **kinds):
    return make_table(columns() | (changes or {}), drug="binary", **kinds)


def refused(answer, code):
    assert isinstance(answer, Refused) and answer.code == code and answer.reason.endswith(".") and answer.remedy
    return answer


@pytest.mark.parametrize(("spec", "method"), [(SPEC, "regression"), (SPEC, "partially_linear"), (IV, "iv")])
def test_one_comparison_for_each_treatment(make_table, spec, method):
    effect = estimate(table_of(make_table), spec.replace(controls=("x",) if spec is IV else ("x", "hidden")), method,
                      **(LINEAR if method == "partially_linear" else {}))
    assert isinstance(effect, Effect) and [c.label for c in effect.comparisons] == ["drug", "dose"]
    assert effect.estimate == effect.comparisons[0].estimate and effect.contrast == "drug: 1 vs 0"
    assert effect.diagnostics["treatments"] == {"drug": "1 vs 0", "dose": "one more unit"}
    for c, truth in zip(effect.comparisons, (1.0, -2.0), strict=True):
        assert abs(c.estimate - truth) < 4 * c.standard_error
        assert c.joint_interval[0] < c.interval[0] and c.joint_interval[1] > c.interval[1]
    assert effect.pairs == () and effect.diagnostics["joint_test"]["df"] == 2
    assert effect.influence.shape == (400,) and abs(effect.influence.mean()) < effect.standard_error
    assert any("whatever values the other treatments have" in text for text in effect.assumptions)
    other = estimate(table_of(make_table), effect.spec.replace(treatments=("dose", "drug")), method,
                     **(LINEAR if method == "partially_linear" else {}))
    assert other.estimate == pytest.approx(effect.comparisons[1].estimate, rel=1e-2 if method == "partially_linear" else
                                           1e-9)


def test_it_is_what_the_treatment_does_with_the_others_among_the_controls(make_table):
    table = table_of(make_table)
    both = estimate(table, SPEC, "regression", degree=1)
    one = estimate(table, SPEC.replace(treatments=("drug",), controls=("x", "dose")), "regression", degree=1,
                   interactions=False)
    assert both.estimate == pytest.approx(one.estimate, rel=1e-9)
    assert both.standard_error == pytest.approx(one.standard_error, rel=1e-9)


def test_the_usual_method(make_table):
    table = table_of(make_table)
    assert [estimate(table, spec).method for spec in (SPEC, SPEC.replace(strategy="rct"), IV)] == \
        ["regression", "regression", "iv"]


def test_other_methods_name_those_that_can(make_table):
    table = table_of(make_table)
    for method in ("aipw", "ipw", "tmle", "matching", "difference"):
        said = refused(estimate(table, SPEC, method), "several_treatments").remedy
        assert "method='partially_linear'" in said and "method='regression'" in said
    assert "method='iv'" in refused(estimate(table, IV, "late"), "several_treatments").remedy
    assert refused(estimate(table, SPEC.replace(strategy="rct", strata=("x",))), "several_treatments").evidence == {
        "treatments": ["drug", "dose"], "can": []}
    refused(estimate(table, SPEC.replace(strategy="rdd", running_variable="x", cutoff=0.0)), "several_treatments")
    refused(bounds(table, SPEC.replace(outcomes=("drug",), treatments=("y", "dose"))), "several_treatments")


def test_a_quantity_about_one_treatment(make_table):
    refused(estimate(table_of(make_table), SPEC.replace(quantity="ATT")), "quantity_not_available")


def test_a_contrast_does_not_say_of_which(make_table):
    with pytest.raises(WhenceError) as error:
        estimate(table_of(make_table), SPEC.replace(contrast=Contrast(1, 0)))
    assert error.value.code == "bad_contrast"


def test_a_treatment_of_three_groups(make_table):
    arms = np.array(["a", "b", "c"])[np.arange(400) % 3]
    for spec in (SPEC, IV):
        assert refused(estimate(table_of(make_table, {"dose": arms}, dose="categorical"), spec),
                       "several_arms").evidence["column"] == "dose"


def test_each_treatment_is_looked_at(make_table):
    """What is refused of one treatment is refused of any."""
    given = columns()
    changes = [
        ("treatment_constant", {"dose": np.ones(400)}, {}),
        ("infinite_values", {"dose": np.r_[np.inf, given["dose"][1:]]}, {}),
        ("small_arm", {"dose": np.arange(400) == 7}, {"dose": "binary"}),
        ("control_is_treatment", {"x": 3 * given["dose"]}, {}), ("out_of_scale", {"dose": 1e130 * given["dose"]}, {}),
    ]
    for code, change, kinds in changes:
        refused(estimate(table_of(make_table, change, **kinds), SPEC, "regression"), code)
    together = {"dose": np.arange(400) % 10 == 0, "c": np.where(np.arange(400) % 10 == 0, 0, 1 + np.arange(400) % 7)}
    found = estimate(table_of(make_table, together, dose="binary", c="count"), SPEC.replace(cluster="c"))
    assert refused(found, "too_few_clusters").evidence["clusters_by_arm"] == {"False": 7, "True": 1}


def test_rows_that_lack_a_treatment_are_counted(make_table):
    gone = np.where(np.arange(400) < 30, np.nan, columns()["dose"])
    effect = estimate(table_of(make_table, {"dose": gone}), SPEC)
    lost = next(w for w in effect.warnings if w.code == "rows_dropped")
    assert effect.n == 370 and lost.evidence["missing"] == {"dose": 30}


def test_treatments_that_follow_from_each_other(make_table):
    twice = 2.0 * columns()["drug"]
    alone = SPEC.replace(controls=())
    for spec, dose in ((SPEC, twice + columns()["x"]), (IV, twice - columns()["x"]), (alone, twice)):
        found = refused(estimate(table_of(make_table, {"dose": dose}), spec), "treatment_determined")
        assert found.evidence["treatment"] == "dose" and ("the controls" in found.reason) == bool(spec.controls)
    bent = make_table(columns() | {"drug": columns()["hidden"], "dose": columns()["hidden"] + columns()["x"] ** 2})
    assert "The other treatments and the controls determine 'dose'" in refused(
        estimate(bent, SPEC, "regression"), "treatment_determined").reason
    learners = {"outcome_learner": "quadratic", "treatment_learner": "quadratic"}
    assert "The other treatments" in refused(
        estimate(bent, SPEC, "partially_linear", **learners), "treatment_is_control").reason


def test_fewer_instruments_than_treatments(make_table):
    refused(estimate(table_of(make_table), IV.replace(instruments=("z1",))), "too_few_instruments")


def test_instruments_that_move_both_treatments_alike(make_table):
    """Each moves both in the same proportion, so that neither effect can be told from the other's."""
    rng = np.random.default_rng(8)
    z1, z2 = columns()["z1"], columns()["z2"]
    moved = {"drug": z1 + z2 + rng.normal(size=400), "dose": z1 + z2 + rng.normal(size=400)}
    found = refused(estimate(make_table(columns() | moved), IV), "weak_instrument")
    assert "apart from the other treatments" in found.reason and found.evidence["conditional_f"] < 5
    assert isinstance(estimate(make_table(columns() | moved), IV.replace(treatments=("drug",))), Effect)


def test_weak_instruments_are_said(make_table):
    rng = np.random.default_rng(9)
    moved = {"dose": columns()["z1"] + 0.17 * columns()["z2"] + rng.normal(size=400)}
    effect = estimate(table_of(make_table, moved), IV)
    assert min(effect.diagnostics["conditional_f"].values()) < 10
    assert any(w.code == "weak_instruments" for w in effect.warnings)


def test_instruments_that_disagree(make_table):
    given = columns(2000)
    given["z3"] = np.random.default_rng(3).normal(size=2000)
    given["y"] = given["y"] + given["z3"]
    given["dose"] = given["dose"] + given["z3"]
    effect = estimate(make_table(given, drug="binary"), IV.replace(instruments=("z1", "z2", "z3")))
    assert any(w.code == "instruments_disagree" for w in effect.warnings)


def test_a_region_is_no_interval(make_table):
    refused(estimate(table_of(make_table), IV, interval="anderson_rubin"), "errors_not_available")


def test_missing_controls_are_imputed_with_all_treatments(make_table):
    gone = np.where(np.random.default_rng(1).random(400) < 0.2, np.nan, columns()["x"])
    spec = SPEC.replace(controls=("x", "hidden"), missing_controls="impute")
    effect = estimate(table_of(make_table, {"x": gone}), spec)
    assert effect.n == 400
    for c, truth in zip(effect.comparisons, (1.0, -2.0), strict=True):
        assert abs(c.estimate - truth) < 4 * c.standard_error


def test_a_rare_treatment_is_learned(make_table):
    rare = np.zeros(400, dtype=int)
    rare[[3, 250]] = 1
    effect = estimate(table_of(make_table, {"dose": rare}, dose="binary"), SPEC, "partially_linear", n_splits=1)
    assert isinstance(effect, Effect) and np.isfinite(effect.comparisons[1].standard_error)


def simulated(seed, n=300):
    """Drug and dose go together given x; errors differ by row. Truths 1 and -2."""
    rng = np.random.default_rng([77, seed])
    x = rng.normal(size=n)
    drug = (x + rng.normal(size=n) > 0).astype(int)
    dose = 0.7 * x + drug + rng.normal(size=n)
    y = drug - 2 * dose + x + (1 + 0.5 * drug + 0.3 * np.abs(dose)) * rng.normal(size=n)
    return {"drug": drug, "dose": dose, "y": y, "x": x}


SETS = 1500


@pytest.mark.slow
@pytest.mark.parametrize("method", ["regression", "partially_linear", "iv"])
def test_coverage(make_table, method):
    """1,500 sets: each interval holds 93 to 97 %, and both joint intervals together (three Monte Carlo errors)."""
    hits, together = np.zeros(2), 0
    for seed in range(SETS):
        given, spec = (columns(300, seed), IV) if method == "iv" else (simulated(seed), SPEC)
        effect = estimate(make_table(given, drug="binary"), spec, method, seed,
                          **({"n_splits": 1} | LINEAR if method == "partially_linear" else {}))
        assert isinstance(effect, Effect)
        inside = [(c.interval[0] <= truth <= c.interval[1], c.joint_interval[0] <= truth <= c.joint_interval[1])
                  for c, truth in zip(effect.comparisons, (1.0, -2.0), strict=True)]
        hits += [one for one, _ in inside]
        together += all(joint for _, joint in inside)
    print(f"{method}: {hits / SETS}, joint {together / SETS:.3f}")  # noqa: T201
    assert all(0.93 <= share <= 0.97 for share in (*hits / SETS, together / SETS))
