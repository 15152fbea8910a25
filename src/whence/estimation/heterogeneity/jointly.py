"""Several estimates with one covariance: intervals that hold together, adjusted p-values, and a test of them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from whence.estimation.effect import Comparison, summarise
from whence.estimation.simultaneous import FEWEST, largest_of

EXACT = 1e-13  # an error below this part of its estimate is rounding


@dataclass(frozen=True)
class JointTest:
    """A Wald test. df: restrictions. df_denominator: of the F distribution; None for the chi-squared."""

    statistic: float
    df: int
    p_value: float
    df_denominator: float | None = None


def said(c: Comparison) -> str:
    """One estimate in a line: its joint interval and adjusted p-value where there are others beside it."""
    low, high = c.joint_interval or c.interval
    p = c.p_value if c.adjusted_p_value is None else c.adjusted_p_value
    joint = "joint " if c.joint_interval not in (None, c.interval) else ""
    return f"{c.label}: {c.estimate:.4g} ({joint}{low:.4g} to {high:.4g}; p {p:.2g})"


def jointly(
    labels: Sequence[str], estimates: np.ndarray, covariance: np.ndarray, level: float, df: float | None, seed: int
) -> tuple[Comparison, ...]:
    """One ``Comparison`` each, with joint intervals and adjusted p-values by the law of the largest of their t-values
    (Hothorn, Bretz and Westfall 2008, sections 3 and 4); estimates without an error stand apart from it.

    The law is drawn for correlated normal variables and carried over to t with ``df`` degrees of freedom.
    """
    from scipy.special import ndtr, ndtri, stdtrit

    errors = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
    plain = [summarise(float(e), float(s), level, df) for e, s in zip(estimates, errors, strict=True)]
    moving = np.flatnonzero(errors > EXACT * np.abs(estimates))
    if len(labels) == 1 or not len(moving):
        return tuple(Comparison(x, float(e), float(s), i, p, p, i)
                     for x, e, s, (i, p) in zip(labels, estimates, errors, plain, strict=True))
    largest = largest_of(covariance[np.ix_(moving, moving)] / np.outer(errors[moving], errors[moving]), seed)
    tail = max(float(ndtr(np.quantile(largest, level))), 0.5 + level / 2)
    factor = float(ndtri(tail) if df is None else stdtrit(df, tail))
    p = np.array([p for _, p in plain])
    beyond = len(largest) - np.searchsorted(largest, -ndtri(np.maximum(p, 1e-300) / 2))
    bonferroni = np.minimum(len(moving) * p, 1.0)
    adjusted = np.where(beyond >= FEWEST, np.clip(beyond / len(largest), p, bonferroni), bonferroni)
    fixed = np.ones(len(p), dtype=bool)
    fixed[moving] = False
    return tuple(
        Comparison(label, float(e), float(s), interval, float(q), float(q if still else a),
                   interval if still else (float(e - factor * s), float(e + factor * s)))
        for label, e, s, (interval, q), a, still in zip(labels, estimates, errors, plain, adjusted, fixed, strict=True)
    )


def wald(estimates: np.ndarray, covariance: np.ndarray, df: float | None) -> JointTest | None:
    """Test that all ``estimates`` (m,) are zero; F with ``df`` in the denominator, or chi-squared for None.

    None where the covariance cannot tell: it has less than full rank, as with as many estimates as clusters.
    """
    from scipy.special import chdtrc, fdtrc

    errors = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
    if not len(estimates) or (errors == 0).any():
        return None
    scaled = covariance / np.outer(errors, errors)
    if np.linalg.matrix_rank(scaled, hermitian=True) < len(estimates):
        return None
    t = estimates / errors
    statistic, m = float(t @ np.linalg.solve(scaled, t)), len(estimates)
    if df is None:
        return JointTest(statistic, m, float(chdtrc(m, statistic)))
    return JointTest(statistic / m, m, float(fdtrc(m, df, statistic / m)), df)
