"""Nearest neighbours with every tie kept, among rows gathered into cells of equal values."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.kernels.nearest import nearest


@dataclass(frozen=True)
class Cells:
    """Rows gathered by equal values. of: int (n,), cell of each row. first: int (cells,), a row of each."""

    of: np.ndarray
    first: np.ndarray


@dataclass(frozen=True)
class Matched:
    """Which rows inside a group stand in for each row; a row inside stands for itself unless ``others``.

    inside: boolean (n,). query: int (n,), query cell of each row that was matched, -1 for others. donor: int (n,),
    donor cell of each row inside, -1 outside. share: sparse (query cells, donor cells), weight that each row of the
    donor cell has. counts: (query cells,), rows that stand in. distance: (query cells,), of the farthest one.
    """

    inside: np.ndarray
    query: np.ndarray
    donor: np.ndarray
    share: Any
    counts: np.ndarray
    distance: np.ndarray

    @property
    def found(self) -> np.ndarray:
        """Boolean (n,): rows inside, and rows with at least one match."""
        return np.where(self.query >= 0, self.counts[self.query] > 0, self.inside)

    def carry(self, values: np.ndarray, squared: bool = False) -> np.ndarray:
        """Mean (n,) of ``values`` over the rows that stand in for each row; ``squared``: by the squared weights."""
        share = self.share.multiply(self.share) if squared else self.share
        sums = np.bincount(self.donor[self.inside], weights=values[self.inside], minlength=self.share.shape[1])
        return np.where(self.query >= 0, (share @ sums)[self.query], np.where(self.inside, values, 0.0))

    def received(self, weights: np.ndarray) -> np.ndarray:
        """Weight (n,) that each row inside gets from the rows it stands in for, not counting itself."""
        asked = self.query >= 0
        sums = np.bincount(self.query[asked], weights=weights[asked], minlength=self.share.shape[0])
        return np.where(self.inside, (self.share.T @ sums)[self.donor], 0.0)


def cells(matrix: np.ndarray) -> Cells:
    """Rows of ``matrix`` (n, k) gathered by equal values."""
    n = len(matrix)
    if matrix.shape[1] == 0:
        return Cells(np.zeros(n, dtype=np.int64), np.zeros(1, dtype=np.int64))
    order = np.lexsort(matrix.T[::-1])
    ranked = matrix[order]
    starts = np.append(True, (ranked[1:] != ranked[:-1]).any(axis=1))
    of = np.empty(n, dtype=np.int64)
    of[order] = np.cumsum(starts) - 1
    return Cells(of, order[starts])


def match(
    points: np.ndarray, groups: Cells, inside: np.ndarray, asked: np.ndarray, wanted: int, limit: float = np.inf
) -> Matched:
    """The ``wanted`` nearest rows in ``inside`` of every row in ``asked``, with all rows as near as the last of them.

    points: (cells, k), coordinates. inside, asked: boolean (n,); a row asked about may be inside, and then is its own
    nearest. limit: largest distance; rows with fewer than ``wanted`` within it take those there are.
    """
    donors, donor = np.unique(groups.of[inside], return_inverse=True)
    queries, query = np.unique(groups.of[asked], return_inverse=True)
    counts = np.bincount(donor, minlength=len(donors))
    share, total, farthest = _nearest(points[queries], points[donors], counts, wanted, limit)
    n = len(inside)
    of_query, of_donor = np.full(n, -1), np.full(n, -1)
    of_query[asked], of_donor[inside] = query, donor
    return Matched(inside, of_query, of_donor, share, total, farthest)


def _nearest(
    queries: np.ndarray, donors: np.ndarray, counts: np.ndarray, wanted: int, limit: float
) -> tuple[Any, np.ndarray, np.ndarray]:
    """Sparse weights (queries, donors), rows matched (queries,) and distance of the farthest (queries,)."""
    from scipy.sparse import csr_matrix

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    starts, columns, farthest = nearest(np.ascontiguousarray(donors), counts.astype(np.int64),
                                        np.ascontiguousarray(queries), wanted, float(limit), cores)
    sizes = np.diff(starts)
    row = np.repeat(np.arange(len(queries)), sizes)
    total = np.bincount(row, weights=counts[columns], minlength=len(queries)).astype(np.int64)
    return csr_matrix((1.0 / total[row], columns, starts), shape=(len(queries), len(donors))), total, farthest
