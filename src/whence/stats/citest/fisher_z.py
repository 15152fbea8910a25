"""Fisher's z: zero partial correlation, the test for jointly normal variables (Fisher 1924)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from whence.core.card import Card
from whence.data.table import NUMERIC, Table
from whence.stats.citest.result import IndependenceTest, checked_variables, impossible

COLLINEAR = 1e-10  # a share of variance below this is rounding error

CARD = Card(
    name="fisher_z",
    task="independence_test",
    title="Fisher's z test of partial correlation",
    summary="Tests whether two numeric variables are uncorrelated given others, by linear regression.",
    data_kinds=("continuous", "count"),
    assumptions=("The variables are jointly normal, or at least related linearly with even noise.",
                 "Rows are independent."),
    parameters=(),
    output="IndependenceTest",
    cost="n k^2 for k conditioning variables",
    citations=("Fisher, R. A. (1924). The distribution of the partial correlation coefficient. Metron 3:329-332.",),
    function="whence.stats.citest.fisher_z:fisher_z_test",
)


def partial_correlation(corr: np.ndarray) -> float | None:
    """Partial correlation of the first two variables given the rest.

    corr: (2 + k, 2 + k) correlation matrix. None when the given variables determine each other, or one of
    the two: then there is nothing left to correlate.
    """
    factor = np.zeros((len(corr) - 2, len(corr) - 2))
    ends = np.zeros((2, len(factor)))
    for m in range(len(factor)):
        row = corr[m + 2]
        for t in range(m):
            factor[m, t] = (row[t + 2] - factor[m, :t] @ factor[t, :t]) / factor[t, t]
        rest = 1.0 - factor[m, :m] @ factor[m, :m]
        if rest < COLLINEAR:
            return None
        factor[m, m] = math.sqrt(rest)
        ends[:, m] = (row[:2] - ends[:, :m] @ factor[m, :m]) / factor[m, m]
    left = 1.0 - (ends**2).sum(axis=1)
    if (left < COLLINEAR).any():
        return None
    r = (corr[0, 1] - ends[0] @ ends[1]) / math.sqrt(left[0] * left[1])
    return float(min(1.0, max(-1.0, r)))


def statistic(r: float, n: int, k: int) -> float:
    """atanh(r) sqrt(n - k - 3), standard normal under independence given k variables; needs n > k + 3.

    A perfect correlation gives a very large finite value.
    """
    limit = 1.0 - 1e-15
    return math.atanh(min(limit, max(-limit, r))) * math.sqrt(n - k - 3)


def p_value(z: float) -> float:
    """Two-sided tail of the standard normal distribution."""
    return math.erfc(abs(z) / math.sqrt(2.0))


def critical_correlation(alpha: float, n: int, k: int) -> float:
    """The largest partial correlation, in size, that Fisher's z does not reject at level ``alpha``."""
    from scipy.special import ndtri

    return math.tanh(-float(ndtri(alpha / 2)) / math.sqrt(n - k - 3))


def correlation(values: np.ndarray) -> np.ndarray | None:
    """Correlation matrix of the columns of (n, d) ``values``; None when a column is constant."""
    if not len(values):
        return None
    mean, least, most = values.mean(axis=0), values.min(axis=0), values.max(axis=0)
    # Scaling first keeps sums of squares of very large or very small values finite.
    size = np.maximum(most - mean, mean - least)
    if (size <= 1e-14 * np.maximum(np.abs(least), np.abs(most))).any():
        return None
    centred = values - mean
    centred /= size
    centred /= np.sqrt(np.einsum("ij,ij->j", centred, centred))
    corr = centred.T @ centred
    np.fill_diagonal(corr, 1.0)
    return corr


def fisher_z_test(table: Table, x: str, y: str, given: Sequence[str] = ()) -> IndependenceTest:
    """Tests x independent of y given ``given`` on the rows where all of them are present.

    Raises ``WhenceError`` for unknown, repeated or non-numeric columns.
    """
    names = checked_variables(table, x, y, tuple(given), NUMERIC)
    rows = table.complete(names)
    n, k = int(rows.sum()), len(given)
    common = {"test": CARD.name, "x": x, "y": y, "given": names[2:], "n": n, "n_missing": len(table) - n}
    if n <= k + 3:
        text = f"{n} rows are too few for a test given {k} variables."
        remarks = impossible("too_few_rows", text, names, n=n, needed=k + 4)
        return IndependenceTest(statistic=None, p_value=None, df=None, remarks=remarks, **common)
    corr = correlation(table.matrix(names)[rows])
    r = None if corr is None else partial_correlation(corr)
    if r is None:
        text = "A variable is constant or determined by the others, so there is nothing left to test."
        remarks = impossible("collinear", text, names)
        return IndependenceTest(statistic=None, p_value=None, df=None, remarks=remarks, **common)
    z = statistic(r, n, k)
    return IndependenceTest(statistic=z, p_value=p_value(z), df=None, **common)
