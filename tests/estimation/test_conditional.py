"""Effects that differ between people: every learner finds them, the front door refuses what it must."""

from __future__ import annotations

import json

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.data.load import read
from whence.estimation.choose import DESIGN
from whence.estimation.conditional import conditional
from whence.estimation.heterogeneity.people import Conditional
from whence.identification.spec import Contrast, Spec

LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear"}
METHODS = ("causal_forest", "dr_learner", "r_learner", "s_learner", "t_learner", "x_learner")
SPEC = Spec("adjustment", ("a",), ("y",), controls=("x0", "x1", "site"))


def columns(n=900, seed=0, effect=lambda x: 1 + x):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 2))
    a = rng.random(n) < 1 / (1 + np.exp(-0.7 * x[:, 0]))
    tau = effect(x[:, 1])
    y = x[:, 0] + tau * a + rng.standard_normal(n)
    return {"x0": x[:, 0], "x1": x[:, 1], "site": rng.choice(list("abc"), n), "a": a.astype(int), "y": y}, tau


def quick(method):
    return LINEAR | ({"trees": 200} if method == "causal_forest" else
                     {"effect_learner": "linear"} if method[0] in "drx" else {})


@pytest.fixture(scope="module")
def table():
    return read(columns()[0])


@pytest.fixture(scope="module")
def forest(table):
    found = conditional(table, SPEC, "causal_forest", seed=1, trees=400, **LINEAR)
    assert isinstance(found, Conditional)
    return found


@pytest.mark.parametrize("method", METHODS)
def test_every_learner_finds_the_differences(table, method):
    found = conditional(table, SPEC, method, seed=1, **quick(method))
    tau = columns()[1]
    assert np.corrcoef(found.effects, tau)[0, 1] > 0.9
    assert next(iter(found.importance)) == "x1" and sum(found.importance.values()) == pytest.approx(1)
    assert abs(found.average.estimate - tau.mean()) < 3 * found.average.standard_error
    new, truth = columns(300, seed=5)
    told = found.predict(read({name: values for name, values in new.items() if name not in "ay"}))
    assert np.corrcoef(told.effects, truth)[0, 1] > 0.9 and told.rows.tolist() == list(range(300))
    assert (found.errors is not None) == (method == "causal_forest") == (told.errors is not None)


@pytest.mark.parametrize("method", METHODS)
def test_planted_confounding_beyond_the_controls_is_not_hidden(method):
    """Without the confounder the effects are wrong and no number shows it: what is taken for granted is said first."""
    data, tau = columns(n=2000)
    found = conditional(read(data), SPEC.replace(controls=("x1", "site")), method, **quick(method))
    assert found.average.estimate - tau.mean() > 3 * found.average.standard_error
    assert found.assumptions[0] == DESIGN["adjustment"]


def test_scores_are_those_of_aipw(table):
    """Their mean is the cross-fitted AIPW estimate with the same folds."""
    from whence.estimation.estimate import estimate

    found = conditional(table, SPEC, "dr_learner", seed=3, **quick("dr_learner"))
    effect = estimate(table, SPEC, "aipw", seed=3, n_splits=1, **LINEAR)
    assert found.average.estimate == pytest.approx(effect.estimate, rel=1e-9)
    assert found.average.standard_error == pytest.approx(effect.standard_error, rel=2e-3)


def test_what_is_said_of_the_differences(forest):
    rate = forest.rate()
    assert rate.autoc.estimate > 3 * rate.autoc.standard_error
    groups = forest.groups(3)
    assert groups.groups[0].estimate < groups.groups[-1].estimate
    line = {c.label: c for c in forest.projection().slopes}
    assert abs(line["x1"].estimate - 1) < 3 * line["x1"].standard_error
    assert abs(line["x0"].estimate) < 3 * line["x0"].standard_error
    assert "x1" in forest.policy(1).rule and forest.uplift().area.estimate > 0
    parts = forest.within("x1").levels
    assert len(parts) == 4 and parts[0].estimate < 0.5 < 1.5 < parts[-1].estimate
    with pytest.raises(WhenceError, match="x9"):
        forest.within("x9")
    with pytest.raises(WhenceError, match="x9"):
        forest.projection(["x9"])


def test_it_travels(forest):
    plain = forest.to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert len(plain["effects"]) == len(plain["intervals"]) == forest.n
    assert "average effect" in str(forest) and "<table>" in forest._repr_html_()


def test_the_same_whatever_the_order_of_the_columns(forest):
    data, _ = columns()
    again = conditional(read({name: data[name] for name in reversed(data)}),
                        SPEC.replace(controls=("site", "x1", "x0")), seed=1, trees=400, **LINEAR)
    np.testing.assert_allclose(again.effects, forest.effects, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(again.scores, forest.scores, rtol=1e-7, atol=1e-9)


def test_differing_by_some_columns_only(table):
    found = conditional(table, SPEC, "dr_learner", by=["x1"], effect_learner="linear", **LINEAR)
    assert found.by == ("x1",) and list(found.importance) == ["x1"]
    x = table.numeric("x1")
    slope = np.polyfit(x, found.effects, 1)[0]
    assert slope == pytest.approx(1, abs=0.2)
    assert np.corrcoef(found.effects, x)[0, 1] > 0.99
    grouped = conditional(table, SPEC, by=["site"], trees=100, **LINEAR)
    assert len(np.unique(grouped.effects.round(1))) <= 12
    for method in ("s_learner", "t_learner", "x_learner"):
        assert conditional(table, SPEC, method, by=["x1"], **quick(method)).code == "by_not_used"


def test_experiments_strata_and_missing_values():
    data, _ = columns(600)
    rng = np.random.default_rng(1)
    data["x1"] = np.where(rng.random(600) < 0.1, np.nan, data["x1"])
    data["a"] = (rng.random(600) < np.where(data["site"] == "a", 0.7, 0.4)).astype(int)
    found = conditional(read(data), Spec("rct", ("a",), ("y",), strata=("site",)), "dr_learner", by=["x1"],
                        effect_learner="linear", **LINEAR)
    assert found.n == 600 and set(found.spec.controls) == {"site", "x1"}
    told = found.predict(read({"x1": [0.0, None, 1.0]}))
    assert told.rows.tolist() == [0, 1, 2]
    kept = conditional(read(data), SPEC, "dr_learner", effect_learner="linear", **LINEAR)
    assert kept.n < 600 and any(w.code == "rows_dropped" for w in kept.warnings)
    told = kept.predict(read({"x0": [0.0, 0.0, 1.0], "x1": [0.0, None, 1.0], "site": ["a", "b", "zz"]}))
    assert told.rows.tolist() == [0] and told.warnings[0].evidence["unknown"] == {"x1": 1, "site": 1}
    nobody = kept.predict(read({"x0": [0.0], "x1": [0.0], "site": ["zz"]}))
    assert isinstance(nobody, Refused) and nobody.code == "no_rows"


def test_clusters_are_kept_whole():
    data, _ = columns(800)
    data["family"] = np.arange(800) // 4
    spec = SPEC.replace(cluster="family")
    found = conditional(read(data), spec, trees=100, **LINEAR)
    fold = found.fitted.sample.fold
    assert (fold.reshape(-1, 4) == fold.reshape(-1, 4)[:, :1]).all()
    assert isinstance(found.rate(), object) and found.average.standard_error > 0
    data["family"] = np.arange(800) % 12
    assert conditional(read(data), spec, trees=100, **LINEAR).code == "too_few_clusters"


def refused(data, spec, code, **more):
    answer = conditional(read(data), spec, **(LINEAR | more))
    assert isinstance(answer, Refused) and answer.code == code and answer.reason and answer.method


def test_refusals():
    data, _ = columns(400)
    refused(data | {"a": np.ones(400, dtype=int)}, SPEC, "treatment_constant")
    refused(data | {"a": (data["x0"] > 0).astype(int)}, SPEC, "no_overlap")
    refused(data | {"a": data["x0"] + data["y"]}, SPEC, "continuous_treatment")
    refused(data, SPEC.replace(controls=()), "nothing_to_differ_by")
    refused(data, SPEC.replace(strategy="iv", instruments=("x1",), controls=("x0",)), "other_design")
    refused(data, SPEC.replace(truth="x1", controls=("x0",)), "role_not_used")
    refused(data, SPEC.replace(quantity="ATT"), "quantity_not_available")
    refused(data, SPEC.replace(treatments=("a", "site"), controls=("x0", "x1")), "several_treatments")
    refused(data, SPEC.replace(missing_controls="impute"), "imputation_not_available")
    refused(data, SPEC.replace(graph="x0 --> a; a --> x1; x1 --> y; a --> y; x0 --> y; site --> y"),
            "post_treatment_control")
    few = {name: values[:90] for name, values in data.items()}
    refused(few, SPEC, "too_few_rows")


def test_several_arms_need_a_contrast():
    data, _ = columns(600)
    arms = np.where(np.arange(600) % 3 == 0, "other", np.where(data["a"] == 1, "new", "old"))
    refused(data | {"a": arms}, SPEC, "several_arms")
    found = conditional(read(data | {"a": arms}), SPEC.replace(contrast=Contrast("new", "old")), "t_learner", **LINEAR)
    assert found.n == 400 and "new vs old" in found.contrast
    assert any(w.code == "arms_dropped" for w in found.warnings)


def test_bad_input():
    data, _ = columns(200)
    table = read(data)
    for by, code in (("x0", "bad_by"), (["a"], "role_conflict"), (["nothing"], "unknown_column")):
        with pytest.raises(WhenceError) as caught:
            conditional(table, SPEC, by=by)
        assert caught.value.code == code
    with pytest.raises(WhenceError, match="causal_forest"):
        conditional(table, SPEC, "causal_forrest")


def test_the_column_that_effects_differ_by_is_named_first() -> None:
    rng = np.random.default_rng(3)
    n = 1500
    age, income, coached = rng.integers(18, 66, n), rng.gamma(3, 10, n), rng.integers(0, 2, n)
    score = 20 + 0.1 * age + coached * (1 + 0.08 * (age - 40)) + rng.normal(0, 3, n)
    found = conditional(read({"age": age, "income": income, "coached": coached, "score": score}),
                        {"strategy": "rct", "treatments": ["coached"], "outcomes": ["score"],
                         "controls": ["age", "income"]}, outcome_learner="linear", trees=200)
    assert isinstance(found, Conditional)
    assert found.importance["age"] > 0.7
