"""Regression on comparisons laid on top of each other: each holds those that start together and others that have not
started yet, over the same times since that start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.estimation.prepare import Prepared
from whence.stats.fixed_effects import absorb
from whence.stats.regress import influence, ols

NOTHING = 1e-9  # part of a column's length that the fixed effects may leave of one that follows from them


@dataclass(frozen=True)
class Stack:
    """Rows of the data, each as often as comparisons use it.

    row: int (k,), of the data. part: int (k,), the comparison. step: int (k,), periods since its start. treated:
    boolean (k,). weights: (k,).
    """

    row: np.ndarray
    part: np.ndarray
    step: np.ndarray
    treated: np.ndarray
    weights: np.ndarray

    @staticmethod
    def joined(parts: list[Stack]) -> Stack:
        return Stack(*(np.concatenate([getattr(p, name) for p in parts])
                       for name in ("row", "part", "step", "treated", "weights")))


def balanced(treated: np.ndarray, weights: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Weights (k,) that give the others in each part the treated's sum, so that parts count by their treated (Wing,
    Freedman and Hollingsworth 2024, section 3.3)."""
    parts = int(part.max()) + 1
    own = np.bincount(part, weights=weights * treated, minlength=parts)
    other = np.bincount(part, weights=weights * ~treated, minlength=parts)
    return np.where(treated, weights, weights * (own / np.where(other > 0, other, 1.0))[part])


def fitted(
    data: Prepared, outcome: np.ndarray, columns: np.ndarray, controls: np.ndarray, factors: list[np.ndarray],
    weights: np.ndarray, row: np.ndarray, nested: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients of ``columns`` (k, m), their influence values on the rows of the data (n, m), and which of them
    (boolean (m,)) the fixed effects and controls leave.

    outcome, weights: (k,). controls: (k, c). factors: codes (k,). row: (k,), of the data. nested: levels of the fixed
    effects that lie within clusters and do not count in the small-sample factor.
    """
    raw = np.column_stack([outcome, columns, controls])
    left = absorb(raw, factors, weights)
    length = np.sqrt((raw**2).sum(axis=0))
    clean = np.where(np.sqrt((left.columns**2).sum(axis=0)) > NOTHING * length, left.columns, 0.0)
    order = np.r_[columns.shape[1] + 1 : raw.shape[1], 1 : columns.shape[1] + 1]  # controls give way to nothing
    fit = ols(clean[:, order], clean[:, 0], weights)
    first = controls.shape[1]
    kept = fit.kept[first:]
    combination = np.eye(len(fit.coefficients))[first:]
    clusters = None if data.clusters is None else data.clusters[row]
    psi = influence(fit, combination, "HC1", clusters, max(1, fit.rank + left.rank - nested))
    spread = np.column_stack([np.bincount(row, weights=one, minlength=data.n) for one in psi.T])
    return fit.coefficients[first:], spread * (data.n / len(row)), kept
