"""Random Fourier features of columns and the tests of products of residuals built on them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.rng import generator
from whence.data.table import Table
from whence.stats.citest.gcm import GCM
from whence.stats.citest.kernel import coordinates, determined, median_distance, speechless
from whence.stats.citest.result import IndependenceTest, checked_variables, impossible

PARAMETERS = (
    Parameter("features", "int", 5, "random features of x and of y", low=1, high=50),
    Parameter("features_given", "int", 100, "random features of the conditioning variables; of their leading "
              "directions, regression takes at most one per three rows", low=1, high=1000),
)
ROWS_PER_DIRECTION = 3


def random_features(points: np.ndarray, number: int, seed: int, *stream: str) -> np.ndarray:
    """(n, number) values of sqrt(2) cos(points w + b), w normal over the median distance, b uniform on a circle.

    Products of two rows approximate the Gaussian kernel (Rahimi and Recht 2007). Weights and shifts come from the
    seed and ``stream``, one stream per coordinate name, so that the order of columns does not matter.
    """
    rng = generator(seed, "random features", *stream)
    weights = rng.standard_normal((points.shape[1], number)) / median_distance(points)
    return math.sqrt(2) * np.cos(points @ weights + rng.uniform(0, 2 * math.pi, number))


def products_test(fx: np.ndarray, fy: np.ndarray, fz: np.ndarray) -> GCM:
    """Whether residuals of fx (n, p) and fy (n, q), after linear regression on fz (n, k), are correlated.

    The statistic is |sum over rows of R_i|^2, R_i = e_i x f_i with e and f the residuals (Strobl et al. 2019, equation
    12). Its law is a sum of chi-squares weighted by the eigenvalues of the covariance of the R_i, matched in three
    moments (Buckley and Eagleson 1988): see ``moments``. p_value is None when nothing is left of either.
    """
    from scipy.special import chdtrc

    n, basis = len(fx), directions(fz)
    e, f = (v - basis @ (basis.T @ v) for v in (fx, fy))
    small = [(left**2).sum() <= 1e-9 * ((v - v.mean(axis=0)) ** 2).sum() for left, v in ((e, fx), (f, fy))]
    if any(small) or n <= basis.shape[1] + 2:
        return GCM(0.0, 0, None)
    products = (e[:, :, None] * f[:, None, :]).reshape(n, -1)
    first, second, third = moments(products, basis)
    if not (first > 0 and second > 0):
        return GCM(0.0, 0, None)
    # What any weights obey: their cumulants allow from one to first^2 / second degrees of freedom.
    df = min(max(second**3 / max(third, 1e-300) ** 2, 1.0), max(first**2 / second, 1.0))
    value = max(float(df + ((products.sum(axis=0) ** 2).sum() - first) * math.sqrt(df / second)), 0.0)
    return GCM(value, float(df), float(chdtrc(df, value)))


def directions(fz: np.ndarray) -> np.ndarray:
    """Orthonormal columns: the intercept, and the leading principal directions of features (n, k), at most one per
    three rows. A few directions of many features follow a curve better than as many features would."""
    n = len(fz)
    u, s, _ = np.linalg.svd(fz - fz.mean(axis=0), full_matrices=False)
    kept = min(int((s > 1e-6 * s[:1].sum()).sum()), n // ROWS_PER_DIRECTION)
    return np.column_stack([np.full(n, 1 / math.sqrt(n)), u[:, :kept]])


def moments(products: np.ndarray, basis: np.ndarray) -> tuple[float, float, float]:
    """Sum of the weights, of their squares and of their cubes, from products (n, m) of residuals outside an
    orthonormal basis (n, k), the intercept among its columns.

    With inner products M_ij = R_i . R_j, the sums of M_ii, of M_ij M_ji and of M_ij M_jk M_ki run over different rows:
    with equal ones among them they would count the spread of |R_i|^2 as weight, and the test would reject too seldom
    with tens of rows. Regression takes noise from the residuals: with the projection P outside the basis, even noise
    gives sum R_ii a mean of sum P_ii^2 where that of the statistic is sum P_ij^2 = n - k, which the sums make up for.
    """
    n, k = basis.shape
    own = (products**2).sum(axis=1)
    spread = products.T @ products
    seen = products @ spread
    squares = (seen * products).sum(axis=1)  # of M_ij over j
    first, second = own.sum(), squares.sum() - (own**2).sum()
    third = (spread * (spread @ spread)).sum() - 3 * own @ squares + 2 * (own**3).sum()
    lost = (n - k) / ((1 - (basis**2).sum(axis=1)) ** 2).sum()
    return float(first * lost), float(second * lost**2), float(third * lost**3)


def run(
    card: Card, table: Table, x: str, y: str, given: tuple[str, ...], parameters: dict, seed: int, joined: bool
) -> IndependenceTest:
    """The test of a card of this family. joined: features of x and of y are taken of (x, z) and (y, z)."""
    checked = card.checked(parameters)
    names = checked_variables(table, x, y, given)
    rows = table.complete(names)
    n = int(rows.sum())
    common = {"test": card.name, "x": x, "y": y, "given": given, "n": n, "n_missing": len(table) - n}
    if n < len(given) + 8:
        text = f"{n} rows are too few for random features given {len(given)} variables."
        remarks = impossible("too_few_rows", text, names, n=n)
        return IndependenceTest(statistic=None, p_value=None, df=None, remarks=remarks, **common)
    points = {name: coordinates(table.column(name), rows) for name in names}
    found = GCM(0.0, 0, None)
    if points[x].shape[1] and points[y].shape[1] and not any(speechless(table.column(v), rows) for v in (x, y)):
        found = _tested(points, min(x, y), max(x, y), sorted(given), checked, seed, joined)
    if found.p_value is None:
        text = "A variable is constant, determined by the others, or of levels none of which occurs twice."
        remarks = impossible("nothing_left", text, names, n=n)
        return IndependenceTest(statistic=None, p_value=None, df=None, remarks=remarks, **common)
    return IndependenceTest(statistic=found.statistic, p_value=found.p_value, df=found.df, **common)


def _tested(
    points: dict[str, np.ndarray], x: str, y: str, given: Sequence[str], parameters: dict, seed: int, joined: bool
) -> GCM:
    n = len(points[x])
    others = np.hstack([np.empty((n, 0)), *(points[name] for name in given)])
    fz = np.empty((n, 0))
    if determined(points[x], others) or determined(points[y], others):
        return GCM(0.0, 0, None)
    if others.shape[1]:
        fz = random_features(others, parameters["features_given"], seed, "given", *given)
    sides = []
    for name in (x, y):
        own, stream = points[name], (name,)
        if joined and others.shape[1]:
            own, stream = np.hstack([own, others]), (name, "with", *given)
        sides.append(random_features(own, parameters["features"], seed, *stream))
    return products_test(sides[0], sides[1], fz)
