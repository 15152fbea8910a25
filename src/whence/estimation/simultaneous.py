"""Several comparisons at once: joint intervals and adjusted p-values from the influence values they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from whence.core.rng import generator
from whence.estimation.inference import Answer, Summary, covariance_of, degrees_of_freedom

DRAWS = 50_000
FEWEST = 200  # draws beyond a value below which Bonferroni's bound, nearly exact so far out, stands for their share


@dataclass(frozen=True)
class Simultaneous:
    """p_values: adjusted, (m,). intervals: that hold all together, or None where only the p-values could be had."""

    p_values: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...] | None


def simultaneous(answer: Answer, found: Sequence[Summary], level: float, seed: int) -> Simultaneous:
    """Max-t inference for all comparisons of ``answer`` (Hothorn, Bretz and Westfall 2008, sections 3 and 4).

    The largest of m correlated normal variables, their correlations those of the influence values, is drawn 50,000
    times. Each p-value is adjusted by the share of draws beyond the normal value that it stands for, and the joint
    intervals use the quantile at ``level``, both carried over to each comparison's own t distribution, so that a joint
    interval leaves out zero when the adjusted p-value is below 1 - level. Where a comparison has no error, or the
    first has an interval of its own, Holm's (1979) p-values alone.
    """
    from scipy.special import ndtr, ndtri, stdtrit

    p = np.array([s.p_value for s in found])
    covariance = covariance_of(answer)
    errors = np.sqrt(np.diagonal(covariance))
    if answer.p_value is not None or answer.interval is not None or (errors <= 0).any():
        p[0] = p[0] if answer.p_value is None else answer.p_value
        return Simultaneous(tuple(holm(p).tolist()), None)
    largest = largest_of(covariance / np.outer(errors, errors), seed)
    beyond = len(largest) - np.searchsorted(largest, -ndtri(p / 2))
    bonferroni = np.minimum(len(p) * p, 1.0)
    adjusted = np.where(beyond >= FEWEST, np.clip(beyond / len(largest), p, bonferroni), bonferroni)
    tail = max(float(ndtr(np.quantile(largest, level))), 0.5 + level / 2)
    intervals = []
    for j, s in enumerate(found):
        df = degrees_of_freedom(answer, j)
        half = float(ndtri(tail) if df is None else stdtrit(df, tail)) * s.standard_error
        intervals.append((s.estimate - half, s.estimate + half))
    return Simultaneous(tuple(adjusted.tolist()), tuple(intervals))


def largest_of(correlation: np.ndarray, seed: int, draws: int = DRAWS) -> np.ndarray:
    """Sorted draws (draws,) of the largest absolute value of normal variables with this correlation (m, m)."""
    values, vectors = np.linalg.eigh(correlation)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    normal = generator(seed, "simultaneous", len(correlation)).standard_normal((draws, len(correlation)))
    return np.sort(np.abs(normal @ root).max(axis=1))


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down adjusted p-values (m,), valid whatever the dependence."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
