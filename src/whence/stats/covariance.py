"""Covariances of estimates from influence values of rows that are not independent: what every kind of dependence owes.

A kind of dependence is a matrix W of weights w_ij, how far rows i and j are taken to move together. The covariance is
sum_ij w_ij psi_i psi_j' / n^2, for the influence values psi of any estimator.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

LEAST = 0.25  # share of the variance of white noise that the weighted sum must keep after centring


class Dependence(Protocol):
    """How the rows used depend on each other: two-way clusters, time or place.

    name: of the covariance. df: degrees of freedom of the t distribution that goes with it. words: which errors these
    are, for a reader.
    """

    @property
    def name(self) -> str: ...

    @property
    def df(self) -> float: ...

    @property
    def words(self) -> str: ...

    def products(self, values: np.ndarray) -> np.ndarray:
        """(m, m) for values (n, m): sum_ij w_ij v_i v_j', with a factor for small samples."""
        ...

    def take(self, keep: np.ndarray) -> Dependence:
        """The same on some of the rows (boolean (n,))."""
        ...

    def merged(self, other: Dependence, rows: np.ndarray, mine: np.ndarray, theirs: np.ndarray) -> Dependence | None:
        """The dependence on ``rows``, of which ``mine`` are these and ``theirs`` the other's, all ascending; None when
        the other is of another kind or makes other choices."""
        ...


def small_sample(n: int, total: float, squares: float, rows: float) -> tuple[float, float]:
    """What a weighted sum of products of n centred values needs to be right when the values are white noise.

    total: sum of w_ij. squares: of w_ij^2. rows: sum over i of (sum_j w_ij)^2. Returns the factor that makes the
    expectation right, relative to n / (n - 1), and the degrees of freedom that match its variance (Satterthwaite), both
    exact for M W M with M the centring matrix. For the Bartlett kernel over a long series they approach the fixed-b
    limits 1 / (1 - b + b^2 / 3) and the spread of Kiefer and Vogelsang (2005). Where centring takes more than three
    quarters of the variance away the rows are as good as one, and no degrees of freedom are left.
    """
    trace = n - total / n
    spread = squares - 2 * rows / n + (total / n) ** 2
    if trace <= LEAST * n or spread <= 0:
        return np.inf, 0.0
    return (n - 1) / trace, trace**2 / spread


def merge(rows: np.ndarray, mine: np.ndarray, theirs: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Values on ``rows`` from those on ``mine`` and on ``theirs``; where both have one, they agree."""
    out = np.zeros(len(rows), dtype=a.dtype)
    out[np.searchsorted(rows, mine)] = a
    out[np.searchsorted(rows, theirs)] = b
    return out
