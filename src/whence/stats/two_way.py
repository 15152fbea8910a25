"""Two-way clusters: rows that share either of two groups depend on each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from whence.stats.covariance import Dependence, merge
from whence.stats.regress import cluster_sums


@dataclass(frozen=True)
class TwoWay:
    """first, second: int (n,), the codes of the two groups. names: of their columns.

    The values are expected to carry the factor sqrt(G / (G - 1)) of the first grouping, as influence values do when an
    effect is clustered by it.
    """

    first: np.ndarray
    second: np.ndarray
    names: tuple[str, str]

    name = "two_way"

    @cached_property
    def groups(self) -> tuple[int, int]:
        return len(np.unique(self.first)), len(np.unique(self.second))

    @property
    def df(self) -> float:
        """The smaller number of groups less one (Cameron, Gelbach and Miller 2011, section 2.3)."""
        return min(self.groups) - 1.0

    @property
    def words(self) -> str:
        (a, b), (g, h) = self.names, self.groups
        return f"clustered both by {a} ({g:,} clusters) and by {b} ({h:,}), t with {self.df:.0f} degrees of freedom"

    @cached_property
    def _both(self) -> np.ndarray:
        pairs = np.column_stack([np.unique(c, return_inverse=True)[1] for c in (self.first, self.second)])
        return pairs[:, 0] * (int(pairs[:, 1].max()) + 1) + pairs[:, 1]

    def products(self, values: np.ndarray) -> np.ndarray:
        """V_first + V_second - V_both, each with its own G / (G - 1) (Cameron, Gelbach and Miller 2011, equation 2.11).

        Negative eigenvalues become zero (ibid., section 2.3). A variance that comes out below both one-way ones
        because of the subtraction alone says that the second grouping adds nothing, so no variance is let below the
        larger of them (MacKinnon, Nielsen and Webb 2024, section 3).
        """
        parts = []
        carried = self._factor(self.groups[0])
        for codes in (self.first, self.second, self._both):
            sums = cluster_sums(values, codes)
            parts.append(sums.T @ sums * self._factor(len(sums)) / carried)
        total = _positive(parts[0] + parts[1] - parts[2])
        least = np.maximum(np.diagonal(parts[0]), np.diagonal(parts[1]))
        return total + np.diag(np.maximum(least - np.diagonal(total), 0.0))

    @staticmethod
    def _factor(groups: int) -> float:
        return groups / (groups - 1)

    def take(self, keep: np.ndarray) -> TwoWay:
        return replace(self, first=self.first[keep], second=self.second[keep])

    def merged(self, other: Dependence, rows: np.ndarray, mine: np.ndarray, theirs: np.ndarray) -> TwoWay | None:
        if not isinstance(other, TwoWay) or other.names != self.names:
            return None
        return TwoWay(merge(rows, mine, theirs, self.first, other.first),
                      merge(rows, mine, theirs, self.second, other.second), self.names)


def _positive(matrix: np.ndarray) -> np.ndarray:
    """The matrix without its negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    return matrix if values[0] >= 0 else (vectors * np.maximum(values, 0.0)) @ vectors.T
