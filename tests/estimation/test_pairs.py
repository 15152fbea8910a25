"""All pairs of three arms with a known truth: estimates, errors, multiplicity, and several treatment columns."""

from __future__ import annotations

import numpy as np
import pytest

from whence.core.result import Refused
from whence.estimation.estimate import estimate
from whence.identification.spec import Contrast, Spec

LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear", "n_splits": 1}
SPEC = Spec("adjustment", ("arm",), ("y",), controls=("x",))
TRUTH = {"b vs a": 1.0, "c vs a": 3.0, "c vs b": 2.0}
METHODS = {"aipw": LINEAR, "tmle": LINEAR, "ipw": {"degree": 1}, "regression": {"degree": 1}}


def columns(n, seed, effects=(0.0, 1.0, 3.0), slopes=(0.0, 0.5, -0.5), logit=False):
    """Effects 1 and 3 over arm a on average (x has mean 0), arms chosen by x in their order, or by a multinomial
    logit."""
    rng = np.random.default_rng([seed, n])
    x = rng.normal(size=n)
    arm = np.clip(np.digitize(x + rng.logistic(size=n), [-0.7, 0.7]), 0, 2)
    if logit:
        arm = (np.outer(x, [0.0, 0.7, 1.4]) + rng.gumbel(size=(n, 3))).argmax(axis=1)
    y = x + np.array(effects)[arm] + np.array(slopes)[arm] * x + rng.normal(size=n) * (1 + 0.5 * (arm == 2))
    return {"x": x, "arm": np.array(["a", "b", "c"])[arm], "y": y}


@pytest.mark.parametrize("method", METHODS)
def test_every_pair_is_right_and_is_what_its_own_contrast_gives(make_table, method):
    table = make_table(columns(3000, 1), arm="categorical")
    effect = estimate(table, SPEC, method, **METHODS[method])
    found = {c.label: c for c in effect.pairs}
    assert list(found) == list(TRUTH)
    for label, truth in TRUTH.items():
        assert abs(found[label].estimate - truth) < 4 * found[label].standard_error < 0.6
        assert found[label].joint_interval[0] < found[label].interval[0]
        assert found[label].p_value <= found[label].adjusted_p_value
    for c in effect.comparisons:  # the same numbers; the joint interval allows for one comparison more
        assert found[c.label].estimate == c.estimate and found[c.label].standard_error == pytest.approx(
            c.standard_error)
        assert found[c.label].joint_interval[0] <= c.joint_interval[0] + 1e-3
    turned = estimate(table, SPEC.replace(contrast=Contrast("c", "b")), method, **METHODS[method])
    assert turned.contrast == "arm: c vs b"
    # AIPW's order of the arms in the logit is another, which moves it by its small penalty only.
    assert found["c vs b"].estimate == pytest.approx(turned.estimate, abs=2e-4)
    assert found["c vs b"].standard_error == pytest.approx(turned.standard_error, rel=2e-3)
    assert "c vs b" in str(effect) and [c["label"] for c in effect.to_dict()["pairs"]] == list(TRUTH)


def test_an_experiment_has_tukeys_intervals(make_table):
    """Equal arms and variances: the joint intervals are Tukey's, by the studentised range of three means."""
    from scipy.stats import studentized_range

    rng = np.random.default_rng(4)
    arm = np.repeat(["a", "b", "c"], 400)
    table = make_table({"arm": arm, "y": rng.normal(size=1200)}, arm="categorical")
    effect = estimate(table, Spec("rct", ("arm",), ("y",)))
    quantile = studentized_range.ppf(0.95, 3, np.inf) / np.sqrt(2)
    assert effect.method == "difference" and len(effect.pairs) == 3
    for c in effect.pairs:
        assert (c.joint_interval[1] - c.estimate) / c.standard_error == pytest.approx(quantile, rel=0.01)


def test_welchs_degrees_of_freedom_of_a_pair(make_table):
    from scipy.stats import ttest_ind

    rng = np.random.default_rng(5)
    sizes, spread = (200, 6, 8), (1.0, 1.0, 4.0)
    y = np.concatenate([rng.normal(size=n) * s for n, s in zip(sizes, spread, strict=True)])
    table = make_table({"arm": np.repeat(["a", "b", "c"], sizes), "y": y}, arm="categorical")
    pair = estimate(table, Spec("rct", ("arm",), ("y",))).pairs[2]
    known = ttest_ind(y[206:], y[200:206], equal_var=False)
    assert pair.estimate == pytest.approx(y[206:].mean() - y[200:206].mean())
    assert pair.p_value == pytest.approx(known.pvalue, rel=0.02)  # df at most those of either against the first arm


def test_effects_about_different_people_are_not_compared(make_table):
    table = make_table(columns(600, 2), arm="categorical")
    assert estimate(table, SPEC.replace(quantity="ATT"), "aipw", **LINEAR).pairs == ()
    two = estimate(table, SPEC.replace(population=()), "aipw", **LINEAR)
    assert (two - two).pairs == ()


def test_several_treatment_columns_are_refused_with_what_to_do(make_table):
    given = columns(200, 3)
    table = make_table(given | {"other": given["x"] > 0}, arm="categorical", other="binary")
    for method in ("aipw", "ipw", "difference"):
        answer = estimate(table, SPEC.replace(treatments=("arm", "other")), method)
        assert isinstance(answer, Refused) and answer.code == "several_treatments"
        assert answer.evidence["treatments"] == ["arm", "other"] and "one treatment at a time" in answer.remedy
    assert estimate(table, SPEC.replace(controls=("x", "other")), "regression")  # the remedy works


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("clusters", [False, True])
def test_joint_coverage(make_table, method, clusters):
    """All three intervals hold together in 95 % of 500 sets (Monte Carlo error 1 point, two and a half allowed).
    Weights alone rest on the model of the arms, which is right there."""
    hits, single, n = 0, 0, 400
    for seed in range(500):
        given = columns(n, seed, logit=method == "ipw")
        if clusters:
            shared = np.random.default_rng([seed, 9]).normal(size=80)
            given |= {"g": np.repeat(np.arange(80), n // 80), "y": given["y"] + 0.5 * np.repeat(shared, n // 80)}
        effect = estimate(make_table(given, arm="categorical"), SPEC.replace(cluster="g" if clusters else None), method,
                          **METHODS[method])
        inside = [c.joint_interval[0] <= TRUTH[c.label] <= c.joint_interval[1] for c in effect.pairs]
        hits += all(inside)
        single += effect.pairs[2].interval[0] <= 2 <= effect.pairs[2].interval[1]
    print(f"{method} {clusters}: joint {hits / 500:.3f}, c vs b alone {single / 500:.3f}")  # noqa: T201
    assert 0.925 <= hits / 500 <= 0.975 and 0.925 <= single / 500 <= 0.975
