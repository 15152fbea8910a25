"""Student t distributions mixed over an unknown parameter: what is left of a conjugate model when one is integrated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STEPS = 60  # halvings of the bracket of a half-width


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

    def within(self, half: np.ndarray) -> np.ndarray:
        """(m,): probability of being no further than ``half`` from the mean."""
        from scipy.special import stdtr

        off = self.mean - self.centres
        scales = np.where(self.scales > 0, self.scales, 1e-300)
        return self.weights @ (stdtr(self.df, (off + half) / scales) - stdtr(self.df, (off - half) / scales))

    def half_width(self, level: float) -> np.ndarray:
        """(m,): how far to both sides of the mean the number lies with probability ``level``."""
        from scipy.special import stdtrit

        furthest = np.abs(self.centres - self.mean).max(axis=0)
        high = furthest + float(stdtrit(self.df, 0.5 + level / 2)) * self.scales.max(axis=0)
        low = np.zeros_like(high)
        for _ in range(STEPS):
            middle = (low + high) / 2
            short = self.within(middle) < level
            low, high = np.where(short, middle, low), np.where(short, high, middle)
        return (low + high) / 2


    def errors(self, level: float) -> np.ndarray:
        """(m,): the standard errors with which intervals of the t distribution are as wide as ``half_width``."""
        from scipy.special import stdtrit

        return self.half_width(level) / float(stdtrit(self.df, 0.5 + level / 2))


def weights_of(log_likelihood: np.ndarray) -> np.ndarray:
    """Weights (points,) in proportion to the likelihood, at points that are equally likely beforehand."""
    weights = np.exp(log_likelihood - log_likelihood.max())
    return weights / weights.sum()
