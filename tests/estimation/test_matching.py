"""Matching: order does not matter, calipers and exact columns, refusals, combined effects."""

from __future__ import annotations

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.estimation import matching
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

SPEC = Spec("adjustment", ("t",), ("y",), controls=("a", "b"))


def drawn(n=600, seed=1, rounded=False):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n))
    if rounded:
        a, b = np.round(a), np.round(b)
    t = (rng.random(n) < 1 / (1 + np.exp(-0.7 * a))).astype(int)
    y = a + b**2 + t * (1 + a) + rng.normal(size=n)
    return {"a": a, "b": b, "t": t, "y": y}


@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize("metric", ["mahalanobis", "propensity"])
def test_order_of_rows_and_columns_does_not_matter(make_table, metric, rounded):
    given = drawn(rounded=rounded)
    shuffled = np.random.default_rng(0).permutation(600)
    other = {name: given[name][shuffled] for name in reversed(given)}
    first = estimate(make_table(given, t="binary"), SPEC, "matching", metric=metric)
    second = estimate(make_table(other, t="binary"), SPEC, "matching", metric=metric)
    assert second.estimate == pytest.approx(first.estimate, rel=1e-9)
    assert second.standard_error == pytest.approx(first.standard_error, rel=1e-7)


def test_units_of_measurement_do_not_matter(make_table):
    given = drawn()
    other = given | {"a": 1000 * given["a"] - 5, "b": -0.01 * given["b"]}
    results = [estimate(make_table(g, t="binary"), SPEC, "matching") for g in (given, other)]
    assert results[0].estimate == pytest.approx(results[1].estimate)
    assert results[0].standard_error == pytest.approx(results[1].standard_error)


def test_all_binary_controls_use_every_tie(make_table):
    rng = np.random.default_rng(2)
    a, b = rng.integers(0, 2, size=(2, 20_000))
    t = (rng.random(20_000) < 0.2 + 0.3 * a + 0.2 * b).astype(int)
    table = make_table({"a": a, "b": b, "t": t, "y": a + b + t + rng.normal(size=20_000)}, t="binary", a="binary",
                       b="binary")
    effect = estimate(table, SPEC.replace(quantity="ATT"), "matching", bias_correction=False)
    y, cells = table.numeric("y"), 2 * a + b
    by_cell = [(y[(cells == c) & (t == 1)].mean() - y[(cells == c) & (t == 0)].mean(), ((cells == c) & (t == 1)).sum())
               for c in range(4)]
    assert effect.estimate == pytest.approx(sum(d * k for d, k in by_cell) / sum(k for _, k in by_cell))
    assert effect.diagnostics["matches"]["1 vs 0"]["largest_distance"] == 0


def test_combined_effects(make_table):
    """ATE = share ATT + (1 - share) ATC holds for the influence values too, nearly."""
    table = make_table(drawn(4000), t="binary")
    effects = {q: estimate(table, SPEC.replace(quantity=q), "matching") for q in ("ATE", "ATT", "ATC")}
    gap = effects["ATT"] - effects["ATC"]
    assert gap.estimate == pytest.approx(effects["ATT"].estimate - effects["ATC"].estimate)
    assert 0.02 < gap.standard_error < 0.2
    assert abs((effects["ATT"] - effects["ATT"]).standard_error) < 1e-12


def test_three_arms(make_table):
    rng = np.random.default_rng(4)
    x = rng.normal(size=2000)
    arm = np.clip(np.digitize(x + rng.logistic(size=2000), [-0.7, 0.7]), 0, 2)
    y = x + np.array([0.0, 1.0, 3.0])[arm] + rng.normal(size=2000)
    table = make_table({"x": x, "arm": np.array(["a", "b", "c"])[arm], "y": y}, arm="categorical")
    for quantity in ("ATE", "ATT", "ATC"):
        spec = Spec("adjustment", ("arm",), ("y",), quantity, controls=("x",))
        effect = estimate(table, spec, "matching")
        for comparison, truth in zip(effect.comparisons, (1.0, 3.0), strict=True):
            assert abs(comparison.estimate - truth) < 4 * comparison.standard_error < 0.6
    answer = estimate(table, spec, "matching", metric="propensity")
    assert isinstance(answer, Refused) and answer.code == "several_arms"


def test_the_propensity_being_estimated_shortens_the_interval(monkeypatch, make_table):
    """Errors that take the propensity as known are far too long where the controls matter for the outcome (Abadie and
    Imbens 2016, section 4); ours are those of repeated samples."""
    def answers(seeds):
        found = []
        for seed in seeds:
            rng = np.random.default_rng(seed)
            a, b, noise = rng.standard_normal((3, 600))
            t = (rng.random(600) < 1 / (1 + np.exp(-0.5 * a - 0.5 * b))).astype(int)
            table = make_table({"t": t, "a": a, "b": b, "y": t + a - b + noise}, t="binary")
            effect = estimate(table, Spec("adjustment", ("t",), ("y",), controls=("a", "b")), "matching",
                              metric="propensity", neighbours=1)
            found.append((effect.estimate, effect.standard_error))
        return np.array(found).T

    estimates, errors = answers(range(120))
    monkeypatch.setattr(matching, "_estimated_propensity", lambda data, space, *rest: (
        np.zeros((1, space.fit.design.shape[1])), 0.0))
    naive = answers(range(30))[1]
    assert errors.mean() == pytest.approx(estimates.std(), rel=0.13)  # two Monte Carlo errors of 120 sets
    assert naive.mean() > 1.2 * estimates.std()


def test_clusters_are_refused_plainly(make_table):
    table = make_table(drawn() | {"g": np.arange(600) // 10}, t="binary", g="count")
    answer = estimate(table, SPEC.replace(cluster="g"), "matching")
    assert isinstance(answer, Refused) and answer.code == "clusters_not_available" and "aipw" in answer.remedy


def far_apart(make_table):
    rng = np.random.default_rng(3)
    t = np.repeat([0, 1], 300)
    a = np.where(t == 1, rng.normal(5, 1, 600), rng.normal(-5, 1, 600))
    return make_table({"a": a, "b": rng.normal(size=600), "t": t, "y": rng.normal(size=600)}, t="binary")


def test_no_overlap_is_refused(make_table):
    assert estimate(far_apart(make_table), SPEC, "matching").code == "separation"
    answer = estimate(far_apart(make_table), SPEC, "matching", caliper=0.05)
    assert isinstance(answer, Refused) and answer.code == "no_matches"
    rng = np.random.default_rng(6)
    a = rng.normal(size=1500)
    t = (rng.random(1500) < 1 / (1 + np.exp(-8 * a))).astype(int)
    table = make_table({"a": a, "b": rng.normal(size=1500), "t": t, "y": a + t}, t="binary")
    answer = estimate(table, SPEC, "matching")
    assert isinstance(answer, Refused) and answer.code == "no_overlap"
    trimmed = estimate(table, SPEC, "matching", caliper=0.2)
    assert trimmed and next(w for w in trimmed.warnings if w.code == "unmatched").evidence["unmatched"] > 100


def test_nothing_to_match_on_and_unknown_exact_columns(make_table):
    table = make_table(drawn(), t="binary")
    assert estimate(table, SPEC.replace(controls=()), "matching").code == "no_controls"
    with pytest.raises(WhenceError, match="'y'") as caught:
        estimate(table, SPEC, "matching", exact="y")
    assert caught.value.code == "bad_parameter"
