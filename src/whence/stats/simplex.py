"""Least squares with weights that are not negative and sum to one."""

from __future__ import annotations

import numpy as np

EXACT = 1e-9  # relative size of a weight or a slack that counts as none


def simplex_least_squares(columns: np.ndarray, target: np.ndarray, ridge: float = 0.0) -> np.ndarray:
    """Weights w (k,), w >= 0 and sum(w) = 1, with the least |columns w - target|^2 + ridge |w|^2.

    columns: (m, k). target: (m,). Non-negative least squares with the sum as a heavy row finds which weights are
    positive (Lawson and Hanson 1974); these are then solved for exactly, and weights are added or removed until the
    conditions of the optimum hold.
    """
    from scipy.optimize import nnls

    k = columns.shape[1]
    gaps = columns - target[:, None]  # on the simplex, columns w - target is gaps w
    gram = gaps.T @ gaps + ridge * np.eye(k)
    scale = float(np.diagonal(gram).max(initial=0.0))
    if k == 1 or scale == 0:
        return np.full(k, 1 / k)
    gram = gram / scale
    penalty = [np.sqrt(ridge / scale) * np.eye(k)] if ridge > 0 else []
    root = np.vstack([gaps / np.sqrt(scale), *penalty, np.full((1, k), 1e3)])
    start, _ = nnls(root, np.append(np.zeros(len(root) - 1), 1e3), maxiter=100 * k)
    held = start > EXACT * start.max()
    for _ in range(10 * k):
        weights = np.zeros(k)
        weights[held] = _on_face(gram[np.ix_(held, held)])
        if weights.min() < -EXACT:
            held &= ~(weights == weights.min())
            continue
        slack = gram @ weights - float(weights @ gram @ weights)
        worst = int(np.argmin(np.where(held, np.inf, slack)))
        if held.all() or slack[worst] >= -EXACT:
            break
        held[worst] = True
    weights = np.maximum(weights, 0.0)
    return weights / weights.sum()


def _on_face(gram: np.ndarray) -> np.ndarray:
    """Weights that sum to one with the least w' gram w; the smallest such where they are not unique."""
    k = len(gram)
    system = np.block([[gram, np.ones((k, 1))], [np.ones((1, k)), np.zeros((1, 1))]])
    return np.linalg.lstsq(system, np.append(np.zeros(k), 1.0), rcond=1e-13)[0][:k]
