"""What an independence test says about rows, strata and directions that take no part."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest

from whence.data.table import Column, Table
from whence.stats.citest.chi2 import chi2_test
from whence.stats.citest.conditional_gaussian import conditional_gaussian_test
from whence.stats.citest.g2 import g2_test
from whence.stats.citest.kci import kci_test
from whence.stats.citest.kci_lowrank import kci_lowrank_test

ROWS = 90


def table(**values: np.ndarray) -> Table:
    columns = {
        k: Column(k, "categorical", v.astype(np.int32), tuple(range(int(v.max()) + 1))) if v.dtype.kind == "i"
        else Column(k, "continuous", v)
        for k, v in values.items()
    }
    return Table(MappingProxyType(columns), len(next(iter(values.values()))))


def rare() -> np.ndarray:
    """Levels 0 and 1 forty rows each, level 2 seven rows, level 3 three."""
    return np.repeat([0, 1, 2, 3], [40, 40, 7, 3])


def test_rows_of_rare_levels_are_counted() -> None:
    x, y = np.random.default_rng(0).standard_normal((2, ROWS))
    found = conditional_gaussian_test(table(x=x, y=y, z=rare()), "x", "y", ("z",))
    remark = next(r for r in found.remarks if r.code == "rare_levels")
    assert remark.evidence == {"cells": 1, "rows": 3, "needed": 5}
    assert found.n == ROWS - 3 and found.p_value is not None
    kept = rare() < 3
    without = conditional_gaussian_test(table(x=x[kept], y=y[kept], z=rare()[kept]), "x", "y", ("z",))
    assert not without.remarks
    assert without.statistic == pytest.approx(found.statistic)


def test_two_categories_with_rare_combinations_are_not_tested_given_a_number() -> None:
    y = np.random.default_rng(1).integers(0, 2, ROWS)
    w = np.random.default_rng(2).standard_normal(ROWS)
    found = conditional_gaussian_test(table(x=rare(), y=y, w=w), "x", "y", ("w",))
    assert found.p_value is None
    assert {r.code for r in found.remarks} == {"nothing_left", "rare_levels"}


@pytest.mark.parametrize("ask", [chi2_test, g2_test, conditional_gaussian_test])
def test_strata_that_say_nothing_are_counted(ask) -> None:
    rng = np.random.default_rng(3)
    x, y, z = rng.integers(0, 2, ROWS), rng.integers(0, 3, ROWS), np.repeat([0, 1, 2, 3], [44, 40, 4, 2])
    x[z == 2] = 1  # one level of x in four rows
    x[z == 3], y[z == 3] = [0, 1], [2, 1]  # each level once
    found = ask(table(x=x, y=y, z=z), "x", "y", ("z",))
    remark = next(r for r in found.remarks if r.code == "silent_strata")
    assert remark.evidence == {"strata": 2, "rows": 6}
    assert "2 of 4 strata" in remark.text and "6 of 90 rows" in remark.text
    kept = z < 2
    assert not ask(table(x=x[kept], y=y[kept], z=z[kept]), "x", "y", ("z",)).remarks


def test_a_kernel_cut_at_its_rank_is_told() -> None:
    values = np.random.default_rng(4).standard_normal((8, 300))
    t = table(**dict(zip("abcdefxy", values, strict=True)))
    remark = kci_lowrank_test(t, "x", "y", tuple("abcdef"), width=0.5).remarks[0]
    assert (remark.code, remark.about) == ("low_rank", tuple("abcdef"))
    assert 0.01 < remark.evidence["share"] < 1 and remark.evidence["rank"] == 100
    assert not kci_lowrank_test(t, "x", "y", ("a",)).remarks
    assert not kci_test(t, "x", "y", tuple("abcdef"), width=0.5).remarks
