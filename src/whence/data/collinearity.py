"""Columns that are nearly a linear combination of others (Belsley, Kuh and Welsch, 1980)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.data.moments import Moments

MAX_CONDITION = 30.0


@dataclass(frozen=True)
class NearDependence:
    """One near linear dependence. condition: its condition index; exact: nothing is left over.

    weights: column to its coefficient in the combination of standardised columns that hardly varies.
    inflation: column to its variance inflation factor (infinite when exact).
    """

    condition: float
    exact: bool
    weights: dict[str, float]
    inflation: dict[str, float]


def near_dependences(m: Moments) -> list[NearDependence]:
    """Directions of the correlation matrix with a condition index above ``MAX_CONDITION``, worst first.

    The index is that of chapter 3 of Regression Diagnostics, on centred columns: the square root of the
    largest eigenvalue over the direction's own. Constant columns should be left out beforehand.
    """
    if len(m.names) < 2 or m.n <= len(m.names) + 1:
        return []
    values, vectors = np.linalg.eigh(m.correlation)
    tiny = 1e-10 * len(m.names)
    safe = np.maximum(values, tiny)
    inflation = (vectors**2 / safe).sum(axis=1)
    found = []
    for value, vector in zip(values, vectors.T, strict=True):
        condition = float(np.sqrt(values[-1] / max(value, tiny)))
        if condition <= MAX_CONDITION:
            break
        involved = np.flatnonzero(np.abs(vector) >= 0.1 * np.abs(vector).max())
        involved = involved[np.argsort(-np.abs(vector[involved]), kind="stable")]
        sign = np.sign(vector[involved[0]])
        exact = bool(value <= tiny)
        weights = {m.names[i]: float(sign * vector[i]) for i in involved}
        vif = {m.names[i]: float("inf") if exact else float(inflation[i]) for i in involved}
        found.append(NearDependence(condition, exact, weights, vif))
    return found
