"""Doubly robust scores of people: one number each, whose mean over any group of them estimates the group's effect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.core.errors import WhenceError
from whence.stats.codes import compact


@dataclass(frozen=True)
class Scores:
    """values: (n,), in units of the outcome. weights: (n,), positive, mean 1. clusters: int codes (n,), or None."""

    values: np.ndarray
    weights: np.ndarray
    clusters: np.ndarray | None = None

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def units(self) -> int:
        """What was drawn independently: clusters, or rows."""
        return self.n if self.clusters is None else len(np.unique(self.clusters))

    def take(self, rows: np.ndarray) -> Scores:
        """The same on some rows (positions or boolean)."""
        weights = self.weights[rows]
        clusters = None if self.clusters is None else self.clusters[rows]
        return Scores(self.values[rows], weights / weights.mean() if len(weights) else weights, clusters)


def checked(values: np.ndarray, weights: np.ndarray | None = None, clusters: np.ndarray | None = None) -> Scores:
    """The scores, once they can be used.

    Raises ``WhenceError``: ``bad_shape`` where lengths differ, ``not_finite``, ``bad_weights`` where a weight is not
    positive and finite.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 1:
        raise WhenceError("The scores must be one number for each row.", code="bad_shape", value=values.shape)
    known = finite(values, "scores")
    w = np.ones(len(known)) if weights is None else as_long(weights, len(known), "weights").astype(float)
    wrong = int((~np.isfinite(w) | ~(w > 0)).sum())
    if wrong:
        raise WhenceError(
            f"The weights must be positive and finite; {wrong:,} of {len(w):,} are not.", code="bad_weights",
            value=wrong, allowed="positive numbers", hint="Leave out rows that should not count.",
        )
    codes = None if clusters is None else compact(as_long(clusters, len(known), "clusters"))[0]
    return Scores(known, w / w.mean() if len(w) else w, codes)


def finite(values: np.ndarray, what: str) -> np.ndarray:
    """``values`` as float64. Raises ``WhenceError`` (``not_finite``) where one is missing or infinite."""
    known = np.asarray(values, dtype=float)
    wrong = int((~np.isfinite(known)).sum())
    if wrong:
        raise WhenceError(f"The {what} must be finite; {wrong:,} of {known.size:,} are not.", code="not_finite",
                          value=wrong, allowed="finite numbers")
    return known


def as_long(values: np.ndarray, n: int, what: str) -> np.ndarray:
    """``values`` as an array. Raises ``WhenceError`` (``bad_shape``) unless it has one value for each of n rows."""
    array = np.asarray(values)
    if array.shape[:1] != (n,):
        raise WhenceError(f"The {what} must have one value for each of the {n:,} rows.", code="bad_shape",
                          value=array.shape, allowed=f"({n},)")
    return array


def group_means(values: np.ndarray, codes: np.ndarray, groups: int, of: Scores) -> tuple[np.ndarray, np.ndarray]:
    """Weighted means (groups,) of ``values`` (n,) over the rows of each code, and their influence values (n, groups).

    codes: int (n,), negative for rows in no group. Small-sample factors are included: m / (m - 1) of the group's m
    rows, or G / (G - 1) of all clusters, so that sums.T @ sums / n**2 over rows or clusters is the covariance.
    """
    inside = (codes[:, None] == np.arange(groups)) * of.weights[:, None]
    mass = inside.sum(axis=0)
    means = inside.T @ values / mass
    influence = len(values) * inside * (values[:, None] - means) / mass
    if of.clusters is not None:
        return means, influence * np.sqrt(of.units / max(of.units - 1, 1))
    rows = (inside > 0).sum(axis=0)
    return means, influence * np.sqrt(rows / np.maximum(rows - 1, 1))
