"""Pearson's chi-square test of independence in a contingency table, stratum by stratum."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from whence import kernels
from whence.core.card import Card
from whence.core.result import Remark
from whence.data.table import CODED, Table
from whence.stats.citest.result import IndependenceTest, checked_variables, impossible

CARD = Card(
    name="chi2",
    task="independence_test",
    title="Pearson's chi-square test within strata",
    summary="Tests whether two categorical variables are independent within every stratum of others. Unlike "
    "the likelihood ratio G2 it keeps its level in sparse tables.",
    data_kinds=("binary", "categorical", "ordinal"),
    assumptions=("Rows are independent.",),
    parameters=(),
    output="IndependenceTest",
    cost="n + number of cells",
    citations=(
        "Pearson, E. S. (1947). The choice of statistical tests illustrated on the interpretation of data "
        "classed in a 2 x 2 table. Biometrika 34:139-167.",
        "Bishop, Y., Fienberg, S. and Holland, P. (1975). Discrete Multivariate Analysis. MIT Press.",
    ),
    function="whence.stats.citest.chi2:chi2_test",
)


@dataclass(frozen=True)
class ChiSquare:
    """statistic, degrees of freedom, p-value (None without any degree of freedom) and rows counted."""

    statistic: float
    df: int
    p_value: float | None
    n: int


def chi2(counts: np.ndarray) -> ChiSquare:
    """The test on counts of shape (strata, rows, columns).

    In each stratum only the rows and columns that occur count: (r - 1)(c - 1) degrees of freedom. A stratum
    where every row or every column holds one observation is left out: whatever the truth, its statistic
    equals its degrees of freedom. A stratum's sum of (observed - expected)^2 / expected is multiplied by
    (n - 1) / n, which makes its mean equal to its degrees of freedom exactly, given the margins, however
    sparse the table (E. Pearson 1947 for two by two).
    """
    from scipy.special import chdtrc

    by_row, by_column = counts.sum(axis=2), counts.sum(axis=1)
    speaks = (by_row > 1).any(axis=1) & (by_column > 1).any(axis=1)
    total = int(counts.sum())
    counts = counts[speaks].astype(np.float64)
    by_row, by_column = by_row[speaks], by_column[speaks]
    n = by_row.sum(axis=1)
    df = int(((np.count_nonzero(by_row, axis=1) - 1) * (np.count_nonzero(by_column, axis=1) - 1)).sum())
    if df == 0:
        return ChiSquare(0.0, 0, None, total)
    product = by_row[:, :, None].astype(np.float64) * by_column[:, None, :]
    # n * sum of o^2 / (row column) - n equals the sum of (o - e)^2 / e.
    shares = np.divide(counts * counts, product, out=np.zeros_like(counts), where=product > 0)
    value = float(((n - 1) * (shares.sum(axis=(1, 2)) - 1)).sum())
    value = max(value, 0.0)  # rounding can leave a tiny negative number where the fit is perfect
    return ChiSquare(value, df, float(chdtrc(df, value)), total)


def stratified_counts(codes: np.ndarray, cards: Sequence[int]) -> np.ndarray:
    """Counts (strata, cards[0], cards[1]) of the first two rows of ``codes`` within strata of the rest.

    codes: int32 (2 + k, n), -1 missing. cards: levels of each. Only combinations that occur are kept as
    strata when more are possible than there are rows.
    """
    rows, columns, given = int(cards[0]), int(cards[1]), codes[2:]
    strata, sizes = math.prod(int(c) for c in cards[2:]), [int(c) for c in cards[2:]]
    if strata > max(codes.shape[1], 64):
        given, strata = _relabelled(given, sizes)
        sizes = [strata]
    out = np.zeros(strata * rows * columns, dtype=np.int64)
    if len(out):
        order = np.ascontiguousarray(np.concatenate([given, codes[:2]]), dtype=np.int32)
        kernels.counts(order, np.array([*sizes, rows, columns], dtype=np.int64), out)
    return out.reshape(strata, rows, columns)


def _relabelled(given: np.ndarray, cards: Sequence[int]) -> tuple[np.ndarray, int]:
    """One row of codes for the combinations that occur, and how many there are."""
    whole = (given >= 0).all(axis=0)
    cell, seen = np.zeros(int(whole.sum()), dtype=np.int64), 1
    for row, card in zip(given[:, whole], cards, strict=True):
        found, cell = np.unique(cell * card + row, return_inverse=True)
        seen = len(found)
    out = np.full((1, given.shape[1]), -1, dtype=np.int32)
    out[0, whole] = cell
    return out, seen


def chi2_test(table: Table, x: str, y: str, given: Sequence[str] = ()) -> IndependenceTest:
    """Tests x independent of y given ``given`` on the rows where all of them are present.

    Raises ``WhenceError`` for unknown, repeated or non-categorical columns.
    """
    return stratified_test(CARD.name, chi2, _sparse, table, x, y, given)


def stratified_test(
    name: str, statistic: Callable[[np.ndarray], ChiSquare],
    doubts: Callable[[ChiSquare, tuple[str, ...]], tuple[Remark, ...]],
    table: Table, x: str, y: str, given: Sequence[str],
) -> IndependenceTest:
    """The test of the card ``name``: a statistic of the counts within strata, and its doubts about sparse tables."""
    names = checked_variables(table, x, y, tuple(given), CODED)
    n = int(table.complete(names).sum())
    codes = np.array([table.codes(column) for column in names])
    counts = stratified_counts(codes, [len(table.levels(column) or ()) for column in names])
    found = statistic(counts)
    common = {"test": name, "x": x, "y": y, "given": names[2:], "n": n, "n_missing": len(table) - n}
    if found.p_value is None:
        text = "No stratum has two levels of both variables, seen more than once: there is nothing to test."
        remarks = impossible("no_degrees_of_freedom", text, names, n=n)
        return IndependenceTest(statistic=None, p_value=None, df=None, remarks=remarks, **common)
    remarks = (*silent_strata(counts, names), *doubts(found, names))
    return IndependenceTest(statistic=found.statistic, p_value=found.p_value, df=found.df, remarks=remarks, **common)


def silent_strata(counts: np.ndarray, names: tuple[str, ...]) -> tuple[Remark, ...]:
    """A remark when strata of ``counts`` (strata, rows, columns) say nothing, because one of the variables has one
    level there, or all levels of one occur once."""
    by_row, by_column = counts.sum(axis=2), counts.sum(axis=1)
    speaks = np.ones(len(counts), dtype=bool)
    for margin in (by_row, by_column):
        speaks &= (np.count_nonzero(margin, axis=1) > 1) & (margin > 1).any(axis=1)
    size = by_row.sum(axis=1)
    silent, rows = int(((size > 0) & ~speaks).sum()), int(size[~speaks].sum())
    if not silent:
        return ()
    text = (f"{silent} of {int((size > 0).sum())} strata, with {rows} of {int(size.sum())} rows, say nothing: one of "
            "the variables has one level there, or none of its levels occurs twice.")
    return (Remark("silent_strata", text, names, {"strata": silent, "rows": rows}),)


def _sparse(found: ChiSquare, names: tuple[str, ...]) -> tuple[Remark, ...]:
    """A remark when a degree of freedom rests on fewer than five rows: power is low, the level rough."""
    per = found.n / found.df
    if per >= 5:
        return ()
    text = f"Only {per:.1f} rows per degree of freedom: the test has little power and a rough p-value."
    return (Remark("sparse_table", text, names, {"rows": found.n, "df": found.df}),)
