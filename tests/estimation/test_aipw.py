"""Cross-fitted AIPW: truth, learners, folds, splits, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear", "n_splits": 1}


@pytest.mark.parametrize(("quantity", "truth"), [("ATE", 0.0), ("ATT", 1.0), ("ATC", -1.0)])
def test_each_quantity(make_table, quantity, truth):
    # The effect is 2 x, and x is 1/2 higher (by the propensity's tilt) among the treated: about +-1 * E|...|.
    rng = np.random.default_rng(1)
    x = rng.normal(size=6000)
    t = rng.random(6000) < 1 / (1 + np.exp(-1.5 * x))
    y = 2 * x * t + x**2 + rng.normal(size=6000)
    effect = estimate(make_table({"x": x, "t": t, "y": y}, t="binary"),
                      Spec("adjustment", ("t",), ("y",), quantity, controls=("x",)),
                      outcome_learner="quadratic", treatment_learner="linear", n_splits=1)
    exact = {"ATE": 0.0, "ATT": 2 * x[t].mean(), "ATC": 2 * x[~t].mean()}[quantity]
    assert effect.method == "aipw"
    assert np.sign(exact) == np.sign(truth) or truth == 0
    assert abs(effect.estimate - exact) < 4 * effect.standard_error < 0.5


@pytest.mark.parametrize("wrong", ["outcome", "treatment"])
def test_one_right_model_is_enough(make_table, wrong):
    rng = np.random.default_rng(2)
    x = rng.normal(size=8000)
    z = np.exp(x)
    curved = x**2 / 2
    t = rng.random(8000) < 1 / (1 + np.exp(-(curved - 0.5 if wrong == "outcome" else curved * 2 - 1)))
    y = 1 + t + 3 * curved + rng.normal(size=8000)
    table = make_table({"x": x, "z": z, "t": t, "y": y}, t="binary")
    learners = {"outcome_learner": "quadratic", "treatment_learner": "quadratic"}
    effect = estimate(table, Spec("adjustment", ("t",), ("y",), controls=("x",)), "aipw", n_splits=1,
                      **(learners | {f"{wrong}_learner": "linear"}))
    both = estimate(table, Spec("adjustment", ("t",), ("y",), controls=("x",)), "aipw", n_splits=1,
                    outcome_learner="linear", treatment_learner="linear")
    assert abs(effect.estimate - 1) < 4 * effect.standard_error
    assert abs(both.estimate - 1) > 8 * both.standard_error


def test_default_learners_find_a_crooked_surface(make_table):
    rng = np.random.default_rng(3)
    x = rng.uniform(-2, 2, size=(3000, 3))
    step = (x[:, 0] > 0) & (x[:, 1] > 0)
    t = rng.random(3000) < np.where(step, 0.75, 0.3)
    y = t + 4.0 * step + rng.normal(size=3000)
    table = make_table({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "t": t, "y": y}, t="binary")
    spec = Spec("adjustment", ("t",), ("y",), controls=("a", "b", "c"))
    effect = estimate(table, spec, n_splits=1)
    assert abs(effect.estimate - 1) < 4 * effect.standard_error
    assert effect.diagnostics["learned"]["outcome, t = False"]["stack"]["boosting"] > 0.8
    assert abs(estimate(table, spec, "regression", degree=1).estimate - 1) > 0.3


def test_same_seed_same_answer_and_column_order_does_not_matter(sample, spec, make_table):
    s = sample(300, 4)
    columns = {"x1": s.x[:, 1], "y": s.y, "x0": s.x[:, 0], "t": s.t, "c": s.clusters}
    a = estimate(s.table, spec(), seed=5, n_splits=1)
    b = estimate(make_table(columns, t="binary", c="count"), spec(controls=("x1", "x0")), seed=5, n_splits=1)
    assert a.estimate == b.estimate and a.standard_error == b.standard_error
    assert np.array_equal(a.influence, b.influence)
    other = estimate(s.table, spec(), seed=6, n_splits=1)
    assert other.estimate != a.estimate and abs(other.estimate - a.estimate) < a.standard_error


def test_median_over_splits(sample, spec):
    s = sample(300, 5)
    effect = estimate(s.table, spec(), **(LINEAR | {"n_splits": 5}))
    by_split = np.array(effect.diagnostics["estimates_by_split"])
    errors = np.array(effect.diagnostics["standard_errors_by_split"])
    assert len(by_split) == 5 and effect.estimate == pytest.approx(np.median(by_split))
    expected = np.sqrt(np.median(errors**2 + (by_split - np.median(by_split)) ** 2))
    assert effect.standard_error == pytest.approx(expected)
    assert np.sqrt(effect.influence @ effect.influence) / effect.n == pytest.approx(expected)


def test_fewer_splits_with_more_rows(sample, spec):
    quick = {"outcome_learner": "linear", "treatment_learner": "linear"}
    assert estimate(sample(200, 1).table, spec(), **quick).diagnostics["n_splits"] == 3
    assert estimate(sample(5000, 1).table, spec(), **quick).diagnostics["n_splits"] == 1


def test_objects_equal_their_named_learner(sample, spec):
    from sklearn.linear_model import LinearRegression, LogisticRegression

    s = sample(300, 6)
    objects = {"outcome_learner": LinearRegression(), "treatment_learner": LogisticRegression(C=100.0)}
    mine = estimate(s.table, spec(), n_splits=1, **objects)
    assert mine.estimate == pytest.approx(estimate(s.table, spec(), **LINEAR).estimate, abs=1e-3)
    assert mine.provenance.parameters["outcome_learner"] == "LinearRegression()"
    assert isinstance(mine.to_dict()["provenance"]["parameters"]["treatment_learner"], str)


@pytest.mark.parametrize(("params", "code"), [
    ({"outcome_learner": "boostng"}, "bad_parameter"), ({"outcome_learner": 3}, "bad_parameter"),
    ({"n_folds": 1}, "bad_parameter"), ({"degree": 2}, "unknown_parameter"), ({"clip": 0.4}, "bad_parameter"),
])
def test_bad_parameters(sample, spec, params, code):
    with pytest.raises(WhenceError) as error:
        estimate(sample(100, 1).table, spec(), "aipw", **params)
    assert error.value.code == code


def test_learners_of_the_wrong_sort(sample, spec):
    from sklearn.linear_model import LinearRegression, LogisticRegression

    table = sample(100, 1).table
    with pytest.raises(WhenceError, match="predict_proba"):
        estimate(table, spec(), "aipw", treatment_learner=LinearRegression())
    with pytest.raises(WhenceError, match="classifier"):
        estimate(table, spec(), "aipw", outcome_learner=LogisticRegression())


def test_binary_outcome_is_learned_as_a_probability(make_table):
    rng = np.random.default_rng(7)
    x = rng.normal(size=2000)
    t = rng.random(2000) < 1 / (1 + np.exp(-x))
    y = rng.random(2000) < 1 / (1 + np.exp(-(x + t)))
    truth = np.mean(1 / (1 + np.exp(-(x + 1))) - 1 / (1 + np.exp(-x)))
    table = make_table({"x": x, "t": t, "y": np.where(y, "yes", "no")}, t="binary", y="binary")
    spec = Spec("adjustment", ("t",), ("y",), controls=("x",))
    effect = estimate(table, spec, **LINEAR)
    assert abs(effect.estimate - truth) < 4 * effect.standard_error
    assert effect.diagnostics["learned"]["outcome, t = True"]["loss"] < 1.0


def test_three_arms(make_table):
    rng = np.random.default_rng(8)
    x = rng.normal(size=3000)
    arm = np.clip(np.digitize(x + rng.logistic(size=3000), [-0.7, 0.7]), 0, 2)
    y = x + np.array([0.0, 1.0, 3.0])[arm] + rng.normal(size=3000)
    table = make_table({"x": x, "arm": np.array(["a", "b", "c"])[arm], "y": y}, arm="categorical")
    for quantity in ("ATE", "ATT", "ATC"):
        effect = estimate(table, Spec("adjustment", ("arm",), ("y",), quantity, controls=("x",)), **LINEAR)
        for comparison, truth in zip(effect.comparisons, (1.0, 3.0), strict=True):
            assert abs(comparison.estimate - truth) < 4 * comparison.standard_error < 0.6


def test_treatment_decided_by_the_controls_is_refused(make_table):
    rng = np.random.default_rng(9)
    x = rng.normal(size=600)
    table = make_table({"x": x, "t": x > 0.1, "y": x + rng.normal(size=600)}, t="binary")
    answer = estimate(table, Spec("adjustment", ("t",), ("y",), controls=("x",)))
    assert isinstance(answer, Refused) and answer.code == "no_overlap" and answer.method == "aipw"


def test_small_arms(make_table):
    rng = np.random.default_rng(10)
    columns = {"x": rng.normal(size=60), "t": np.repeat([0, 1], [53, 7]), "y": rng.normal(size=60)}
    spec = Spec("adjustment", ("t",), ("y",), controls=("x",))
    table = make_table(columns, t="binary")
    answer = estimate(table, spec, "aipw")
    assert isinstance(answer, Refused) and answer.code == "small_arm"
    chosen = estimate(table, spec)
    assert chosen.method == "regression" and "method_chosen" in {w.code for w in chosen.warnings}


def test_extreme_propensities_are_clipped_and_counted(make_table):
    rng = np.random.default_rng(11)
    x = rng.normal(size=4000)
    t = rng.random(4000) < 1 / (1 + np.exp(-2.5 * x))
    table = make_table({"x": x, "t": t, "y": x + t + rng.normal(size=4000)}, t="binary")
    effect = estimate(table, Spec("adjustment", ("t",), ("y",), controls=("x",)), **LINEAR, clip=0.05)
    said = next(w for w in effect.warnings if w.code == "propensities_clipped").evidence
    floor = np.minimum(0.05, np.array([(~t).mean(), t.mean()]) / 10)
    expected = ((1 - effect.propensity < floor[0]) | (effect.propensity < floor[1])).sum()
    assert said["rows"] == expected > 0 and effect.diagnostics["clipped"] == expected


def test_a_rare_arm_is_not_clipped_away(make_table):
    rng = np.random.default_rng(12)
    x = rng.normal(size=20_000)
    t = rng.random(20_000) < 0.006
    table = make_table({"x": x, "t": t, "y": x + t + 0.1 * rng.normal(size=20_000)}, t="binary")
    effect = estimate(table, Spec("adjustment", ("t",), ("y",), controls=("x",)), **LINEAR)
    assert effect.diagnostics["clipped"] == 0 and abs(effect.estimate - 1) < 4 * effect.standard_error


def test_clusters_stay_in_one_fold_and_widen_the_interval(sample, spec):
    s = sample(300, 13, clusters=30)
    effect = estimate(s.table, spec(cluster="c"), **LINEAR)
    assert effect.df == 29 and np.array_equal(effect.clusters, s.clusters)
    sums = np.bincount(s.clusters, weights=effect.influence)
    assert effect.standard_error == pytest.approx(np.sqrt(sums @ sums) / 300)


def test_few_clusters_mean_few_folds(sample, spec):
    s = sample(300, 14, clusters=4)
    effect = estimate(s.table, spec(cluster="c"), **LINEAR)
    assert effect.diagnostics["n_folds"] == 4 and "few_clusters" in {w.code for w in effect.warnings}


def test_progress_is_reported(sample, spec):
    class Counter:
        total, done, ended = 0, 0, 0

        def begin(self, label, total=None):
            self.total += total or 0

        def step(self, count=1):
            self.done += count

        def end(self):
            self.ended += 1

    watch = Counter()
    estimate(sample(300, 1).table, spec(), progress=watch, **(LINEAR | {"n_splits": 2}))
    assert watch.total == watch.done == 2 * 5 * 3 and watch.ended == 1
