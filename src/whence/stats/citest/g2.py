"""G2, the likelihood ratio test of independence in a contingency table, stratum by stratum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from whence.core.card import Card
from whence.core.result import Remark
from whence.data.table import Table
from whence.stats.citest.chi2 import ChiSquare, stratified_test
from whence.stats.citest.result import IndependenceTest

CARD = Card(
    name="g2",
    task="independence_test",
    title="G2 likelihood ratio test within strata",
    summary="Tests whether two categorical variables are independent within every stratum of others, by the "
    "likelihood ratio: 2 n times the conditional mutual information, corrected for small strata. In sparse "
    "tables chi2 keeps its level better.",
    data_kinds=("binary", "categorical", "ordinal"),
    assumptions=("Rows are independent.", "Every stratum holds several rows per combination of levels."),
    parameters=(),
    output="IndependenceTest",
    cost="n + number of cells",
    citations=(
        "Bishop, Y., Fienberg, S. and Holland, P. (1975). Discrete Multivariate Analysis. MIT Press.",
        "Williams, D. A. (1976). Improved likelihood ratio tests for complete contingency tables. Biometrika "
        "63:33-37.",
        "Tsamardinos, I., Brown, L. and Aliferis, C. (2006). The max-min hill-climbing Bayesian network structure "
        "learning algorithm. Machine Learning 65:31-78.",
    ),
    function="whence.stats.citest.g2:g2_test",
)
MOST_FACTOR = 1.5
FEW = 5.0  # rows per degree of freedom below which the p-value is rough


def g2(counts: np.ndarray) -> ChiSquare:
    """The test on counts of shape (strata, rows, columns).

    A row or column that no observation of a stratum falls in is a structural zero there: it takes no part and
    no degree of freedom, (r - 1)(c - 1) with the r and c that occur. A stratum where every row or every column
    holds one observation is left out: it fits any hypothesis, so it would add to G2 whatever the truth. Each
    stratum's part is divided by Williams' (1976) factor, without which true independence of binary variables is
    rejected 10 % of the time at level 5 % in strata of 12 rows. The factor is at most 1.5: with rare levels it would
    grow until strata that speak clearly are silenced.
    """
    from scipy.special import chdtrc, xlogy

    by_row, by_column = counts.sum(axis=2), counts.sum(axis=1)
    speaks = (by_row > 1).any(axis=1) & (by_column > 1).any(axis=1)
    total = int(counts.sum())
    counts, by_row, by_column = counts[speaks], by_row[speaks], by_column[speaks]
    r, c = np.count_nonzero(by_row, axis=1), np.count_nonzero(by_column, axis=1)
    df = int(((r - 1) * (c - 1)).sum())
    if df == 0:
        return ChiSquare(0.0, 0, None, total)
    varies = (r > 1) & (c > 1)
    counts, by_row, by_column, n = (v[varies] for v in (counts, by_row, by_column, by_row.sum(axis=1)))
    own = ((r - 1) * (c - 1))[varies]
    ratio = xlogy(counts, counts).sum(axis=(1, 2)) + xlogy(n, n)
    ratio -= xlogy(by_row, by_row).sum(axis=1) + xlogy(by_column, by_column).sum(axis=1)
    williams = 1 + (_inverse_shares(by_row) - 1) * (_inverse_shares(by_column) - 1) / (6 * n * own)
    value = max(float((2 * ratio / np.minimum(williams, MOST_FACTOR)).sum()), 0.0)
    return ChiSquare(value, df, float(chdtrc(df, value)), total)


def _inverse_shares(margin: np.ndarray) -> np.ndarray:
    """Per stratum the sum of n / count over the rows (or columns) that occur."""
    n = margin.sum(axis=1, keepdims=True)
    return np.divide(n, margin, out=np.zeros(margin.shape), where=margin > 0).sum(axis=1)


def g2_test(table: Table, x: str, y: str, given: Sequence[str] = ()) -> IndependenceTest:
    """Tests x independent of y given ``given`` on the rows where all of them are present.

    Raises ``WhenceError`` for unknown, repeated or non-categorical columns.
    """
    return stratified_test(CARD.name, g2, _sparse, table, x, y, given)


def _sparse(found: ChiSquare, names: tuple[str, ...]) -> tuple[Remark, ...]:
    """A remark when a degree of freedom rests on fewer than ``FEW`` rows."""
    if found.n >= FEW * found.df:
        return ()
    text = (f"Only {found.n / found.df:.1f} rows per degree of freedom: the likelihood ratio rejects true "
            "independence too often or too seldom. Prefer the chi-square test.")
    return (Remark("sparse_table", text, names, {"rows": found.n, "df": found.df}),)
