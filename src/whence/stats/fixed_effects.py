"""Fixed effects of any number of factors, taken out of columns exactly.

The factor with the most levels goes out through its means; the levels of the others are solved for together
(Frisch and Waugh 1933; Guimaraes and Portugal 2010 for the same normal equations by iteration).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DENSE = 3000  # levels of the other factors that are solved for directly; beyond, by conjugate gradients
SOLVED = 1e-12  # relative residual at which conjugate gradients stop


@dataclass(frozen=True)
class Absorbed:
    """columns: (n, k), what the fixed effects leave. rank: dimensions they take, the constant included."""

    columns: np.ndarray
    rank: int


def absorb(columns: np.ndarray, factors: Sequence[np.ndarray], weights: np.ndarray | None = None) -> Absorbed:
    """Residuals of the weighted regression of each column on all levels of all factors.

    columns: (n, k). factors: codes (n,) each, any integers. weights: (n,), positive, or None.
    """
    from scipy.sparse import csr_array

    w = np.ones(len(columns)) if weights is None else weights
    compact = sorted((np.unique(f, return_inverse=True)[1] for f in factors), key=lambda c: -int(c.max()))
    largest, others = compact[0], compact[1:]
    size = np.bincount(largest, weights=w)
    centred = columns - _means(columns, largest, w, size)
    if not others:
        return Absorbed(centred, len(size))
    offsets = np.concatenate([[0], np.cumsum([int(c.max()) + 1 for c in others])])
    levels = int(offsets[-1])
    ones = np.concatenate([w] * len(others))
    rows = np.tile(np.arange(len(columns)), len(others))
    places = np.concatenate([c + o for c, o in zip(others, offsets, strict=False)])
    z = csr_array((np.ones(len(places)), (rows, places)), shape=(len(columns), levels))
    counts = csr_array((ones, (np.tile(largest, len(others)), places)), shape=(len(size), levels))
    weighted = z.multiply(w[:, None]).tocsr()
    target = weighted.T @ centred
    if levels <= DENSE:
        gram = (weighted.T @ z).toarray() - (counts.T @ counts.multiply(1 / size[:, None]).tocsr()).toarray()
        value, vector = np.linalg.eigh((gram + gram.T) / 2)
        kept = value > 1e-10 * float(np.abs(value).max())
        solved = (vector[:, kept] / value[kept]) @ (vector[:, kept].T @ target)
        rank = len(size) + int(kept.sum())
    else:
        solved = np.column_stack([_gradients(weighted, z, counts, size, column) for column in target.T])
        rank = len(size) + levels - _components(largest, others)
    left = columns - z @ solved
    return Absorbed(left - _means(left, largest, w, size), rank)


def _means(columns: np.ndarray, codes: np.ndarray, w: np.ndarray, size: np.ndarray) -> np.ndarray:
    sums = np.column_stack([np.bincount(codes, weights=w * column, minlength=len(size)) for column in columns.T])
    return (sums.reshape(len(size), columns.shape[1]) / size[:, None])[codes]


def _gradients(weighted: object, z: object, counts: object, size: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Conjugate gradients on the normal equations of the other factors; they are consistent, if singular."""
    def times(v: np.ndarray) -> np.ndarray:
        return weighted.T @ (z @ v) - counts.T @ ((counts @ v) / size)  # type: ignore[attr-defined]

    scale = np.maximum(np.asarray(weighted.sum(axis=0)).ravel(), 1e-300)  # type: ignore[attr-defined]
    x, r = np.zeros(len(target)), target.copy()
    s = r / scale
    p, old = s.copy(), float(r @ s)
    end = SOLVED**2 * old
    for _ in range(10 * len(target)):
        if old <= end:
            break
        q = times(p)
        step = old / float(p @ q)
        x, r = x + step * p, r - step * q
        s = r / scale
        new = float(r @ s)
        p, old = s + new / old * p, new
    return x


def _components(largest: np.ndarray, others: Sequence[np.ndarray]) -> int:
    """How many dimensions the factors share: for two, the components of their graph; for more, at least these."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    shared = 0
    for other in others:
        n, m = int(largest.max()) + 1, int(other.max()) + 1
        edges = coo_array((np.ones(len(largest)), (largest, other + n)), shape=(n + m, n + m))
        shared += int(connected_components(edges, directed=False)[0])
    return shared


def singletons(factors: Sequence[np.ndarray]) -> np.ndarray:
    """Boolean (n,): rows that are alone in a level of some factor, again and again until none is.

    They say nothing about effects within levels and only flatter the degrees of freedom (Correia 2015).
    """
    alone = np.zeros(len(factors[0]), dtype=bool)
    while True:
        before = int(alone.sum())
        for factor in factors:
            codes = np.unique(factor, return_inverse=True)[1]
            alone |= np.bincount(codes, weights=(~alone).astype(float))[codes] * ~alone == 1
        if int(alone.sum()) == before:
            return alone
