"""Reference of the kernels of fixed effects, in NumPy and SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np


def absorb(
    columns: np.ndarray, codes: np.ndarray, counts: np.ndarray, weights: np.ndarray, tolerance: float, most: int,
    threads: int, out: np.ndarray,
) -> tuple[int, bool]:
    """What the factors leave of the columns; the iterations of the slowest column, and whether all came to an end.

    columns: (n, k). codes: int32 (factors, n), the factor with the most levels first. counts: int64 (factors,), levels
    of each, all of them with rows. weights: (n,), positive, or (0,) for equal ones. tolerance: part of the residual, in
    the preconditioner's norm, at which conjugate gradients end. most: iterations. threads: does not change the answer.
    out: (n, k), written.
    """
    from scipy.sparse import csr_array

    n, others = len(columns), len(codes) - 1
    w = weights if len(weights) else np.ones(n)
    size = np.bincount(codes[0], weights=w, minlength=int(counts[0]))
    centred = columns - _means(columns, codes[0], w, size)
    out[:] = centred
    if not others:
        return 0, True
    levels = int(counts[1:].sum())
    places = (codes[1:].astype(np.int64) + np.concatenate([[0], np.cumsum(counts[1:-1])])[:, None]).ravel()
    z: Any = csr_array((np.ones(n * others), (np.tile(np.arange(n), others), places)), shape=(n, levels))
    shared: Any = csr_array((np.tile(w, others), (np.tile(codes[0], others), places)), shape=(len(size), levels))
    weighted = z.multiply(w[:, None]).tocsr()
    solved, steps, ended = np.zeros((levels, columns.shape[1])), 0, True
    for k, target in enumerate((weighted.T @ centred).T):
        solved[:, k], used, done = _gradients(weighted, z, shared, size, target, tolerance, most)
        steps, ended = max(steps, used), ended and done
    left = columns - z @ solved
    out[:] = left - _means(left, codes[0], w, size)
    return steps, ended


def _means(columns: np.ndarray, codes: np.ndarray, w: np.ndarray, size: np.ndarray) -> np.ndarray:
    sums = np.column_stack([np.bincount(codes, weights=w * column, minlength=len(size)) for column in columns.T])
    return (sums.reshape(len(size), columns.shape[1]) / size[:, None])[codes]


def _gradients(
    weighted: Any, z: Any, shared: Any, size: np.ndarray, target: np.ndarray, tolerance: float, most: int
) -> tuple[np.ndarray, int, bool]:
    """Conjugate gradients on the normal equations of the other factors; they are consistent, if singular."""
    def times(v: np.ndarray) -> np.ndarray:
        return weighted.T @ (z @ v) - shared.T @ ((shared @ v) / size)

    scale = np.maximum(np.asarray(weighted.sum(axis=0)).ravel(), 1e-300)
    x, r = np.zeros(len(target)), target.copy()
    s = r / scale
    p, old = s.copy(), float(r @ s)
    end = tolerance**2 * old
    for step in range(most):
        if old <= end:
            return x, step, True
        q = times(p)
        along = float(p @ q)
        if along <= 0:
            return x, step, True
        x, r = x + old / along * p, r - old / along * q
        s = r / scale
        new = float(r @ s)
        p, old = s + new / old * p, new
    return x, most, False


def joined_parts(a: np.ndarray, b: np.ndarray, levels_a: int, levels_b: int) -> int:
    """How many parts the graph of two factors (int32 (n,) codes) has whose levels are joined where they share a row."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    size = levels_a + levels_b
    edges = coo_array((np.ones(len(a)), (a, b.astype(np.int64) + levels_a)), shape=(size, size))
    return int(connected_components(edges, directed=False)[0])
