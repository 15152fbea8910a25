"""The jackknife of equations that rest on a logit, by one Newton step: what leaving a row or cluster out moves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from whence.stats.logit import LogitFit
from whence.stats.regress import cluster_sums

ENTRIES = 10_000_000  # of the rows' matrices held at a time
ALMOST = 1 - 1e-6  # of a leverage, so that a row or cluster that alone decides a coefficient leaves a finite rest


def left_out(fit: LogitFit, clusters: np.ndarray | None = None) -> Callable[[np.ndarray], np.ndarray]:
    """How leaving out moves, through the coefficients, the sum of a function of the linear predictors.

    The function returned takes the derivatives (n, m - 1) of each row's part by its own linear predictors, and gives
    (n,), which summed over a row or cluster g are (C - C_g)'(I - I_g)^-1 s_g: s the score, I the information, C the
    derivative of the sum by the coefficients, of all and of g.
    """
    return _rows(fit) if clusters is None else _clusters(fit, clusters)


def _rows(fit: LogitFit) -> Callable[[np.ndarray], np.ndarray]:
    """With V the row's curvature, B the inverse information and K = x'Bx by pair of classes, (I - I_i)^-1 times x and
    the error e is B x (1 - VK)^-1 e (Woodbury)."""
    n, m = fit.errors.shape
    k = fit.design.shape[1]
    bread = np.linalg.pinv(fit.information, hermitian=True)
    blocks = bread.reshape(m, k, m, k)
    errors, moved = np.empty((n, m)), np.empty((n, m))
    for rows in np.array_split(np.arange(n), 1 + n * m * m // ENTRIES):
        x = fit.design[rows]
        shares = np.empty((len(rows), m, m))
        for a in range(m):
            for b in range(m):
                shares[:, a, b] = ((x @ blocks[a, :, b, :]) * x).sum(axis=1)
        rest = np.eye(m) - ALMOST * _curvature(fit, rows) @ shares
        errors[rows] = np.linalg.solve(rest, fit.errors[rows, :, None])[:, :, 0]
        moved[rows] = (shares @ errors[rows, :, None])[:, :, 0]

    def move(parts: np.ndarray) -> np.ndarray:
        direction = (bread @ (parts.T @ fit.design).ravel()).reshape(m, k)
        return ((fit.design @ direction.T) * errors).sum(axis=1) - (parts * moved).sum(axis=1)

    return move


def _clusters(fit: LogitFit, clusters: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    n, m = fit.errors.shape
    k = fit.design.shape[1]
    codes = np.unique(clusters, return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    scores = _by_class(fit.errors, fit.design)
    moves = np.empty((n, m * k))
    for rows in np.split(order, np.searchsorted(codes[order], np.arange(1, codes.max() + 1))):
        x, curve = fit.design[rows], _curvature(fit, rows)
        own = np.block([[x.T @ (x * curve[:, a, b, None]) for b in range(m)] for a in range(m)])
        moves[rows] = np.linalg.solve(fit.information - ALMOST * own, scores[rows].T).T

    def move(parts: np.ndarray) -> np.ndarray:
        sums = cluster_sums(_by_class(parts, fit.design), codes)
        return moves @ sums.sum(axis=0) - (moves * sums[codes]).sum(axis=1)

    return move


def _by_class(values: np.ndarray, design: np.ndarray) -> np.ndarray:
    """(n, (m - 1) k): each class's value times the row of the design, classes outermost."""
    return (values[:, :, None] * design[:, None, :]).reshape(len(design), -1)


def _curvature(fit: LogitFit, rows: np.ndarray) -> np.ndarray:
    """V (rows, m - 1, m - 1): minus the second derivative of a row's likelihood by its linear predictors."""
    p = fit.probabilities[rows, 1:]
    return fit.weights[rows, None, None] * (p[:, :, None] * np.eye(p.shape[1]) - p[:, :, None] * p[:, None, :])
