"""Slopes on several residual treatments at once, with jackknife errors and their degrees of freedom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST = 0.5  # share of a direction that a row or cluster may have: beyond it nothing is left to judge it by


@dataclass(frozen=True)
class Slopes:
    """estimates: (m,). influence: (n, m), rows of a cluster together as in the jackknife. df: (m,), of the t
    distribution. apart: (n, m), each treatment less what the others explain of it. residual: (n,), of the outcome."""

    estimates: np.ndarray
    influence: np.ndarray
    df: np.ndarray
    apart: np.ndarray
    residual: np.ndarray


def joint_slopes(outcome: np.ndarray, left: np.ndarray, w: np.ndarray, clusters: np.ndarray | None) -> Slopes:
    """Least squares of ``outcome`` (n,) on ``left`` (n, m) without intercept, weights ``w`` (n,).

    With B_g what row or cluster g adds to the sum of squares, in coordinates where that sum is the identity, its score
    is multiplied by the inverse of 1 - B_g (the answer without it: HC3, CR3; Bell and McCaffrey 2002). Degrees of
    freedom by Satterthwaite's rule under independent errors of equal variance: for the direction c of one slope, with
    x_g = (1 - B_g)^-1 c, p_g = x_g' B_g x_g and b_g = B_g x_g, the variance is a quadratic form whose matrix is
    diag(p) - b b' (Pustejovsky and Tipton 2018, equation 15). ``left`` must have full rank.
    """
    n = len(outcome)
    root = np.sqrt(w)
    scaled = left * root[:, None]
    inverse = np.linalg.inv(np.linalg.qr(scaled, mode="r"))
    z = scaled @ inverse  # orthonormal
    estimates = inverse @ (z.T @ (root * outcome))
    residual = outcome - left @ estimates
    scores = z * (root * residual)[:, None]
    lengths = np.sqrt((inverse**2).sum(axis=1))
    directions = inverse.T / lengths  # (m, m), of each slope a column
    adjusted, df = _rows(z, scores, directions) if clusters is None else _clusters(z, scores, directions, clusters)
    return Slopes(estimates, n * adjusted @ inverse.T, df, left @ inverse @ directions / lengths, residual)


def _rows(z: np.ndarray, scores: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One row at a time: B is z z', so that B x = z (z'c) / (1 - z'z)."""
    share = (z**2).sum(axis=1)
    h = np.minimum(share, MOST)
    z = z * np.sqrt(h / np.where(share > 0, share, 1.0))[:, None]
    along = z @ directions / (1 - h)[:, None]
    return scores / (1 - h)[:, None], _freedom(along**2, along[:, :, None] * z[:, None, :])


def _clusters(
    z: np.ndarray, scores: np.ndarray, directions: np.ndarray, clusters: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    codes = np.unique(clusters, return_inverse=True)[1]
    groups, m = int(codes.max()) + 1, z.shape[1]
    shares = np.empty((groups, m, m))
    for i in range(m):
        for j in range(m):
            shares[:, i, j] = np.bincount(codes, z[:, i] * z[:, j], groups)
    size, axes = np.linalg.eigh(shares)
    size = np.clip(size, 0.0, MOST)
    inverse = (axes / (1 - size)[:, None, :]) @ axes.transpose(0, 2, 1)
    x = inverse @ directions  # (G, m, m), column j for slope j
    b = ((axes * size[:, None, :]) @ axes.transpose(0, 2, 1) @ x).transpose(0, 2, 1)
    p = np.einsum("gij,gji->gj", x, b)
    return np.einsum("nij,nj->ni", inverse[codes], scores), _freedom(p, b)


def _freedom(p: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(tr A)^2 / tr(A A) for A = diag(p) - b b', p (units, m) and b (units, m, k), for each of the m slopes."""
    lengths = (b**2).sum(axis=2)
    trace = (p - lengths).sum(axis=0)
    gram = np.einsum("gjk,gjl->jkl", b, b)
    squares = (p**2 - 2 * p * lengths).sum(axis=0) + (gram**2).sum(axis=(1, 2))
    return np.where(squares > 0, np.maximum(trace**2 / np.where(squares > 0, squares, 1.0), 1.0), 1.0)
