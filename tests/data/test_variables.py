"""The rule for kinds."""

from __future__ import annotations

import numpy as np
import pytest

import whence

rng = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 1] * 5, "binary"), ([1, 2] * 5, "binary"), ([0.0, 1.0, np.nan] * 5, "binary"), ([1.5, 2.5] * 5, "binary"),
        ([True, False, True], "binary"), (["yes", "no", "no"], "binary"), (["F", "M"] * 4, "binary"),
        ([1, 2, 3, 4, 5] * 4, "ordinal"), ([-1, 0, 1] * 4, "ordinal"), ([0, 1, 2, None] * 4, "ordinal"),
        ([1, 2, 3, 4, 5], "count"),  # too few rows to say that they repeat
        ([0, 1, 2, 5, 9] * 4, "count"), (list(range(30)) * 2, "count"), ([8, 10, 12, 16] * 5, "continuous"),
        (list(range(20, 60)), "continuous"), ([2001, 2002, 2003] * 5, "continuous"), ([0, 5000, 20] * 5, "continuous"),
        ([0.5, 1.5, 2.5] * 5, "continuous"), ([7.0] * 5, "continuous"), ([None] * 5, "continuous"),
        ([1.5, 2.5], "continuous"),
        (["a", "b", "c"] * 4, "categorical"), (["a"] * 4, "categorical"), (["a", "b", "c"], "text"),
        ([f"w{i}" for i in range(60)], "text"), ([f"w{i % 60}" for i in range(900)], "categorical"),
        (["2020-01-01", "2020-01-02", None], "datetime"),
        (np.array(["2020", "NaT"], dtype="datetime64[D]"), "datetime"),
    ],
)
def test_kind(values, kind):
    assert whence.read({"v": values}).kind("v") == kind


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        (["yes", "no"], ("no", "yes")), (["treated", "control"], ("control", "treated")),
        (["Untreated", "treated"], ("Untreated", "treated")), (["placebo", "drug"], ("placebo", "drug")),
        ([2, 1], (1, 2)), ([1.0, 0.0], (0, 1)), ([True, False], (False, True)), (["b", "a"], ("a", "b")),
    ],
)
def test_of_two_levels_the_negative_comes_first(values, levels):
    found = whence.read({"v": values * 4}).levels("v")
    assert found == levels
    assert [type(v) for v in found] == [type(v) for v in levels]


def test_numeric_of_coded_columns():
    table = whence.read({"k": [3, 1, 2, None] * 5, "w": ["no", "yes", None, "no"] * 5})
    assert table.kind("k") == "ordinal"
    np.testing.assert_array_equal(table.numeric("k")[:4], [3, 1, 2, np.nan])
    np.testing.assert_array_equal(table.numeric("w")[:4], [0, 1, np.nan, 0])
