"""Sums of products of the columns of a large matrix, a block of rows at a time, without a copy of it."""

from __future__ import annotations

import numpy as np

from whence.stats.regress import WELL

BLOCK = 32_768  # rows


def gram(matrix: np.ndarray, *vectors: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Products (1 + k + m, 1 + k + m) of a constant, the columns of ``matrix`` (n, k) and the vectors (n,), summed with
    the weights (n,)."""
    n, k = matrix.shape
    width = 1 + k + len(vectors)
    out = np.zeros((width, width))
    for start in range(0, n, BLOCK):
        rows = slice(start, min(start + BLOCK, n))
        part = np.empty((rows.stop - start, width))
        part[:, 0] = 1.0
        part[:, 1 : 1 + k] = matrix[rows]
        for j, vector in enumerate(vectors, 1 + k):
            part[:, j] = vector[rows]
        if weights is not None:
            part *= np.sqrt(weights[rows])[:, None]
        out += part.T @ part
    return out


def cholesky_of_scaled(products: np.ndarray) -> np.ndarray | None:
    """Lower Cholesky factor of ``products`` with columns scaled to length 1; None when some column nearly repeats those
    before it, where sums of products say too little."""
    length = np.sqrt(np.diagonal(products))
    if not (length > 0).all():
        return None
    try:
        factor = np.linalg.cholesky(products / length[:, None] / length)
    except np.linalg.LinAlgError:
        return None
    return factor if np.diagonal(factor).min() > WELL else None
