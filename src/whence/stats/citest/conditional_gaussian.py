"""The conditional Gaussian likelihood ratio: numbers are jointly normal within every combination of levels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from whence.core.card import Card
from whence.core.result import Remark
from whence.data.table import CODED, Table
from whence.stats.citest.chi2 import ChiSquare, silent_strata, stratified_counts
from whence.stats.citest.g2 import g2
from whence.stats.citest.result import IndependenceTest, checked_variables, constant, impossible

CARD = Card(
    name="conditional_gaussian",
    task="independence_test",
    title="Conditional Gaussian likelihood ratio test",
    summary="Tests numbers and categories together: within every combination of levels numbers are jointly normal, "
    "with means, slopes and spreads of their own. It sees slopes that differ between levels.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=("Within every combination of levels, the numbers are jointly normal.", "Rows are independent.",
                 "Two categories are tested given numbers as if the numbers' law within levels were normal."),
    parameters=(),
    output="IndependenceTest",
    cost="n k^2 for k variables",
    citations=(
        "Andrews, B., Ramsey, J. and Cooper, G. F. (2018). Scoring Bayesian networks of mixed variables. International "
        "Journal of Data Science and Analytics 6:3-18.",
        "Lawley, D. N. (1956). A general method for approximating to the distribution of likelihood ratio criteria. "
        "Biometrika 43:295-303.",
    ),
    function="whence.stats.citest.conditional_gaussian:conditional_gaussian_test",
)


def _cells(codes: np.ndarray) -> np.ndarray:
    """The combination of levels of every row, int (n,), of codes (d, n)."""
    return np.unique(codes, axis=1, return_inverse=True)[1].reshape(-1) if len(codes) else np.zeros(
        codes.shape[1], dtype=np.int64)


def _normal_part(numbers: np.ndarray, cell: np.ndarray, keep: np.ndarray) -> tuple[float, float, int]:
    """Twice the log-likelihood of (n, d) numbers within cells, up to what cancels; how far its mean exceeds that of
    the true law, when that is normal; and the parameters. Only cells of ``keep`` count."""
    from scipy.special import psi

    d, value, excess, parameters = numbers.shape[1], 0.0, 0.0, 0
    for c in np.flatnonzero(keep):
        part = numbers[cell == c]
        m = len(part)
        part = part - part.mean(axis=0)
        value -= m * float(np.linalg.slogdet(part.T @ part / m)[1])
        # The log determinant of a Wishart matrix of m - 1 degrees of freedom is a sum of log chi-squares.
        excess -= m * float((psi((m - 1 - np.arange(d)) / 2) + math.log(2 / m)).sum())
        parameters += d + d * (d + 1) // 2
    return value, excess, parameters


def _level_part(cell: np.ndarray) -> tuple[float, int]:
    """Twice the log-likelihood of the cells of all rows, and its parameters."""
    count = np.bincount(cell)
    count = count[count > 0]
    return float(2 * (count * np.log(count / len(cell))).sum()), len(count)


def _large_cells(codes: list[np.ndarray], which: list[bool]) -> tuple[np.ndarray, np.ndarray]:
    """The cell (n,) of every row in the full set, and whether cells (c,) hold enough rows for a covariance matrix."""
    coded = np.array([c for c, number in zip(codes, which, strict=True) if not number])
    cell = _cells(coded.reshape(-1, len(codes[0])))
    return cell, np.bincount(cell) > sum(which) + 2


def conditional_gaussian(numbers: list[np.ndarray], codes: list[np.ndarray], which: list[bool]) -> ChiSquare:
    """The test on columns x, y, z...; which[i] says that column i is numbers[i] (else codes[i]).

    2 (L(xyz) + L(z) - L(xz) - L(yz)), L the maximal conditional Gaussian log-likelihood of a set (Andrews et al.
    2018), with as many degrees of freedom as the parameters differ. It is multiplied by the degrees of freedom over
    its exact mean for normal numbers, known from log determinants of Wishart matrices (a Bartlett correction);
    without it small cells reject far too often. Categories alone give G2. Rows in cells of the full set with no more
    rows than needed for a covariance matrix are left out; when x and y both are categories this would make
    dependence, and the test is impossible.
    """
    from scipy.special import chdtrc

    n = len(codes[0])
    if not any(which):
        return g2(stratified_counts(np.array(codes, dtype=np.int32), [int(c.max()) + 1 for c in codes]))
    cell, large = _large_cells(codes, which)
    usable = large[cell]
    if not usable.any() or (not (which[0] or which[1]) and not usable.all()):
        return ChiSquare(0.0, 0, None, n)
    total, mean, df = 0.0, 0.0, 0
    others = list(range(2, len(which)))
    for chosen, sign in (([0, 1, *others], 1), (others, 1), ([0, *others], -1), ([1, *others], -1)):
        cell = _cells(np.array([codes[i][usable] for i in chosen if not which[i]]).reshape(-1, int(usable.sum())))
        values = np.array([numbers[i][usable] for i in chosen if which[i]]).reshape(-1, int(usable.sum())).T
        level, parameters = _level_part(cell)
        normal, excess, more = _normal_part(values, cell, np.bincount(cell) > 0) if values.shape[1] else (0.0, 0.0, 0)
        total += sign * (level + normal)
        mean += sign * (excess + parameters)
        df += sign * (parameters + more)
    if df <= 0 or not math.isfinite(total) or not mean > 0:
        return ChiSquare(0.0, max(df, 0), None, int(usable.sum()))
    value = max(total * df / mean, 0.0)
    return ChiSquare(value, df, float(chdtrc(df, value)), int(usable.sum()))


def conditional_gaussian_test(table: Table, x: str, y: str, given: Sequence[str] = ()) -> IndependenceTest:
    """Tests x independent of y given ``given`` on the rows where all of them are present.

    n counts the rows used; a remark says how many were set aside because their combination of levels is too rare
    for a covariance matrix. Raises ``WhenceError`` for unknown or repeated columns, and for datetime and text.
    """
    names = checked_variables(table, x, y, tuple(given))
    rows = table.complete(names)
    n = int(rows.sum())
    common = {"test": CARD.name, "x": x, "y": y, "given": names[2:], "n_missing": len(table) - n}
    found, remarks = ChiSquare(0.0, 0, None, n), ()
    if n:
        ordered = (min(x, y), max(x, y), *sorted(given))
        which = [table.kind(name) not in CODED for name in ordered]
        values = [table.column(name).values[rows] for name in ordered]
        if _varied(values, which):
            codes = [v if not number else np.zeros(n, dtype=np.int32) for v, number in zip(values, which, strict=True)]
            found = conditional_gaussian([_scaled(v) for v in values], codes, which)
            remarks = _set_aside(codes, which, names)
    if found.p_value is None:
        text = "A variable is constant or determined by the others in some cell, or cells hold too few rows."
        remarks = (*impossible("nothing_left", text, names, n=n), *remarks)
        return IndependenceTest(statistic=None, p_value=None, df=None, n=n, remarks=remarks, **common)
    return IndependenceTest(
        statistic=found.statistic, p_value=found.p_value, df=found.df, n=found.n, remarks=remarks, **common
    )


def _set_aside(codes: list[np.ndarray], which: list[bool], names: tuple[str, ...]) -> tuple[Remark, ...]:
    """A remark when rows take no part, because their combination of levels, or their stratum, is too small."""
    if not any(which):
        counts = stratified_counts(np.array(codes, dtype=np.int32), [int(c.max()) + 1 for c in codes])
        return silent_strata(counts, names)
    cell, large = _large_cells(codes, which)
    if large.all():
        return ()
    aside, rows, needed = int((~large).sum()), int((~large[cell]).sum()), sum(which) + 3
    text = (f"{aside} of {len(large)} combinations of levels hold fewer than {needed} rows each: they are too rare to "
            f"tell how numbers vary there, and their {rows} of {len(cell)} rows take no part.")
    return (Remark("rare_levels", text, names, {"cells": aside, "rows": rows, "needed": needed}),)


def _scaled(values: np.ndarray) -> np.ndarray:
    """Numbers of a size whose squares are finite, centred, of standard deviation 1."""
    values = values / max(float(np.abs(values).max(initial=0.0)), 1e-300)
    values = values - values.mean()
    return values / max(math.sqrt(float((values**2).mean())), 1e-300)


def _varied(values: list[np.ndarray], which: list[bool]) -> bool:
    """Whether no column is constant and no number a linear function of the other numbers."""
    if any(constant(v) for v in values):
        return False
    numbers = np.array([_scaled(v) for v, number in zip(values, which, strict=True) if number])
    if not len(numbers):
        return True
    return bool(len(numbers) < numbers.shape[1] and np.linalg.eigvalsh(np.corrcoef(numbers).reshape(
        len(numbers), -1))[0] > 1e-9)
