"""Rows, roles and preconditions: every refusal is provoked, every lost row counted."""

from __future__ import annotations

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.data.table import Table
from whence.estimation.prepare import Prepared, prepare
from whence.identification.spec import Condition, Spec

RNG = np.random.default_rng(5)
N = 40
BASE = {"t": np.tile([0, 1], N // 2), "y": RNG.normal(size=N), "x": RNG.normal(size=N)}
KINDS = {"t": "binary"}
SPEC = Spec("adjustment", ("t",), ("y",), controls=("x",))


def refused(answer, code):
    assert isinstance(answer, Refused), answer
    assert answer.code == code and answer.reason and answer.remedy and answer.evidence
    return answer


def remark(data, code):
    assert isinstance(data, Prepared), data
    return next(r for r in data.remarks if r.code == code)


def with_roles(table, **roles):
    return Table(table.columns, table.n_rows, roles)


def test_complete_rows_and_what_was_lost(make_table):
    y, x = BASE["y"].copy(), BASE["x"].copy()
    y[[0, 3]] = np.nan
    x[[3, 5, 7]] = np.nan
    data = prepare(make_table(BASE | {"x": x, "y": y}, **KINDS), SPEC)
    said = remark(data, "rows_dropped")
    assert said.evidence == {"dropped": 4, "used": N - 4, "missing": {"y": 2, "x": 3}}
    assert set(said.about) == {"x", "y"}
    assert data.rows.tolist() == [i for i in range(N) if i not in (0, 3, 5, 7)]
    assert np.array_equal(data.outcome, y[data.rows])


def test_missing_values_elsewhere_cost_nothing(make_table):
    other = np.full(N, np.nan)
    data = prepare(make_table(BASE | {"other": other}, **KINDS), SPEC)
    assert isinstance(data, Prepared) and data.n == N and data.remarks == ()


@pytest.mark.parametrize(("operator", "value", "kept"), [
    ("==", "b", 20), ("!=", "b", 19), ("in", ("a", "b"), 39), ("==", "absent", 0),
])
def test_population_by_level(make_table, operator, value, kept):
    site = np.array(["a", "b"] * (N // 2), dtype=object)
    site[0] = None
    table = make_table(BASE | {"site": site}, site="text", **KINDS)
    flipped = {**BASE, "t": np.repeat([0, 1], N // 2)}
    table = make_table(flipped | {"site": site}, site="text", **KINDS)
    answer = prepare(table, SPEC.replace(population=(Condition("site", operator, value),)))
    if not kept:
        assert refused(answer, "no_rows").evidence["in_population"] == 0
    else:
        assert remark(answer, "population").evidence == {"kept": kept, "rows": N}


@pytest.mark.parametrize("operator", ["<", "<=", ">", ">="])
def test_population_by_number(make_table, operator):
    x = BASE["x"].copy()
    x[0] = np.nan
    data = prepare(make_table(BASE | {"x": x}, **KINDS),
                   SPEC.replace(population=(Condition("x", operator, 0.1),)))
    assert isinstance(data, Prepared)
    expected = {"<": x < 0.1, "<=": x <= 0.1, ">": x > 0.1, ">=": x >= 0.1}[operator]
    assert np.array_equal(data.rows, np.flatnonzero(expected))


def test_population_number_needs_a_number(make_table):
    with pytest.raises(WhenceError) as error:
        prepare(make_table(BASE, **KINDS), SPEC.replace(population=(Condition("x", ">", "tall"),)))
    assert error.value.code == "bad_condition"


@pytest.mark.parametrize(("levels", "one"), [(("no", "yes"), "yes"), (("dead", "alive"), None), ((1, 2), 2)])
def test_binary_outcomes(make_table, levels, one):
    y = np.array(levels)[RNG.integers(0, 2, N)]
    data = prepare(make_table(BASE | {"y": y}, y="binary", **KINDS), SPEC)
    assert isinstance(data, Prepared)
    assert np.ptp(data.outcome) == 1
    if one is not None:
        assert np.array_equal(data.outcome == data.outcome.max(), y == one)
    if isinstance(levels[0], str):
        assert remark(data, "outcome_coded").evidence["one"] == (one or "dead")


def test_ordinal_outcome_is_scored_in_words(make_table):
    y = np.array(["a low", "b mid", "c high"])[RNG.integers(0, 3, N)]
    data = prepare(make_table(BASE | {"y": y}, y="ordinal", **KINDS), SPEC)
    assert remark(data, "outcome_scored").evidence == {"levels": ["a low", "b mid", "c high"]}
    assert set(data.outcome) == {0.0, 1.0, 2.0}


@pytest.mark.parametrize(("changes", "kinds", "code"), [
    ({"t": np.ones(N)}, {}, "treatment_constant"),
    ({"t": np.ones(N)}, {"t": "continuous"}, "treatment_constant"),
    ({"y": np.full(N, 3.0)}, {}, "outcome_constant"),
    ({"y": np.array(["a", "b", "c", "d"] * 10)}, {"y": "categorical"}, "outcome_not_numeric"),
    ({"y": np.array([f"w{i}" for i in range(N)])}, {"y": "text"}, "outcome_not_numeric"),
    ({"y": np.full(N, np.nan)}, {}, "no_rows"),
    ({"t": np.full(N, np.nan)}, {"t": "continuous"}, "no_rows"),
    ({"t": np.eye(1, N)[0].astype(int)}, {}, "small_arm"),
    ({"x": BASE["t"] * 2.0 - 5}, {}, "control_is_treatment"),
    ({"x": np.where(BASE["t"] == 1, "in", "out")}, {"x": "categorical"}, "control_is_treatment"),
    ({"x": -3 * BASE["y"] + 1}, {}, "control_is_outcome"),
    ({"x": np.where(np.arange(N) == 4, np.inf, BASE["x"])}, {}, "infinite_values"),
    ({"y": np.where(np.arange(N) == 4, -np.inf, BASE["y"])}, {}, "infinite_values"),
])
def test_refusals(make_table, changes, kinds, code):
    refused(prepare(make_table(BASE | changes, **(KINDS | kinds)), SPEC), code)


def test_one_row_and_no_rows(make_table):
    one = make_table({"t": [1], "y": [2.0], "x": [3.0]}, t="binary")
    refused(prepare(one, SPEC), "treatment_constant")
    none = make_table({"t": np.array([], dtype=int), "y": [], "x": []}, t="binary")
    refused(prepare(none, SPEC), "no_rows")


def test_an_arm_outside_the_contrast_may_be_small(make_table):
    arms = np.array(["a"] * 20 + ["b"] * 19 + ["c"])
    data = prepare(make_table(BASE | {"t": arms}, t="categorical"), SPEC)
    assert remark(data, "arms_dropped").evidence == {"dropped": {"c": 1}}
    assert data.treatment.arms == ("a", "b") and data.n == 39


def test_several_treatments_or_outcomes(make_table):
    table = make_table(BASE | {"z": BASE["x"]}, **KINDS)
    refused(prepare(table, Spec("did", ("t", "x"), ("y",), time="z")), "several_treatments")
    refused(prepare(table, Spec("adjustment", ("t",), ("y", "z"))), "several_outcomes")


def test_unknown_column(make_table):
    with pytest.raises(WhenceError) as error:
        prepare(make_table(BASE, **KINDS), SPEC.replace(controls=("xx",)))
    assert error.value.code == "unknown_column"


@pytest.mark.parametrize(("clusters", "outcome"), [
    (np.zeros(N), "too_few_clusters"), (BASE["t"].astype(float), "too_few_clusters"),
    (np.arange(N) % 5, "few_clusters"), (np.arange(N) % 20, None),
])
def test_clusters(make_table, clusters, outcome):
    answer = prepare(make_table(BASE | {"g": clusters}, g="count", **KINDS), SPEC.replace(cluster="g"))
    if outcome == "too_few_clusters":
        refused(answer, outcome)
    elif outcome:
        assert remark(answer, outcome).evidence["clusters"] == 5
    else:
        assert isinstance(answer, Prepared) and answer.n_clusters == 20 and not answer.remarks


def test_roles_of_the_table_fill_the_spec(make_table):
    table = make_table(BASE | {"g": np.arange(N) // 2, "w": RNG.uniform(1, 2, N)}, g="count", **KINDS)
    data = prepare(with_roles(table, cluster="g", weights="w"), SPEC)
    assert isinstance(data, Prepared)
    assert data.spec.cluster == "g" and data.spec.weights == "w"
    assert data.weights is not None and data.weights.mean() == pytest.approx(1)


def test_repeated_units_are_clusters_and_single_ones_are_not(make_table):
    table = make_table(BASE | {"who": np.arange(N) // 2, "row": np.arange(N)}, who="count", row="count", **KINDS)
    repeated = prepare(table, SPEC.replace(unit="who"))
    assert remark(repeated, "clustered_by_unit").evidence == {"units": 20, "rows": N}
    assert repeated.spec.cluster == "who"
    single = prepare(table, SPEC.replace(unit="row"))
    assert isinstance(single, Prepared) and single.clusters is None


def test_weights(make_table):
    w = RNG.uniform(1, 2, N)
    spec = SPEC.replace(weights="w")
    refused(prepare(make_table(BASE | {"w": -w}, **KINDS), spec), "bad_weights")
    refused(prepare(make_table(BASE | {"w": np.where(np.arange(N) == 2, np.inf, w)}, **KINDS), spec), "bad_weights")
    data = prepare(make_table(BASE | {"w": np.where(np.arange(N) < 3, 0.0, w)}, **KINDS), spec)
    assert remark(data, "rows_dropped").evidence["missing"] == {"w (weight 0)": 3}
