"""Fixed effects of any number of factors, taken out of columns.

The factor with the most levels goes out through its means; the levels of the others are solved for together (Frisch and
Waugh 1933; Guimaraes and Portugal 2010), by conjugate gradients in a kernel.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.errors import WhenceError
from whence.kernels.fixed_effects import absorb as absorb_kernel
from whence.kernels.fixed_effects import joined_parts
from whence.stats.codes import compact

DENSE = 3000  # levels of the other factors up to which the dimensions of three factors and more are counted exactly
SOLVED = 1e-12  # part of the first residual at which conjugate gradients stop
MOST = 20_000  # iterations
THREADS = 2


@dataclass(frozen=True)
class Absorbed:
    """columns: (n, k), what the fixed effects leave. rank: dimensions they take, the constant included. iterations: of
    the slowest column."""

    columns: np.ndarray
    rank: int
    iterations: int = 0


def absorb(
    columns: np.ndarray, factors: Sequence[np.ndarray], weights: np.ndarray | None = None, threads: int = THREADS
) -> Absorbed:
    """Residuals of the weighted regression of each column on all levels of all factors.

    columns: (n, k). factors: codes (n,) each, any integers. weights: (n,), positive, or None. threads: at most; they do
    not change the answer. With three factors and more beyond ``DENSE`` levels, ``rank`` is an upper bound. Raises
    ``WhenceError`` (``not_converged``) where the levels cannot be told apart to the accuracy of numbers.
    """
    coded = sorted(((c, len(levels)) for c, levels in map(compact, factors)), key=lambda c: -c[1])
    codes = np.array([c for c, _ in coded], dtype=np.int32).reshape(len(coded), len(columns))
    counts = np.array([k for _, k in coded], dtype=np.int64)
    w = np.zeros(0) if weights is None else np.ascontiguousarray(weights, dtype=float)
    out = np.empty(columns.shape)
    useful = min(threads, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    given = np.ascontiguousarray(columns, dtype=float)
    steps, ended = absorb_kernel(given, codes, counts, w, SOLVED, MOST, useful, out)
    if not ended:
        raise WhenceError(f"The fixed effects did not settle in {MOST:,} iterations.", code="not_converged",
                          value=steps, hint="Some levels are tied to the rest by next to no weight; leave them out.")
    return Absorbed(out, _rank(codes, counts), steps)


def _rank(codes: np.ndarray, counts: np.ndarray) -> int:
    """Dimensions of the levels of all factors together. Exact for two, by the parts of their graph (Abowd, Creecy and
    Kramarz 2002), and for more up to ``DENSE`` levels beyond the first factor's."""
    if len(codes) <= 2 or counts[1:].sum() > DENSE:
        shared = sum(joined_parts(codes[0], other, int(counts[0]), int(k))
                     for other, k in zip(codes[1:], counts[1:], strict=True))
        return int(counts.sum()) - shared
    from scipy.linalg.lapack import dpstrf  # pyright: ignore[reportAttributeAccessIssue]
    from scipy.sparse import csr_array

    n, others = codes.shape[1], len(codes) - 1
    places = (codes[1:].astype(np.int64) + np.concatenate([[0], np.cumsum(counts[1:-1])])[:, None]).ravel()
    rows = np.tile(np.arange(n), others)
    z: Any = csr_array((np.ones(len(places)), (rows, places)), shape=(n, int(counts[1:].sum())))
    first: Any = csr_array((np.ones(n), (codes[0], np.arange(n))), shape=(int(counts[0]), n)) @ z
    size = np.bincount(codes[0], minlength=int(counts[0]))
    gram = (z.T @ z).toarray() - (first.T @ first.multiply(1 / size[:, None]).tocsr()).toarray()
    scale = 1 / np.sqrt(np.maximum(np.bincount(places), 1))
    return int(counts[0]) + int(dpstrf(gram * scale[:, None] * scale, tol=1e-9)[2])


def singletons(factors: Sequence[np.ndarray]) -> np.ndarray:
    """Boolean (n,): rows that are alone in a level of some factor, again and again until none is.

    They say nothing about effects within levels and only flatter the degrees of freedom (Correia 2015).
    """
    coded = [compact(f) for f in factors]
    alone = np.zeros(len(factors[0]), dtype=bool)
    before = -1
    while before != (before := int(alone.sum())):
        for codes, levels in coded:
            alone |= ~alone & (np.bincount(codes[~alone], minlength=len(levels))[codes] == 1)
    return alone
