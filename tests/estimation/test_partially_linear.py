"""The partially linear model: doses and arms, crooked controls, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.estimation.estimate import estimate
from whence.identification.spec import Contrast, Spec

LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear", "n_splits": 1}
SPEC = Spec("adjustment", ("d",), ("y",), controls=("x", "z"))


def columns(n=2000, seed=0, binary=False):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, n))
    bent = np.abs(x) + (z > 0)
    d = (rng.random(n) < 1 / (1 + np.exp(1.2 - bent))).astype(int) if binary else bent + rng.normal(size=n)
    return {"d": d, "x": x, "z": z, "y": 0.5 * d + 2 * bent + rng.normal(size=n)}


@pytest.mark.parametrize("binary", [False, True])
def test_default_learners_find_crooked_controls(make_table, binary):
    table = make_table(columns(binary=binary), **({"d": "binary"} if binary else {}))
    effect = estimate(table, SPEC, "partially_linear", n_splits=1)
    straight = estimate(table, SPEC, "partially_linear", **LINEAR)
    assert abs(effect.estimate - 0.5) < 4 * effect.standard_error < 0.4
    assert abs(straight.estimate - 0.5) > 8 * straight.standard_error
    assert abs(effect.influence.mean()) < 0.1 * effect.standard_error


def test_step_of_a_dose(make_table):
    table = make_table(columns())
    one = estimate(table, SPEC, "partially_linear", **LINEAR)
    two = estimate(table, SPEC.replace(contrast=Contrast(3, 1)), "partially_linear", **LINEAR)
    assert two.estimate == pytest.approx(2 * one.estimate) and two.contrast == "d: +2 units"
    assert two.standard_error == pytest.approx(2 * one.standard_error)


def test_arms_named_by_words_and_by_other_numbers(make_table):
    given = columns(binary=True)
    plain = estimate(make_table(given, d="binary"), SPEC, "partially_linear", **LINEAR)
    words = estimate(make_table(given | {"d": np.where(given["d"] == 1, "yes", "no")}, d="binary"), SPEC,
                     "partially_linear", **LINEAR)
    assert words.estimate == pytest.approx(plain.estimate) and words.contrast == "d: yes vs no"


def test_several_splits_and_rct(make_table):
    table = make_table(columns(400))
    effect = estimate(table, SPEC.replace(strategy="rct"), "partially_linear", **(LINEAR | {"n_splits": 3}))
    assert effect.estimate == pytest.approx(np.median(effect.diagnostics["estimates_by_split"]))
    assert np.sqrt(effect.influence @ effect.influence) / effect.n == pytest.approx(effect.standard_error)


def test_object_learners_and_their_sort(make_table):
    from sklearn.linear_model import LinearRegression, LogisticRegression

    table = make_table(columns())
    given = {"outcome_learner": LinearRegression(), "treatment_learner": LinearRegression(), "n_splits": 1}
    mine = estimate(table, SPEC, "partially_linear", **given)
    assert mine.estimate == pytest.approx(estimate(table, SPEC, "partially_linear", **LINEAR).estimate)
    with pytest.raises(WhenceError, match="dose"):
        estimate(table, SPEC, "partially_linear", treatment_learner=LogisticRegression())
    with pytest.raises(WhenceError, match="not 0 or 1"):
        estimate(table, SPEC, "partially_linear", outcome_learner=LogisticRegression())
    table = make_table(columns(binary=True), d="binary")
    for learner in (LinearRegression(), LogisticRegression()):
        assert estimate(table, SPEC, "partially_linear", treatment_learner=learner, n_splits=1)


@pytest.mark.parametrize(("code", "changes"), [
    ("several_arms", {"d": np.array(["a", "b", "c"])[np.arange(200) % 3]}), ("treatment_constant", {"d": np.ones(200)}),
    ("control_is_treatment", {"x": np.arange(200.0) % 7, "d": np.arange(200.0) % 7}),
    ("treatment_is_control", {"d": np.arange(200.0) % 7, "x": np.arange(200.0) % 7 + np.arange(200) % 5,
                              "z": np.arange(200.0) % 5}),
])
def test_refusals(make_table, code, changes):
    kinds = {"d": "categorical"} if code == "several_arms" else {}
    answer = estimate(make_table(columns(200) | changes, **kinds), SPEC, "partially_linear", **LINEAR)
    assert isinstance(answer, Refused) and answer.code == code and answer.remedy


def test_refusals_of_the_design(make_table):
    table = make_table(columns(200))
    for spec, code in ((SPEC.replace(controls=()), "no_controls"),
                       (SPEC.replace(quantity="ATT"), "quantity_not_available")):
        answer = estimate(table, spec, "partially_linear", **LINEAR)
        assert isinstance(answer, Refused) and answer.code == code
    answer = estimate(make_table(columns(12)), SPEC, "partially_linear", **LINEAR)
    assert isinstance(answer, Refused) and answer.code == "too_few_rows"
    alone = columns(200, binary=True)
    alone["c"] = np.where(alone["d"] == 1, 0, np.arange(200))
    answer = estimate(make_table(alone, d="binary", c="count"), SPEC.replace(cluster="c"), "partially_linear")
    assert isinstance(answer, Refused) and answer.code == "too_few_clusters"
