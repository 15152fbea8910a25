"""Student t distributions mixed over an unknown parameter: what is left of a conjugate model when one is integrated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STEPS = 100  # at most, towards a half-width
NEGLIGIBLE = 1e-10  # weight relative to the largest


@dataclass(frozen=True)
class Mixture:
    """The posterior of m numbers. weights: (points,), of the values of the parameter that was integrated, summing to
    one. centres, scales: (points, m), of a t distribution with ``df`` degrees of freedom at each."""

    weights: np.ndarray
    centres: np.ndarray
    scales: np.ndarray
    df: float

    @property
    def mean(self) -> np.ndarray:
        """(m,)."""
        return self.weights @ self.centres

    def within(self, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(m,) each: probability of being no further than ``half`` from the mean, and its slope."""
        from scipy.special import gammaln, stdtr

        likely = self.weights > NEGLIGIBLE * self.weights.max()
        weights, off = self.weights[likely], (self.mean - self.centres)[likely]
        scales = np.where(self.scales > 0, self.scales, 1e-300)[likely]
        top, end, df = (off + half) / scales, (off - half) / scales, self.df
        constant = np.exp(gammaln((df + 1) / 2) - gammaln(df / 2)) / np.sqrt(df * np.pi)
        density = (1 + top**2 / df) ** (-(df + 1) / 2) + (1 + end**2 / df) ** (-(df + 1) / 2)
        return weights @ (stdtr(df, top) - stdtr(df, end)), constant * (weights @ (density / scales))

    def half_width(self, level: float) -> np.ndarray:
        """(m,): how far to both sides of the mean the number lies with probability ``level``; Newton's steps, and
        halvings where these leave the bracket."""
        from scipy.special import stdtrit

        quantile = float(stdtrit(self.df, 0.5 + level / 2))
        high = np.abs(self.centres - self.mean).max(axis=0) + quantile * self.scales.max(axis=0)
        low, half = np.zeros_like(high), quantile * np.sqrt(self.weights @ self.scales**2)
        for _ in range(STEPS):
            share, slope = self.within(half)
            low, high = np.where(share < level, half, low), np.where(share < level, high, half)
            step = half + (level - share) / np.where(slope > 0, slope, 1.0)
            moved = np.where((slope > 0) & (step > low) & (step < high), step, (low + high) / 2)
            near = np.abs(moved - half) <= 1e-9 * high
            half = moved
            if near.all():
                break
        return half

    def errors(self, half: np.ndarray, level: float) -> np.ndarray:
        """(m,): the standard errors with which intervals of the t distribution are as wide as ``half`` to each side."""
        from scipy.special import stdtrit

        return half / float(stdtrit(self.df, 0.5 + level / 2))


def weights_of(log_likelihood: np.ndarray) -> np.ndarray:
    """Weights (points,) in proportion to the likelihood, at points that are equally likely beforehand."""
    weights = np.exp(log_likelihood - log_likelihood.max())
    return weights / weights.sum()
