"""The degenerate Gaussian likelihood ratio: categories enter a joint normal model as indicators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from whence.core.card import Card
from whence.data.table import Table
from whence.stats.citest.gcm import GCM, features, left_over
from whence.stats.citest.result import IndependenceTest, checked_variables, impossible

CARD = Card(
    name="degenerate_gaussian",
    task="independence_test",
    title="Degenerate Gaussian likelihood ratio test",
    summary="Tests numbers and categories together: a category is a block of indicators, and all columns are treated "
    "as jointly normal. Linear, quick, and exact for normal numbers.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=("The means of both variables given the others are linear (in indicators of categories).",
                 "The noise around these means has the same spread everywhere.",
                 "Rows are independent."),
    parameters=(),
    output="IndependenceTest",
    cost="n k^2 for k conditioning features",
    citations=(
        "Andrews, B., Ramsey, J. and Cooper, G. F. (2019). Learning high-dimensional directed acyclic graphs with "
        "mixed data-types. Proceedings of Machine Learning Research 104:4-21.",
        "Rao, C. R. (1951). An asymptotic expansion of the distribution of Wilks' criterion. Bulletin of the "
        "International Statistical Institute 33:177-180.",
    ),
    function="whence.stats.citest.degenerate_gaussian:degenerate_gaussian_test",
)


def degenerate_gaussian(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> GCM:
    """The test on features: x (n, p), y (n, q), z (n, k) without intercept.

    The likelihood ratio of the joint normal model with and without covariance of x and y given z is
    -n log(lambda), lambda the product of 1 - r^2 over the canonical correlations r of the residuals (Wilks'
    criterion). Rao's (1951) F approximation gives the p-value; it is exact when x or y has at most two columns
    and the other is normal. statistic: -n log(lambda); df: p q.
    """
    from scipy.special import fdtrc

    n = len(x)
    e, f, used = left_over(x, y, z)
    p, q = e.shape[1], f.shape[1]
    if not p or not q or n - used - max(p, q) < 1:
        return GCM(0.0, 0, None)
    shared = np.linalg.svd(e.T @ f, compute_uv=False)
    log = float(np.log1p(-np.minimum(shared**2, 1 - 1e-15)).sum())
    rows = n - used - (p + q + 1) / 2
    t = np.sqrt((p * p * q * q - 4) / (p * p + q * q - 5)) if p * p + q * q > 5 else 1.0
    df1, df2 = p * q, rows * t - p * q / 2 + 1
    if df2 <= 0:
        return GCM(0.0, 0, None)
    ratio = np.expm1(-log / t) * df2 / df1
    return GCM(-n * log, df1, float(fdtrc(df1, df2, ratio)))


def degenerate_gaussian_test(table: Table, x: str, y: str, given: Sequence[str] = ()) -> IndependenceTest:
    """Tests x independent of y given ``given`` on the rows where all of them are present.

    Raises ``WhenceError`` for unknown or repeated columns, and for datetime and text.
    """
    names = checked_variables(table, x, y, tuple(given))
    rows = table.complete(names)
    n = int(rows.sum())
    blocks = [features(table.column(name), rows) for name in names]
    none = GCM(0.0, 0, None)
    found = degenerate_gaussian(blocks[0], blocks[1], np.hstack([np.empty((n, 0)), *blocks[2:]])) if n else none
    common = {"test": CARD.name, "x": x, "y": y, "given": names[2:], "n": n, "n_missing": len(table) - n}
    if found.p_value is None:
        text = "A variable is constant or determined by the others, or rows are too few: nothing to test."
        remarks = impossible("nothing_left", text, names, n=n)
        return IndependenceTest(statistic=None, p_value=None, df=None, remarks=remarks, **common)
    return IndependenceTest(statistic=found.statistic, p_value=found.p_value, df=found.df, **common)
