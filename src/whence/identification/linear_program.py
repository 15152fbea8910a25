"""Linear programs over shares of types: the least mean cost, its certificate, and the nearest program that fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Optimum:
    """value: the least cost. at: where it is reached. gap: how far above what the dual solution proves."""

    value: float
    at: np.ndarray
    gap: float


def least(matrix: Any, target: np.ndarray, cost: np.ndarray, largest: float = 1.0) -> Optimum | None:
    """The least ``cost @ at`` with ``matrix @ at == target`` and ``at >= 0``; None when nothing fits.

    matrix: sparse or dense (rows, columns). largest: no sum of a solution exceeds it, which makes a bound of any dual
    point: the gap is what the optimum may still be off, whatever the solver did.
    """
    from scipy.optimize import linprog

    solved = linprog(cost, A_eq=matrix, b_eq=target, bounds=(0, None), method="highs")
    if solved.status == 2:  # the presolve now and then says so of a program that just fits
        solved = linprog(cost, A_eq=matrix, b_eq=target, bounds=(0, None), method="highs", options={"presolve": False})
    if solved.status == 2:
        return None
    if solved.status != 0:
        raise RuntimeError(f"The linear program did not finish: {solved.message}")
    dual = solved.eqlin.marginals
    proved = float(target @ dual) + largest * min(0.0, float((cost - matrix.T @ dual).min()))
    return Optimum(float(solved.fun), solved.x, max(0.0, float(solved.fun) - proved))


def smallest_change(matrix: Any, target: np.ndarray) -> float:
    """The least sum of absolute changes of ``target`` after which something fits."""
    found = least(_elastic(matrix), target, np.repeat((0.0, 1.0), (matrix.shape[1], 2 * len(target))))
    assert found is not None  # any target can be changed into one that fits
    return found.value


def loosened(matrix: Any, target: np.ndarray, change: float) -> tuple[Any, np.ndarray]:
    """The same program with ``target`` changed by at most ``change`` in all; further columns hold the changes."""
    from scipy.sparse import csr_array, vstack

    rows, columns = matrix.shape
    whole = _elastic(matrix)
    spent = csr_array(np.concatenate([np.zeros(columns), np.ones(2 * rows + 1)])[None, :])
    padded = csr_array((whole.data, whole.indices, whole.indptr), shape=(rows, columns + 2 * rows + 1))
    return vstack([padded, spent]).tocsr(), np.append(target, change)


def _elastic(matrix: Any) -> Any:
    from scipy.sparse import eye_array, hstack

    rows = matrix.shape[0]
    return hstack([matrix, eye_array(rows), -eye_array(rows)]).tocsr()
