"""Errors for rows that depend on each other: how they are asked for, what is refused, how effects combine."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import whence
from whence import Refused, Spec, WhenceError, estimate
from whence.identification.spec import Condition

N = 120
RNG = np.random.default_rng(8)
X = RNG.normal(size=N)
T = (RNG.random(N) < 1 / (1 + np.exp(-X))).astype(int)
BASE = {
    "t": T, "y": T + X + RNG.normal(size=N), "x": X, "firm": np.arange(N) % 15, "state": np.arange(N) // 8,
    "day": np.arange(N), "north": RNG.uniform(40, 50, N), "east": RNG.uniform(0, 10, N),
}
KINDS = {"firm": "categorical", "state": "categorical"}
SPEC = Spec("adjustment", ("t",), ("y",), controls=("x",))
PLACES = {"covariance": "conley", "latitude": "north", "longitude": "east", "distance_km": 100}
TWO_WAY = {"covariance": "two_way", "also_cluster": "state"}


def table(**changes):
    return whence.read({k: v for k, v in (BASE | changes).items() if v is not None}, kinds=KINDS)


@pytest.mark.parametrize("method", ["difference", "regression", "ipw", "aipw"])
@pytest.mark.parametrize(("spec", "params", "words"), [
    (SPEC.replace(time="day"), {"covariance": "hac", "lags": 3}, "3 lags in 'day'"),
    (SPEC, PLACES, "100 km"),
    (SPEC.replace(cluster="firm"), TWO_WAY, "both by 'firm' (15 clusters) and by 'state' (15)"),
])
def test_every_method_has_them(method, spec, params, words):
    quick = {"n_splits": 1, "outcome_learner": "linear", "treatment_learner": "linear"} if method == "aipw" else {}
    plain = estimate(table(), spec.replace(cluster=None, time=None), method, **quick)
    found = estimate(table(), spec, method, **quick, **params)
    if method != "aipw":  # folds follow the clusters
        assert found.estimate == plain.estimate
    assert words in found.errors and found.diagnostics["covariance"] == params["covariance"]
    assert found.standard_error != plain.standard_error and found.df is not None
    assert found.provenance.parameters["covariance"] == params["covariance"]
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_order_of_rows_and_the_unit_of_time_do_not_matter():
    spec = SPEC.replace(time="day")
    first = estimate(table(), spec, "ipw", covariance="hac")
    order = RNG.permutation(N)
    mixed = estimate({k: np.asarray(v)[order] for k, v in BASE.items()}, spec, "ipw", covariance="hac")
    dates = np.datetime64("2020-01-01") + 7 * np.arange(N)
    weekly = estimate(table(day=dates), spec, "ipw", covariance="hac")
    assert mixed.standard_error == pytest.approx(first.standard_error, rel=1e-9)
    assert weekly.standard_error == pytest.approx(first.standard_error, rel=1e-9)


def test_no_lags_is_no_dependence():
    found = estimate(table(), SPEC.replace(time="day"), "regression", degree=1, covariance="hac", lags=0)
    rows = estimate(table(), SPEC, "regression", degree=1, covariance="HC1")
    assert found.standard_error == pytest.approx(rows.standard_error, rel=1e-9)
    far = estimate(table(), SPEC, "regression", degree=1, **PLACES | {"distance_km": 1e-6})
    assert far.standard_error == pytest.approx(rows.standard_error, rel=1e-9)


def test_units_that_repeat_are_series_not_clusters():
    spec = SPEC.replace(unit="firm", time="day")
    found = estimate(table(day=np.arange(N) // 15), spec, "ipw", covariance="hac", lags=2)
    assert "15 units" in found.errors and found.clusters is None
    assert "clustered_by_unit" not in {w.code for w in found.warnings}
    assert estimate(table(day=np.arange(N) // 15), spec, "ipw").clusters is not None


HOLE = np.where(np.arange(N) < 2, np.nan, BASE["north"])
PLANTED = {
    "time missing": ({"day": np.where(np.arange(N) < 3, np.nan, np.arange(N))}, SPEC.replace(time="day"),
                     {"covariance": "hac"}, "values_missing"),
    "time repeated": ({"day": np.arange(N) // 2}, SPEC.replace(time="day"), {"covariance": "hac"}, "time_repeated"),
    "unit and time repeated": ({"day": np.arange(N) // 60}, SPEC.replace(time="day", unit="firm"),
                               {"covariance": "hac"}, "time_repeated"),
    "time in words": ({"day": [f"day {i}" for i in range(N)]}, SPEC.replace(time="day"), {"covariance": "hac"},
                      "time_not_ordered"),
    "too many lags": ({}, SPEC.replace(time="day"), {"covariance": "hac", "lags": 110}, "too_much_dependence"),
    "place missing": ({"north": HOLE}, SPEC, PLACES, "values_missing"),
    "place beyond the pole": ({"north": BASE["north"] * 10}, SPEC, PLACES, "not_coordinates"),
    "place in words": ({"east": [f"place {i}" for i in range(N)]}, SPEC, PLACES, "not_coordinates"),
    "everything near": ({}, SPEC, PLACES | {"distance_km": 9000}, "too_much_dependence"),
    "no first grouping": ({}, SPEC, TWO_WAY, "no_cluster"),
    "one second group": ({"state": np.ones(N)}, SPEC.replace(cluster="firm"), TWO_WAY, "too_few_clusters"),
    "second group missing": ({"state": np.where(np.arange(N) < 5, np.nan, np.arange(N) // 8)},
                             SPEC.replace(cluster="firm"), TWO_WAY, "values_missing"),
}


@pytest.mark.parametrize("case", PLANTED)
@pytest.mark.parametrize("method", ["regression", "ipw"])
def test_refusals(case, method):
    changes, spec, params, code = PLANTED[case]
    found = estimate(table(**changes), spec, method, **params)
    assert isinstance(found, Refused) and found.code == code, found
    assert found.reason.endswith(".") and found.remedy


@pytest.mark.parametrize(("spec", "params", "code"), [
    (SPEC, {"covariance": "hac"}, "missing_role"),
    (SPEC, {"covariance": "conley", "latitude": "north", "longitude": "east"}, "missing_parameter"),
    (SPEC, {"covariance": "two_way"}, "missing_parameter"),
    (SPEC, {"lags": 3}, "unused_parameter"),
    (SPEC, PLACES | {"latitude": "nrth"}, "unknown_column"),
    (SPEC, PLACES | {"distance_km": 0}, "bad_parameter"),
    (SPEC, PLACES | {"distance": 5}, "unknown_parameter"),
    (SPEC, {"covariance": "newey"}, "bad_parameter"),
    (SPEC.replace(cluster="firm"), PLACES, "two_dependences"),
    (SPEC.replace(cluster="firm"), TWO_WAY | {"also_cluster": "firm"}, "two_dependences"),
])
@pytest.mark.parametrize("method", ["regression", "ipw"])
def test_calls_that_make_no_sense(spec, params, code, method):
    with pytest.raises(WhenceError) as caught:
        estimate(table(), spec, method, **params)
    assert caught.value.code == code


@pytest.mark.parametrize(("spec", "params"), [
    (SPEC.replace(time="day"), {"covariance": "hac", "lags": 4}), (SPEC, PLACES),
    (SPEC.replace(cluster="firm"), TWO_WAY),
])
def test_effects_combine_with_their_dependence(spec, params):
    """On different rows: the covariance is that of the summed influence on the union of the rows."""
    whole = estimate(table(), spec, "ipw", **params)
    part = estimate(table(), spec.replace(population=(Condition("x", "<", 1.0),)), "regression", **params)
    gap = whole - part
    total = whole.influence / whole.n
    total[part.rows] -= part.influence / part.n
    assert gap.standard_error == pytest.approx(np.sqrt(whole.dependence.products(total[:, None])[0, 0]))
    assert (whole - whole).standard_error == 0
    with pytest.raises(WhenceError) as caught:
        whole - estimate(table(), spec, "ipw")
    assert caught.value.code == "different_errors"
    other = dataclasses.replace(part, dependence=None)
    with pytest.raises(WhenceError):
        whole + other


def test_a_bootstrap_interval_does_not_combine():
    spec = SPEC.replace(cluster="firm")
    wild = estimate(table(), spec, "regression", covariance="wild", bootstrap_draws=999)
    assert wild.own_interval and "bootstrap" in wild.errors
    assert "holds the treatment" in next(w.text for w in wild.warnings if w.code == "bootstrap_holds_fixed")
    with pytest.raises(WhenceError) as caught:
        wild - estimate(table(), spec, "regression", covariance="CR2")
    assert caught.value.code == "own_interval"


def test_the_uniform_kernel_may_give_no_variance():
    """Influence values of opposite sign side by side: the uniform kernel sums them to less than nothing."""
    n = 40
    sign = np.tile([1.0, -1.0], n // 2)
    columns = {"t": np.arange(n) // 20, "y": sign, "north": np.arange(n) * 1.0, "east": np.zeros(n)}
    spec = Spec("rct", ("t",), ("y",))
    found = estimate(columns, spec, "difference", covariance="conley", latitude="north", longitude="east",
                     distance_km=112, kernel="uniform")
    assert isinstance(found, Refused) and found.code == "negative_variance"


def test_few_clusters_are_answered_with_cr2_and_said():
    found = estimate(table(), SPEC.replace(cluster="firm"), "regression")
    assert found.diagnostics["covariance"] == "CR2" and found.df < 14
    assert [w.evidence["covariance"] for w in found.warnings if w.code == "few_clusters"] == ["CR2"]
    asked = estimate(table(), SPEC.replace(cluster="firm"), "regression", covariance="CR1")
    assert "wild" in next(w.text for w in asked.warnings if w.code == "few_clusters") and asked.df == 14
    many = estimate(table(firm=np.arange(N) // 2), SPEC.replace(cluster="firm"), "regression")
    assert many.diagnostics["covariance"] == "CR1" and not [w for w in many.warnings if w.code == "few_clusters"]


@pytest.mark.parametrize(("covariance", "cluster", "code"), [
    ("HC1", "firm", "two_dependences"), ("CR2", None, "no_cluster"), ("wild", None, "no_cluster"),
])
def test_covariances_that_contradict_the_spec(covariance, cluster, code):
    with pytest.raises(WhenceError) as caught:
        estimate(table(), SPEC.replace(cluster=cluster), "regression", covariance=covariance)
    assert caught.value.code == code


def test_two_clusters_are_too_few():
    changes = {"firm": np.arange(N) % 3, "t": (np.arange(N) % 3 > 0).astype(int)}
    spec = SPEC.replace(cluster="firm")
    assert estimate(table(**changes), spec, "regression").code == "too_few_clusters"
    pair = {"firm": np.arange(N) % 2}
    assert estimate(table(**pair), spec, "regression", covariance="wild").code == "too_few_clusters"


def test_weights_that_cannot_be_counts():
    spec = SPEC.replace(weights="k")
    half = table(k=np.where(np.arange(N) < 5, 0.5, 2.0))
    assert estimate(half, spec, "regression", weights_are="frequency").code == "weights_not_counts"
    with pytest.raises(WhenceError) as caught:
        estimate(table(k=np.full(N, 2.0) + np.arange(N) % 2), spec.replace(time="day"), "regression",
                 covariance="hac", weights_are="frequency")
    assert caught.value.code == "two_dependences"
