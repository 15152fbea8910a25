"""What an omitted variable's bias scales with, from the scores of an estimate (Chernozhukov, Cinelli, Newey, Sharma
and Syrgkanis 2022, "Long story short: omitted variable bias in causal machine learning").

sigma2: variance of the outcome that treatment and controls leave. nu2: mean square of the Riesz representer, the weight
that turns outcomes into the effect. The bias of a short model is at most sqrt(sigma2 nu2) times how much the omitted
variables add to both (their theorem 2).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from whence.stats.regress import covariance_matrix


def partially_linear_elements(
    residual: np.ndarray, left: np.ndarray, influence: np.ndarray, w: np.ndarray, clusters: np.ndarray | None
) -> dict[str, Any] | None:
    """Elements of the partially linear model.

    residual: (n,), of the outcome given treatment and controls. left: (n,), what the controls leave of the treatment
    in units of the effect. influence: (n,), of the effect. w: (n,), mean 1.
    """
    mass = float(w @ left**2) / len(w)
    nu2 = 1 / mass
    return _elements(residual, nu2, w * (nu2 - nu2**2 * left**2), influence, w, clusters)


def interactive_elements(
    residual: np.ndarray, treated: np.ndarray, chance: np.ndarray, influence: np.ndarray, w: np.ndarray,
    clusters: np.ndarray | None,
) -> dict[str, Any] | None:
    """Elements of the interactive model's average effect.

    residual: (n,), of the outcome given arm and controls. treated: (n,), 1 or 0. chance: (n,), of treatment. The mean
    square of the representer is that of 2 m(alpha) - alpha^2, which errors in the chance hardly move.
    """
    alpha = treated / chance - (1 - treated) / (1 - chance)
    values = 2 * (1 / chance + 1 / (1 - chance)) - alpha**2
    nu2 = float(w @ values) / len(w)
    return _elements(residual, nu2, w * (values - nu2), influence, w, clusters)


def _elements(
    residual: np.ndarray, nu2: float, nu2_influence: np.ndarray, influence: np.ndarray, w: np.ndarray,
    clusters: np.ndarray | None,
) -> dict[str, Any] | None:
    """sigma2, nu2 and the covariance (3, 3) of (effect, sigma2, nu2); None when there is nothing left to scale."""
    sigma2 = float(w @ residual**2) / len(w)
    if not sigma2 > 0 or not 0 < nu2 < np.inf:
        return None
    values = np.column_stack([influence, w * (residual**2 - sigma2), nu2_influence])
    return {"sigma2": sigma2, "nu2": nu2, "covariance": covariance_matrix(values, clusters).tolist()}


def median_elements(found: list[dict[str, Any] | None]) -> dict[str, Any] | None:
    """Medians over splits of sigma2 and nu2, means of their covariances."""
    there = [each for each in found if each is not None]
    if not there:
        return None
    return {"sigma2": float(np.median([e["sigma2"] for e in there])),
            "nu2": float(np.median([e["nu2"] for e in there])),
            "covariance": np.mean([e["covariance"] for e in there], axis=0).tolist()}
