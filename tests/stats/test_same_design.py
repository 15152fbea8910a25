"""Rows of another table get the columns they would have had in the first design."""

from __future__ import annotations

import numpy as np
import pytest

from whence.data.load import read
from whence.stats.features import features
from whence.stats.same_design import in_own_units, same_design

KINDS = {"age": "continuous", "site": "categorical", "grade": "ordinal", "when": "datetime", "income": "continuous"}


def columns(n=60, seed=0):
    rng = np.random.default_rng(seed)
    return {"age": rng.normal(50, 9, n), "site": rng.choice(["a", "b", "c"], n), "grade": rng.integers(0, 4, n),
            "when": np.datetime64("2020-01-01") + rng.integers(0, 900, n), "income": np.where(
                rng.random(n) < 0.1, np.nan, rng.exponential(3, n))}


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_the_same_rows_get_the_same_design(degree):
    table = read(columns(), kinds=KINDS)
    rows = np.arange(table.n_rows)
    made = features(table, KINDS, rows[:40], degree)
    again = same_design(made, table, rows[:40], read(columns(), kinds=KINDS), rows[:40])
    np.testing.assert_allclose(again.matrix, made.matrix, atol=1e-12)
    assert again.unknown == {}


def test_other_rows_by_hand():
    table = read(columns(), kinds=KINDS)
    rows = np.arange(40)
    made = features(table, ("age", "site"), rows, 2)
    other = read({"age": [50.0, 61.0, None], "site": ["c", "z", "a"]}, kinds={"age": "continuous", "site": "text"})
    got = same_design(made, table, rows, other, np.arange(3))
    age = table.numeric("age")[:40]
    z = (age - age.mean()) / age.std()
    new = (np.array([50.0, 61.0]) - age.mean()) / age.std()
    at = {label: j for j, label in enumerate(made.labels)}
    np.testing.assert_allclose(got.matrix[:2, at["age"]], new)
    np.testing.assert_allclose(got.matrix[:2, at["age^2"]], new**2 - (z**2).mean())
    assert got.matrix[:, at["site=c"]].tolist() == [1.0, 0.0, 0.0]
    assert got.unknown == {"age": 1, "site": 1} and got.strange.tolist() == [False, True, True]


def test_units():
    table = read(columns(), kinds=KINDS)
    rows = np.arange(10, 50)
    made = features(table, ("age", "income", "site"), rows, 1)
    own = in_own_units(made, table, rows)
    np.testing.assert_allclose(own[:, made.labels.index("age")], table.numeric("age")[rows])
    income = table.numeric("income")[rows]
    np.testing.assert_allclose(own[:, made.labels.index("income")],
                               np.where(np.isnan(income), np.nanmean(income), income))
    site = made.labels.index("site=b")
    np.testing.assert_array_equal(own[:, site], made.matrix[:, site])
