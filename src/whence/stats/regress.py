"""Least squares with robust and cluster-robust errors.

Functions on arrays. Every standard error here is the length of a vector of influence values, so
that linear combinations, groups and clusters of rows need nothing new.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.stats.codes import compact

COVARIANCES = ("HC0", "HC1", "HC2", "HC3")
TOLERANCE = 1e-9  # part of a column's length that the columns before it may leave unexplained
WELL = 1e-4  # above this part everywhere, the Cholesky route is as accurate as Householder's
FULL_LEVERAGE = 1 - 1e-9


@dataclass(frozen=True)
class LinearFit:
    """A weighted least-squares fit.

    design: (n, k). weights: (n,). coefficients: (k,), 0 for columns not kept. kept: bool (k,), False
    for a column that is a linear combination of those before it. residuals: (n,), unweighted.
    leverage: (n,), the diagonal of the hat matrix. bread: (k, k), inverse of X'WX, 0 for columns not
    kept. r_squared: of the weighted outcome around its mean.
    """

    design: np.ndarray
    weights: np.ndarray
    coefficients: np.ndarray
    kept: np.ndarray
    residuals: np.ndarray
    leverage: np.ndarray
    bread: np.ndarray
    r_squared: float

    @property
    def rank(self) -> int:
        return int(self.kept.sum())

    @property
    def df(self) -> int:
        """Residual degrees of freedom, n - rank."""
        return len(self.residuals) - self.rank


def ols(design: np.ndarray, outcome: np.ndarray, weights: np.ndarray | None = None) -> LinearFit:
    """Least squares of ``outcome`` (n,) on ``design`` (n, k), by QR with columns taken in order.

    A column is dropped when the columns before it explain all but 1e-9 of its length. weights: (n,),
    positive, or None for equal ones.
    """
    n, k = design.shape
    w = np.ones(n) if weights is None else weights
    root = None if weights is None else np.sqrt(w)
    scaled = design if root is None else design * root[:, None]
    kept = kept_columns(scaled)
    q, r = _orthogonal(scaled if kept.all() else scaled[:, kept])
    beta = np.zeros(k)
    beta[kept] = np.linalg.solve(r, q.T @ (outcome if root is None else root * outcome))
    inverse = np.linalg.inv(r)
    bread = np.zeros((k, k))
    bread[np.ix_(kept, kept)] = inverse @ inverse.T
    residuals = outcome - design @ beta
    centred = outcome - np.average(outcome, weights=w)
    total = float(w @ centred**2)
    r_squared = 1 - float(w @ residuals**2) / total if total > 0 else 0.0
    return LinearFit(design, w, beta, kept, residuals, np.einsum("ij,ij->i", q, q), bread, r_squared)


def kept_columns(matrix: np.ndarray) -> np.ndarray:
    """Boolean (k,): columns of ``matrix`` (n, k) that are not a linear combination of those before them."""
    n, k = matrix.shape
    length = np.sqrt(np.einsum("ij,ij->j", matrix, matrix))
    if n >= k and (length > 0).all():
        factor = _cholesky(matrix, length)
        if factor is not None and np.diagonal(factor).min(initial=1.0) > WELL:
            return np.ones(k, dtype=bool)
    left = np.abs(np.diagonal(np.linalg.qr(matrix, mode="r")))
    kept = np.zeros(k, dtype=bool)
    kept[: len(left)] = left > TOLERANCE * length[: len(left)]
    return kept


def _cholesky(matrix: np.ndarray, length: np.ndarray) -> np.ndarray | None:
    """Lower Cholesky factor of the Gram matrix of the columns scaled to length 1, if there is one."""
    try:
        return np.linalg.cholesky(matrix.T @ matrix / np.outer(length, length))
    except np.linalg.LinAlgError:
        return None


def _orthogonal(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Q and R of a matrix of full column rank: Cholesky twice when well conditioned, else Householder.

    The second pass restores the orthogonality the first one loses (Yamamoto et al. 2015, CholeskyQR2).
    """
    q, r = matrix, np.eye(matrix.shape[1])
    for _ in range(2):
        length = np.sqrt(np.einsum("ij,ij->j", q, q))
        factor = _cholesky(q, length)
        if factor is None or np.diagonal(factor).min(initial=1.0) < WELL:
            return np.linalg.qr(matrix)
        step = factor.T * length
        q = q @ np.linalg.inv(step)
        r = step @ r
    return q, r


def influence(
    fit: LinearFit, combination: np.ndarray, covariance: str = "HC3",
    clusters: np.ndarray | None = None, parameters: int | None = None, counts: np.ndarray | None = None,
) -> np.ndarray:
    """Influence values (n, m) of ``combination @ coefficients``, small-sample factors included.

    combination: (m, k). The covariance of the estimates is ``sums.T @ sums / n**2`` with ``sums`` the
    values, or their sums by cluster. covariance (no clusters): HC0; HC1, residuals times
    sqrt(n / (n - k)); HC2, divided by sqrt(1 - h); HC3, divided by 1 - h (MacKinnon and White 1985).
    With ``clusters`` (int (n,)): CR1, residuals times sqrt(G / (G - 1) * (n - 1) / (n - k)) (Cameron and
    Miller 2015, eq. 12). parameters: the k of these factors when not the rank (fixed effects nested in
    clusters do not count, ibid. section III.B). counts: (n,), how often each row stands in the data when the weights
    are frequencies; factors and leverage are then those of the rows written out.

    A row of full leverage has a zero residual under every covariance.
    """
    n = len(fit.residuals)
    total = n if counts is None else float(counts.sum())
    k = fit.rank if parameters is None else parameters
    if clusters is not None:
        groups = len(compact(clusters)[1])
        residuals = fit.residuals * np.sqrt(groups / (groups - 1) * (total - 1) / (total - k))
    else:
        leverage = fit.leverage if counts is None else fit.leverage / counts
        residuals = adjusted_residuals(fit.residuals, leverage, covariance, k, total)
    return n * (fit.design @ (fit.bread @ combination.T)) * (fit.weights * residuals)[:, None]


def adjusted_residuals(
    residuals: np.ndarray, leverage: np.ndarray, covariance: str, k: int, n: float | None = None
) -> np.ndarray:
    """Residuals with the factor of HC0 to HC3; see ``influence``. n: rows that count, if not all once."""
    if covariance == "HC0":
        return residuals
    if covariance == "HC1":
        n = len(residuals) if n is None else n
        return residuals * np.sqrt(n / (n - k))
    room = np.where(leverage < FULL_LEVERAGE, 1 - leverage, 1.0)
    safe = np.where(leverage < FULL_LEVERAGE, residuals, 0.0)
    return safe / np.sqrt(room) if covariance == "HC2" else safe / room


def covariance_matrix(values: np.ndarray, clusters: np.ndarray | None = None) -> np.ndarray:
    """Covariance (m, m) of estimates with influence values ``values`` (n, m), rows or clusters independent."""
    sums = values if clusters is None else cluster_sums(values, clusters)
    return sums.T @ sums / len(values) ** 2


def cluster_sums(values: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Sums (G, m) of the rows of ``values`` (n, m) by cluster (int (n,), any codes)."""
    codes, levels = compact(clusters)
    if len(codes) and bool((codes[1:] >= codes[:-1]).all()):  # each cluster's rows stand together
        return np.add.reduceat(values, np.searchsorted(codes, np.arange(len(levels))), axis=0)
    return np.column_stack([np.bincount(codes, weights=column, minlength=len(levels)) for column in values.T])
