"""Design columns: dummies, powers, dropped columns, independence of column order."""

from __future__ import annotations

import numpy as np
import pytest

from whence.core.result import Refused
from whence.stats.features import Features, features, independent, level_codes, plain

RNG = np.random.default_rng(0)
N = 60
COLUMNS = {
    "age": RNG.normal(50, 10, N), "grade": RNG.integers(1, 4, N), "sex": RNG.integers(0, 2, N),
    "site": RNG.choice(["n", "s", "e"], N), "visits": RNG.integers(0, 3, N).astype(float),
    "flag": RNG.integers(0, 2, N).astype(float),
}
KINDS = {"grade": "ordinal", "sex": "binary", "site": "categorical", "visits": "count"}


@pytest.fixture(scope="module")
def table(make_table):
    return make_table(COLUMNS, **KINDS)


def test_labels_sources_and_powers(table):
    made = features(table, ["site", "age", "grade", "sex", "visits", "flag"], np.arange(N), degree=3)
    assert isinstance(made, Features)
    assert made.labels == ("age", "age^2", "age^3", "flag", "grade=2", "grade=3", "sex=1", "site=n", "site=s",
                           "visits", "visits^2")
    assert made.sources[:3] == ("age", "age", "age")
    assert made.matrix.shape == (N, 11)
    assert np.allclose(made.matrix[:, 0], (COLUMNS["age"] - COLUMNS["age"].mean()) / COLUMNS["age"].std())
    assert np.array_equal(made.matrix[:, 7], COLUMNS["site"] == "n")


def test_degree_zero_keeps_ordinal_columns_whole(table):
    made = features(table, ["site", "age", "grade", "visits"], np.arange(N), degree=0)
    assert isinstance(made, Features)
    assert made.labels == ("age", "grade", "site=n", "site=s", "visits")
    assert np.corrcoef(made.matrix[:, 1], COLUMNS["grade"])[0, 1] == pytest.approx(1)


def test_powers_span_the_same_space_as_raw_powers(table):
    made = features(table, ["age"], np.arange(N), degree=2)
    assert isinstance(made, Features)
    x = COLUMNS["age"]
    raw = np.column_stack([np.ones(N), x, x**2])
    ours = np.column_stack([np.ones(N), made.matrix])
    fit = ours @ np.linalg.lstsq(ours, raw, rcond=None)[0]
    assert np.allclose(fit, raw)


def test_column_order_does_not_matter(make_table):
    turned = make_table({name: COLUMNS[name] for name in reversed(COLUMNS)}, **KINDS)
    a = features(turned, list(COLUMNS), np.arange(N), 2)
    b = features(make_table(COLUMNS, **KINDS), sorted(COLUMNS), np.arange(N), 2)
    assert isinstance(a, Features) and isinstance(b, Features)
    assert a.labels == b.labels and np.array_equal(a.matrix, b.matrix)


def test_constant_and_collinear_columns_are_dropped_by_name(make_table):
    x = RNG.normal(size=N)
    z = RNG.normal(size=N)
    table = make_table({"c": x - 3 * z + 1, "a": x, "b": z, "k": np.full(N, 7.0), "only": np.full(N, "u")},
                       only="categorical")
    made = features(table, ["only", "k", "c", "b", "a"], np.arange(N))
    assert isinstance(made, Features)
    assert made.labels == ("a", "b")
    assert set(made.dropped) == {"k", "only", "c"}


def test_huge_and_tiny_numbers_stay_finite(make_table):
    table = make_table({"big": RNG.normal(size=N) * 1e300, "small": 1e12 + RNG.normal(size=N)})
    made = features(table, ["big", "small"], np.arange(N), 2)
    assert isinstance(made, Features)
    assert made.matrix.shape[1] == 4 and np.isfinite(made.matrix).all()


def test_more_levels_than_rows_is_refused(make_table):
    table = make_table({"id": np.array([f"p{i}" for i in range(N)]), "x": np.arange(N), "y": RNG.normal(size=N)},
                       id="text")
    answer = features(table, ["id", "x", "y"], np.arange(N))
    assert isinstance(answer, Refused)
    assert answer.code == "more_features_than_rows" and answer.evidence["columns"] == N + 1
    assert "'id'" in answer.reason


def test_no_names_and_no_rows(table):
    empty = features(table, [], np.arange(N))
    assert isinstance(empty, Features) and empty.matrix.shape == (N, 0)
    none = features(table, ["age"], np.array([], dtype=int))
    assert isinstance(none, Features) and none.matrix.shape == (0, 0)


def test_independent_flags_the_later_column():
    x = RNG.normal(size=(N, 3))
    matrix = np.column_stack([x, x[:, 0] + x[:, 1], RNG.normal(size=N), np.ones(N)])
    assert independent(matrix).tolist() == [True, True, True, False, True, False]


def test_level_codes_mean_the_same_on_any_rows(table):
    codes, labels = level_codes(table.column("visits"), np.arange(N))
    part, same = level_codes(table.column("visits"), np.flatnonzero(COLUMNS["visits"] > 0))
    assert labels == same == ["0", "1", "2"] and part.min() == 1
    assert np.array_equal(codes, COLUMNS["visits"].astype(int))


@pytest.mark.parametrize(("value", "text"), [(1.0, "1"), (1.5, "1.5"), ("a", "a"), (True, "True"), (3, "3")])
def test_plain(value, text):
    assert plain(value) == text
