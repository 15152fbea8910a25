"""Moments of any few columns on the rows that have them all, where rows fall into few patterns of what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOST_NUMBERS = 25_000_000  # moments kept per pattern; beyond this rows are summed again each time


@dataclass(frozen=True, eq=False)
class FamilyMoments:
    """values: float64 (n, d), standardised, 0 where missing. seen: bool (n, d). patterns: bool (p, d), which columns a
    pattern of missing values leaves. count: rows of each. sums (p, d) and products (p, d, d): theirs; products is None
    where patterns are too many to keep them."""

    values: np.ndarray
    seen: np.ndarray
    patterns: np.ndarray
    count: np.ndarray
    sums: np.ndarray
    products: np.ndarray | None

    @staticmethod
    def of(values: np.ndarray) -> FamilyMoments:
        """From (n, d) numbers with NaN where missing, no column constant."""
        seen = ~np.isnan(values)
        filled = np.where(seen, values, 0.0)
        filled = np.where(seen, filled - filled.sum(axis=0) / seen.sum(axis=0), 0.0)
        filled /= np.abs(filled).max(axis=0)  # first, so that squares of very large values stay finite
        filled /= np.sqrt((filled**2).sum(axis=0) / seen.sum(axis=0))
        patterns, which, count = np.unique(seen, axis=0, return_inverse=True, return_counts=True)
        d = values.shape[1]
        if len(patterns) * d * d > MOST_NUMBERS:
            return FamilyMoments(filled, seen, patterns, count, np.empty((0, d)), None)
        rows = np.split(np.argsort(which.ravel(), kind="stable"), np.cumsum(count)[:-1])
        sums = np.array([filled[r].sum(axis=0) for r in rows])
        products = np.array([filled[r].T @ filled[r] for r in rows])
        return FamilyMoments(filled, seen, patterns, count, sums, products)

    def rows(self, columns: Sequence[int]) -> int:
        """How many rows have all of these columns."""
        return int(self.count[self.patterns[:, columns].all(axis=1)].sum())

    def covariance(self, columns: Sequence[int]) -> tuple[np.ndarray, int]:
        """Covariances (k, k) of these columns on the rows that have all of them, and how many rows these are."""
        at = np.asarray(columns)
        if self.products is None:
            x = self.values[self.seen[:, at].all(axis=1)][:, at]
            x = x - x.sum(axis=0) / max(len(x), 1)
            return x.T @ x / max(len(x), 1), len(x)
        own = np.flatnonzero(self.patterns[:, at].all(axis=1))
        n = int(self.count[own].sum())
        mean = self.sums[np.ix_(own, at)].sum(axis=0) / max(n, 1)
        cross = self.products[np.ix_(own, at, at)].sum(axis=0) / max(n, 1)
        return cross - np.outer(mean, mean), n

    def covariances(self, columns: Sequence[int], each: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Covariances (m, k + 1, k + 1) of the k columns and then each of m others, none of them among the k, on the
        rows that have all these; and how many rows, (m,)."""
        at, others = np.asarray(columns, dtype=np.intp), np.asarray(each, dtype=np.intp)
        if self.products is None:
            found = [self.covariance((*columns, z)) for z in each]
            return np.array([cov for cov, _ in found]), np.array([n for _, n in found])
        own = np.flatnonzero(self.patterns[:, at].all(axis=1))
        k, m = len(at), len(others)
        has = self.patterns[np.ix_(own, others)].T.astype(np.float64)  # (m, patterns)
        n = has @ self.count[own]
        share = 1 / np.maximum(n, 1)
        cov = np.empty((m, k + 1, k + 1))
        cov[:, :k, :k] = (has @ self.products[np.ix_(own, at, at)].reshape(len(own), k * k)).reshape(m, k, k)
        cov[:, :k, k] = cov[:, k, :k] = self.products[np.ix_(own, others, at)].sum(axis=0)
        cov[:, k, k] = self.products[own[:, None], others, others].sum(axis=0)
        mean = np.column_stack([has @ self.sums[np.ix_(own, at)], self.sums[np.ix_(own, others)].sum(axis=0)])
        mean *= share[:, None]
        cov *= share[:, None, None]
        return cov - mean[:, :, None] * mean[:, None, :], n.astype(np.int64)
