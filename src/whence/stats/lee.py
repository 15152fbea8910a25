"""Lee's bounds: the effect on those whose outcome is seen in either arm, where an arm loses more outcomes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LeeBounds:
    """lower, upper: of the effect on those always seen. errors: (2,). interval: Imbens and Manski's, for the effect
    itself. trimmed: share of the outcomes left out in the arm that keeps more. fuller: 1 or 0, that arm."""

    lower: float
    upper: float
    errors: np.ndarray
    interval: tuple[float, float]
    trimmed: float
    fuller: int


def lee_bounds(
    outcome: np.ndarray, treated: np.ndarray, weights: np.ndarray, clusters: np.ndarray | None = None,
    level: float = 0.95,
) -> LeeBounds | None:
    """Bounds (Lee 2009, proposition 1a) and their errors; None where an arm has no rows or no outcomes.

    outcome: (n,), NaN where missing. treated: bool (n,). weights: (n,). The arm that keeps more outcomes is trimmed by
    p = 1 - (rate of the other) / (its rate), at its largest outcomes for one bound and its smallest for the other. The
    trimmed mean is q + E[(y - q)+] / (1 - p), q the p-quantile, which needs no care with ties; its influence values
    follow directly, as q is where the derivative vanishes, with those of p added (Lee 2009, proposition 3).
    """
    seen = ~np.isnan(outcome)
    w = weights / weights.mean()
    n = len(outcome)
    share = np.array([w[~treated].sum(), w[treated].sum()]) / n
    if (share == 0).any():
        return None
    rates = np.array([w[seen & ~treated].sum(), w[seen & treated].sum()]) / n / share
    if (rates == 0).any():
        return None
    fuller = int(rates[1] >= rates[0])
    p = float(1 - rates[1 - fuller] / rates[fuller])
    arms = [~treated, treated]
    rate_psi = [w * arms[a] * (seen - rates[a]) / share[a] for a in (0, 1)]
    p_psi = rates[1 - fuller] * rate_psi[fuller] / rates[fuller] ** 2 - rate_psi[1 - fuller] / rates[fuller]
    full, other = seen & arms[fuller], seen & arms[1 - fuller]
    y = np.where(seen, outcome, 0.0)
    mass = [w[full].sum() / n, w[other].sum() / n]
    other_mean = float(w[other] @ y[other] / w[other].sum())
    other_psi = w * other * (y - other_mean) / mass[1]
    means, influences = [], []
    for sign in (1.0, -1.0):  # the mean of the largest, then minus that of the smallest, 1 - p of the outcomes
        mean, psi, by_p = _upper_mean(sign * y[full], w[full], p)
        values = np.zeros(n)
        values[full] = w[full] * psi / mass[0]
        means.append(sign * mean)
        influences.append(sign * (values + by_p * p_psi))
    direction = 1.0 if fuller == 1 else -1.0
    ends = [direction * (m - other_mean) for m in means]
    psis = [direction * (v - other_psi) for v in influences]
    order = (1, 0) if fuller == 1 else (0, 1)
    errors = np.array([_error(psis[j], clusters) for j in order])
    lower, upper = sorted(ends)  # in this order already, up to rounding
    return LeeBounds(lower, upper, errors, imbens_manski(lower, upper, errors, level), p, fuller)


def _upper_mean(y: np.ndarray, w: np.ndarray, p: float) -> tuple[float, np.ndarray, float]:
    """Mean of ``y`` above its p-quantile, influence values (before weights), and derivative by p."""
    order = np.argsort(y, kind="stable")
    cumulative = np.cumsum(w[order]) / w.sum()
    q = float(y[order][min(int(np.searchsorted(cumulative, p - 1e-12)), len(y) - 1)])
    excess = np.maximum(y - q, 0.0) / (1 - p)
    mean = q + float(w @ excess / w.sum())
    return mean, q + excess - mean, (mean - q) / (1 - p)


def _error(psi: np.ndarray, clusters: np.ndarray | None) -> float:
    sums, factor = psi, 1.0
    if clusters is not None:
        _, group = np.unique(clusters, return_inverse=True)
        sums = np.bincount(group.ravel(), psi)
        factor = len(sums) / max(len(sums) - 1, 1)
    return float(np.sqrt(factor * (sums @ sums))) / len(psi)


def imbens_manski(lower: float, upper: float, errors: np.ndarray, level: float) -> tuple[float, float]:
    """Interval that holds the effect, wherever it lies between the ends, at ``level`` (Imbens and Manski 2004, eq. 6).

    It solves Phi(c + (upper - lower) / max error) - Phi(-c) = level.
    """
    from scipy.special import ndtr, ndtri

    largest = float(errors.max())
    if largest == 0:
        return lower, upper
    low, high = float(ndtri(level)), float(ndtri(0.5 + level / 2))
    for _ in range(60):
        middle = (low + high) / 2
        short = ndtr(middle + (upper - lower) / largest) - ndtr(-middle) < level
        low, high = (middle, high) if short else (low, middle)
    return lower - high * float(errors[0]), upper + high * float(errors[1])
