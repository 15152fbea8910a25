"""The generalised covariance measure: are what is left of x and of y, given z, correlated?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from whence.core.card import Card
from whence.data.table import CODED, Column, Table
from whence.stats.citest.result import IndependenceTest, checked_variables, constant, impossible

RANK = 1e-9  # directions with a smaller share of the largest singular value are rounding error

CARD = Card(
    name="gcm",
    task="independence_test",
    title="Generalised covariance measure",
    summary="Tests whether two variables of any kind stay correlated once linear regression on the "
    "others is taken out; categories enter as indicators. Noise may be uneven.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=("The means of both variables given the others are linear (in indicators of categories).",
                 "Rows are independent."),
    parameters=(),
    output="IndependenceTest",
    cost="n k^2 for k conditioning features",
    citations=("Shah, R. D. and Peters, J. (2020). The hardness of conditional independence testing and the "
               "generalised covariance measure. Annals of Statistics 48:1514-1538.",
               "Buckley, M. J. and Eagleson, G. K. (1988). An approximation to the distribution of quadratic "
               "forms in normal random variables. Australian Journal of Statistics 30A:150-159."),
    function="whence.stats.citest.gcm:gcm_test",
)


@dataclass(frozen=True)
class GCM:
    """statistic, degrees of freedom and p-value; p_value is None when nothing is left to test."""

    statistic: float
    df: float
    p_value: float | None


def gcm(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> GCM:
    """The test on features: x (n, p), y (n, q), z (n, k) without intercept.

    Residuals of x and of y are each brought to an orthonormal basis, e and f, so that the coding of
    categories does not matter. The products R_i = e_i f_i, as a vector, have mean zero under independence.
    For one product the statistic is the square of equation (3) of Shah and Peters (2020). For several it
    is |sum R|^2, whose law is a sum of chi-squares weighted by the eigenvalues of sum R R'; it is matched
    in three moments to a chi-square (Hall 1983; Buckley and Eagleson 1988). Their Wald form, which inverts
    sum R R', rejects too often below some hundred rows.
    """
    from scipy.special import chdtrc

    n = len(x)
    e, f, used = left_over(x, y, z)
    # Where one of the two can take any values, as with levels that all occur once, it always fits the other.
    if not e.shape[1] or not f.shape[1] or max(e.shape[1], f.shape[1]) >= n - used:
        return GCM(0.0, 0, None)
    # Uncentred: under independence the mean is zero. The factor gives back the spread that regression took.
    spread = _spread(e, f) * (n / (n - used))
    first, second, third = np.trace(spread), (spread**2).sum(), np.trace(spread @ spread @ spread)
    if not first > 0:
        return GCM(0.0, 0, None)
    df = second**3 / third**2
    value = df + (((e.T @ f) ** 2).sum() - first) * math.sqrt(df / second)
    return GCM(max(float(value), 0.0), float(df), float(chdtrc(df, max(value, 0.0))))


def _spread(e: np.ndarray, f: np.ndarray) -> np.ndarray:
    """sum over rows of R_i R_i', R_i = e_i f_i as a vector; with more products than rows, the matrix of R_i . R_j,
    whose eigenvalues other than zero are the same."""
    if e.shape[1] * f.shape[1] > len(e):
        return (e @ e.T) * (f @ f.T)
    products = (e[:, :, None] * f[:, None, :]).reshape(len(e), -1)
    return products.T @ products


def left_over(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Orthonormal columns that span the residuals of x and of y given an intercept and z, and how many directions
    the regression took; no columns when it took all but one."""
    n = len(x)
    design = np.column_stack([np.ones(n), z])
    u, s, _ = np.linalg.svd(design / np.maximum(np.abs(design).max(axis=0), 1e-300), full_matrices=False)
    basis = u[:, s > RANK * s[0]]
    if n <= basis.shape[1] + 1:
        return np.empty((n, 0)), np.empty((n, 0)), basis.shape[1]
    return _residuals(x, basis), _residuals(y, basis), basis.shape[1]


def _residuals(v: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Orthonormal columns that span what is left of v outside ``basis``; (n, 0) when nothing is."""
    v = v - v.mean(axis=0)
    size = np.sqrt((v**2).sum(axis=0))
    v = v[:, size > 0] / size[size > 0]
    left = v - basis @ (basis.T @ v)
    left -= basis @ (basis.T @ left)  # twice is enough (Parlett 1980): rounding of the first pass is taken out
    u, s, _ = np.linalg.svd(left, full_matrices=False)
    return u[:, s > 1e-5]


def features(column: Column, rows: np.ndarray) -> np.ndarray:
    """(n, p) features of a column: its numbers, or indicators of all levels but the most frequent seen; none of a
    constant."""
    if column.kind not in CODED:
        values = column.values[rows]
        if constant(values):
            return np.empty((len(values), 0))
        return (values / max(float(np.abs(values).max(initial=0.0)), 1e-300))[:, None]
    codes = column.values[rows]
    seen = np.bincount(codes, minlength=len(column.levels or ()))
    keep = [k for k in np.flatnonzero(seen) if k != seen.argmax()]
    return (codes[:, None] == keep).astype(np.float64)


def gcm_test(table: Table, x: str, y: str, given: Sequence[str] = ()) -> IndependenceTest:
    """Tests x independent of y given ``given`` on the rows where all of them are present.

    Raises ``WhenceError`` for unknown or repeated columns, and for datetime and text.
    """
    names = checked_variables(table, x, y, tuple(given))
    rows = table.complete(names)
    n = int(rows.sum())
    blocks = [features(table.column(name), rows) for name in names]
    found = gcm(blocks[0], blocks[1], np.hstack([np.empty((n, 0)), *blocks[2:]])) if n else GCM(0.0, 0, None)
    common = {"test": CARD.name, "x": x, "y": y, "given": names[2:], "n": n, "n_missing": len(table) - n}
    if found.p_value is None:
        text = "A variable is constant or determined by the others, or rows are too few: nothing to test."
        remarks = impossible("nothing_left", text, names, n=n)
        return IndependenceTest(statistic=None, p_value=None, df=None, remarks=remarks, **common)
    return IndependenceTest(statistic=found.statistic, p_value=found.p_value, df=found.df, **common)
