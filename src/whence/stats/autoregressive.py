"""Regression with errors of which each remembers the last: generalised least squares over all autocorrelations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.stats.mixture import Mixture, weights_of

POINTS = 101


@dataclass(frozen=True)
class Autoregression:
    """posterior: of the contrasts (m of them). correlation: (points,), values of the autocorrelation that were
    integrated, equally likely beforehand under its reference prior. likely: (k, k), covariance of the coefficients at
    the likeliest. coefficients: (k,), posterior mean. rows: (n, m), how far each whitened observation moves each
    contrast, at the likeliest autocorrelation."""

    posterior: Mixture
    correlation: np.ndarray
    coefficients: np.ndarray
    covariance: np.ndarray
    rows: np.ndarray

    @property
    def mean_correlation(self) -> float:
        return float(self.posterior.weights @ self.correlation)

    def correlation_interval(self, level: float) -> tuple[float, float]:
        """Equal tails of its posterior, to the accuracy of the points."""
        passed = np.cumsum(self.posterior.weights)
        low, high = np.searchsorted(passed, [(1 - level) / 2, (1 + level) / 2])
        return float(self.correlation[low]), float(self.correlation[min(int(high), POINTS - 1)])


def autoregression(
    design: np.ndarray, outcome: np.ndarray, position: np.ndarray, contrasts: np.ndarray
) -> Autoregression:
    """Errors whose correlation is rho to the power of how far apart they are; rho is integrated.

    design: (n, k), of full rank, k < n. outcome: (n,). position: (n,), whole and ascending, gaps allowed. contrasts:
    (m, k). Given rho, Prais and Winsten's (1954) transformation makes the errors independent; with a flat prior for the
    coefficients and the logarithm of the variance, contrasts are t with n - k degrees of freedom, and rho has the
    restricted likelihood (Harville 1974) times 1 / sqrt(1 - rho^2), the arcsine law, which is the reference prior
    (Berger and Yang 1994). Points are equally spaced in the arcsine, so that the prior weighs them equally.
    """
    n, k = design.shape
    angle = (np.arange(POINTS) + 0.5) / POINTS * np.pi - np.pi / 2
    correlation = np.sin(angle)
    both = np.column_stack([design, outcome])
    gaps = np.diff(position)
    triangle, logs = np.empty((POINTS, k + 1, k + 1)), np.empty(POINTS)
    for g, rho in enumerate(correlation):
        white, logs[g] = whitened(both, gaps, rho)
        triangle[g] = np.linalg.qr(white, mode="r")
    own, cross, rest = triangle[:, :k, :k], triangle[:, :k, k], triangle[:, k, k]
    inverse = np.linalg.inv(own)
    coefficients = np.einsum("gij,gj->gi", inverse, cross)
    squares = rest**2
    tiny = np.finfo(float).tiny
    likelihood = -(logs + np.log(np.abs(np.diagonal(own, axis1=1, axis2=2))).sum(axis=1)
                   + (n - k) / 2 * np.log(np.maximum(squares, tiny)))
    reach = np.einsum("mi,gij->gmj", contrasts, inverse)  # contrast' R^-1
    scales = np.sqrt((reach**2).sum(axis=2) * squares[:, None] / (n - k))
    weights = weights_of(likelihood)
    best = int(np.argmax(likelihood))
    rows = whitened(design, gaps, correlation[best])[0] @ inverse[best] @ reach[best].T
    covariance = inverse[best] @ inverse[best].T * squares[best] / (n - k)
    return Autoregression(Mixture(weights, coefficients @ contrasts.T, scales, float(n - k)), correlation,
                          weights @ coefficients, covariance, rows)


def whitened(columns: np.ndarray, gaps: np.ndarray, rho: float) -> tuple[np.ndarray, float]:
    """Columns (n, k) whose rows no longer depend on each other (Prais and Winsten 1954), and the logarithm of the
    determinant of the root of their correlations. gaps: (n - 1,), periods between the rows."""
    passed = rho**gaps
    left = np.sqrt(1 - passed**2)
    later = (columns[1:] - passed[:, None] * columns[:-1]) / left[:, None]
    return np.vstack([columns[:1], later]), float(np.log(left).sum())


def leftover(design: np.ndarray, outcome: np.ndarray, position: np.ndarray, rho: float) -> float:
    """P-value of Ljung and Box's (1978) test that errors of the first order with correlation ``rho`` leave no memory:
    a fifth of the periods as lags, two to ten of them, and one degree of freedom less."""
    from scipy.special import chdtrc

    white = whitened(np.column_stack([design, outcome]), np.diff(position), rho)[0]
    residuals = white[:, -1] - white[:, :-1] @ np.linalg.lstsq(white[:, :-1], white[:, -1], rcond=None)[0]
    n = len(residuals)
    lags = max(2, min(10, n // 5))
    found = autocorrelations(residuals, position, lags)
    return float(chdtrc(lags - 1, n * (n + 2) * float((found**2 / (n - np.arange(1, lags + 1))).sum())))


def autocorrelations(residuals: np.ndarray, position: np.ndarray, lags: int) -> np.ndarray:
    """Of residuals (n,), at lags 1 to ``lags`` (lags,), over the pairs of observations that are so far apart; 0 where
    there are none."""
    variance = float((residuals**2).mean())
    found = np.zeros(lags)
    if variance == 0:
        return found
    for lag in range(1, lags + 1):
        at = np.searchsorted(position, position + lag)
        near = np.flatnonzero((at < len(position)) & (position[np.minimum(at, len(position) - 1)] == position + lag))
        if len(near):
            found[lag - 1] = float((residuals[near] * residuals[at[near]]).sum()) / (len(position) * variance)
    return found
