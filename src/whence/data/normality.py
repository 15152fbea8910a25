"""Is a column Gaussian? The Anderson-Darling test with mean and variance estimated, and how far it is off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MIN_ROWS = 20


@dataclass(frozen=True)
class Normality:
    """statistic: Anderson-Darling A squared with Stephens' factor for small samples. skewness and
    excess_kurtosis (0 and 0 for a Gaussian) say how far off, whatever the number of rows ``n``.
    """

    statistic: float
    p_value: float
    skewness: float
    excess_kurtosis: float
    n: int


def anderson_darling(values: np.ndarray) -> Normality | None:
    """Test of ``values`` (n,) without missing ones; None below ``MIN_ROWS`` rows or for a constant.

    The statistic is equation 4.2 and its p value table 4.9 of D'Agostino and Stephens (1986), Goodness-of-Fit
    Techniques, case 3 (mean and variance estimated).
    """
    from scipy.special import log_ndtr

    n = len(values)
    if n < MIN_ROWS:
        return None
    centred = values - values.mean()
    scale = np.abs(centred).max()
    if scale <= 1e-12 * max(1.0, float(np.abs(values).max())):
        return None
    centred = centred / scale
    sd = centred.std(ddof=1)
    z = np.sort(centred) / sd
    weights = 2 * np.arange(1, n + 1) - 1
    a2 = -n - float(np.sum(weights * (log_ndtr(z) + log_ndtr(-z[::-1])))) / n
    statistic = a2 * (1 + 0.75 / n + 2.25 / n**2)
    m2 = np.mean(centred**2)
    skewness = float(np.mean(centred**3) / m2**1.5)
    kurtosis = float(np.mean(centred**4) / m2**2 - 3)
    return Normality(statistic, _p_value(statistic), skewness, kurtosis, n)


def _p_value(a: float) -> float:
    """Upper tail of the modified statistic; piecewise fit of D'Agostino and Stephens (1986), table 4.9."""
    if a >= 13:
        return 0.0  # below 1e-30; the fit turns up again from there
    if a >= 0.6:
        return float(np.exp(1.2937 - 5.709 * a + 0.0186 * a**2))
    if a >= 0.34:
        return float(np.exp(0.9177 - 4.279 * a - 1.38 * a**2))
    if a >= 0.2:
        return float(1 - np.exp(-8.318 + 42.796 * a - 59.938 * a**2))
    return float(1 - np.exp(-13.436 + 101.14 * a - 223.73 * a**2))
