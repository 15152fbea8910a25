"""Wilks' criterion against the exact F test of one coefficient, the F test of groups, and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from whence.stats.citest.degenerate_gaussian import degenerate_gaussian


def residual_squares(y: np.ndarray, *blocks: np.ndarray) -> float:
    design = np.column_stack([np.ones(len(y)), *blocks])
    left = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    return float((left**2).sum())


@pytest.mark.parametrize("levels", [2, 3, 5])
def test_one_number_gives_the_f_test_of_nested_regressions(levels: int) -> None:
    rng = np.random.default_rng(levels)
    z = rng.standard_normal((70, 2))
    x = np.eye(levels)[rng.integers(0, levels, 70)][:, 1:]
    y = z[:, 0] + x[:, 0] * 0.4 + rng.standard_normal(70)
    small, full = residual_squares(y, z), residual_squares(y, z, x)
    df1, df2 = levels - 1, 70 - 3 - (levels - 1)
    f = (small - full) / df1 / (full / df2)
    for found in (degenerate_gaussian(x, y[:, None], z), degenerate_gaussian(y[:, None], x, z)):
        assert found.p_value == pytest.approx(stats.f.sf(f, df1, df2))
        assert found.statistic == pytest.approx(70 * np.log(small / full))


def test_two_blocks_reject_at_their_level() -> None:
    rng = np.random.default_rng(3)
    p = [degenerate_gaussian(rng.standard_normal((25, 3)), rng.standard_normal((25, 4)),
                             rng.standard_normal((25, 2))).p_value for _ in range(2000)]
    assert np.mean(np.array(p, dtype=float) < 0.05) == pytest.approx(0.05, abs=0.015)


def test_too_few_rows() -> None:
    rng = np.random.default_rng(4)
    assert degenerate_gaussian(*rng.standard_normal((3, 4, 1)), ).p_value is not None
    assert degenerate_gaussian(rng.standard_normal((4, 1)), rng.standard_normal((4, 1)),
                               rng.standard_normal((4, 3))).p_value is None
