"""Rows in a network: those within a number of steps of each other depend on each other (Kojevnikov et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from whence.stats.covariance import Dependence, small_sample

MOST_PAIRS = 30_000_000


@dataclass(frozen=True)
class Networked:
    """links: sparse (N, N) over all rows of a table, non-zero where two rows are linked, symmetric. rows: int (n,),
    those used. steps: rows further apart are independent; paths may lead through rows that are not used."""

    links: Any
    rows: np.ndarray
    steps: int

    name = "network"

    @property
    def df(self) -> float:
        return self._small[1]

    @property
    def words(self) -> str:
        return (f"robust to dependence among rows up to {self.steps} step{'s' if self.steps > 1 else ''} apart in the "
                f"network (uniform kernel), t with {self.df:.0f} degrees of freedom")

    @cached_property
    def near(self) -> Any:
        """Sparse (n, n): 1 for pairs of different rows at most ``steps`` apart; None if these are too many to count."""
        return _reached(self.links, self.rows, self.steps)

    @cached_property
    def _small(self) -> tuple[float, float]:
        across = np.asarray(self.near.sum(axis=1)).ravel() + 1.0
        total = float(across.sum())
        return small_sample(len(self.rows), total, total, float(across @ across))

    def products(self, values: np.ndarray) -> np.ndarray:
        """Variances: the sum over rows of their own squares, and what pairs add to it where that is positive.

        The uniform kernel can give negative variances. Left out where it does, the errors are at least those of
        independent rows, and the limit is the same where neighbours move together. Correlations are those of the
        nearest such matrix (eigenvalues of what pairs add that are negative count as 0).
        """
        own = values.T @ values
        scale = np.sqrt(np.maximum(np.diagonal(own), np.finfo(float).tiny))
        across = values.T @ (self.near @ values) / np.outer(scale, scale)
        sizes, vectors = np.linalg.eigh((across + across.T) / 2)
        whole = own / np.outer(scale, scale) + (vectors * np.maximum(sizes, 0.0)) @ vectors.T
        spread = scale * np.sqrt((1 + np.maximum(np.diagonal(across), 0.0)) / np.maximum(np.diagonal(whole), 1.0))
        return whole * np.outer(spread, spread) * self._small[0]

    def take(self, keep: np.ndarray) -> Networked:
        return replace(self, rows=self.rows[keep])

    def merged(self, other: Dependence, rows: np.ndarray, mine: np.ndarray, theirs: np.ndarray) -> Networked | None:
        if not isinstance(other, Networked) or other.steps != self.steps or (other.links != self.links).nnz:
            return None
        return replace(self, rows=rows)


def _reached(links: Any, rows: np.ndarray, steps: int) -> Any:
    """Sparse (n, n) with 1 for pairs of different ``rows`` (n,) at most ``steps`` apart by ``links`` (N, N); None when
    there are too many to count."""
    from scipy.sparse import identity

    step = ((links + identity(links.shape[0], format="csr")) != 0).astype(float).tocsr()
    reach = step[rows]
    for _ in range(steps - 1):
        if float(np.asarray(reach.sum(axis=0)).ravel() @ np.asarray(step.sum(axis=1)).ravel()) > MOST_PAIRS:
            return None
        reach = ((reach @ step) != 0).astype(float)
    inside = reach.tocsc()[:, rows].tocsr()
    inside.setdiag(0.0)
    inside.eliminate_zeros()
    return inside
