"""Closed forms for a hidden confounder: robustness values, bounds from observed covariates, E-values.

Cinelli, C. and Hazlett, C. (2020), Making sense of sensitivity: extending omitted variable bias, JRSS B
82(1), 39-67. VanderWeele, T. and Ding, P. (2017), Sensitivity analysis in observational research:
introducing the E-value, Annals of Internal Medicine 167(4), 268-274.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


def partial_r2(t: float, freedom: float) -> float:
    """Share of the outcome's residual variance that goes with the treatment, from its classical t value."""
    return t * t / (t * t + freedom)


def critical_f(freedom: float, alpha: float) -> float:
    """Smallest partial Cohen's f that differs from zero at level ``alpha``, one degree of freedom spent."""
    from scipy.special import stdtrit

    return float(abs(stdtrit(freedom - 1, alpha / 2))) / math.sqrt(freedom - 1)


def robustness_value(t: float, freedom: float, q: float = 1.0, alpha: float | None = None) -> float:
    """How strong a confounder must be to lower the estimate by the share ``q``.

    The partial R2 that it needs with treatment and with outcome alike (equation 18 of Cinelli and
    Hazlett); with ``alpha``, so that the interval at level 1 - alpha reaches (1 - q) x estimate. 0 when it
    already does. t: classical t value, freedom: residual degrees of freedom.
    """
    f = q * abs(t) / math.sqrt(freedom)
    if alpha is not None:
        critical = critical_f(freedom, alpha)
        if f <= critical:
            return 0.0
        if f * critical >= 1:  # the confounder does most harm without the full association with the outcome
            return (f * f - critical * critical) / (1 + f * f)
        f -= critical
    return 0.5 * (math.sqrt(f**4 + 4 * f * f) - f * f)


@dataclass(frozen=True)
class Bound:
    """A confounder ``times`` as strong as a covariate, and the estimate after allowing for it.

    treatment_r2, outcome_r2: its partial R2 with treatment and with outcome. The adjusted numbers take
    the bias towards zero.
    """

    times: float
    treatment_r2: float
    outcome_r2: float
    estimate: float
    standard_error: float
    interval: tuple[float, float]
    possible: bool = True


def bound(
    times: float, treatment_r2: float, outcome_r2: float, estimate: float, error: float, freedom: float,
    level: float = 0.95,
) -> Bound:
    """The worst a confounder ``times`` as strong as a covariate can do (Cinelli and Hazlett, section 4.4).

    treatment_r2: partial R2 of the covariate with the treatment given the other covariates; outcome_r2:
    with the outcome given treatment and the other covariates. error: classical standard error.
    A confounder that would explain more than all there is is not possible: partial R2 of 1, no number.
    """
    r2dz = times * treatment_r2 / (1 - treatment_r2) if treatment_r2 < 1 else 1.0
    if r2dz >= 1 or times * treatment_r2 >= 1:
        return Bound(times, 1.0, 1.0, math.nan, math.nan, (math.nan, math.nan), possible=False)
    shared = times * treatment_r2**2 / ((1 - times * treatment_r2) * (1 - treatment_r2))
    if shared >= 1 or outcome_r2 >= 1:
        r2yz = 1.0
    else:
        eta = (math.sqrt(times) + math.sqrt(shared)) / math.sqrt(1 - shared)
        r2yz = min(1.0, eta * eta * outcome_r2 / (1 - outcome_r2))
    new, new_error = adjusted(estimate, error, freedom, r2dz, r2yz)
    half = critical_f(freedom, 1 - level) * math.sqrt(freedom - 1) * new_error
    return Bound(times, r2dz, r2yz, new, new_error, (new - half, new + half))


def adjusted(
    estimate: float, error: float, freedom: float, treatment_r2: float, outcome_r2: float
) -> tuple[float, float]:
    """Estimate and standard error after a confounder with these partial R2, the bias taken towards zero."""
    bias = error * math.sqrt(freedom * outcome_r2 * treatment_r2 / (1 - treatment_r2))
    shrunk = math.copysign(1.0, estimate) * (abs(estimate) - bias)
    wider = error * math.sqrt((1 - outcome_r2) / (1 - treatment_r2) * freedom / (freedom - 1))
    return shrunk, wider


def contour(treatment_r2: np.ndarray, t: float, freedom: float) -> np.ndarray:
    """The partial R2 with the outcome (m,) of confounders with these partial R2 with the treatment (m,) whose bias is
    ``t`` classical standard errors: t^2 / freedom (1 - x) / x (Cinelli and Hazlett, equation 9). May exceed 1."""
    return t * t / freedom * (1 - treatment_r2) / treatment_r2


def interval_contour(treatment_r2: np.ndarray, t: float, freedom: float, alpha: float) -> np.ndarray:
    """As ``contour``, for confounders that bring the interval at level 1 - alpha to zero; infinite where none does.

    In units of the standard error times sqrt(freedom), f = |t| / sqrt(freedom) and c = ``critical_f``: the smallest y
    with sqrt(y x / (1 - x)) + c sqrt((1 - y) / (1 - x)) = f (ibid., equations 9 and 13).
    """
    f, critical = abs(t) / math.sqrt(freedom), critical_f(freedom, alpha)
    x = treatment_r2
    # With r = sqrt(y), the left side rises to a peak at r = sqrt(x / (x + c^2)): solve r sqrt(x) + c sqrt(1 - r^2) = g.
    g, length = f * np.sqrt(1 - x), np.hypot(np.sqrt(x), critical)
    peak = np.arctan2(np.sqrt(x), critical)
    angle = peak - np.arccos(np.minimum(g / length, 1.0))
    return np.where(g <= length, np.sin(np.maximum(angle, 0.0)) ** 2, np.inf)


def e_value(risk_ratio: float) -> float:
    """The risk ratio a confounder needs with treatment and outcome alike to explain a risk ratio away."""
    ratio = 1 / risk_ratio if 0 < risk_ratio < 1 else risk_ratio
    if ratio <= 0 or math.isinf(ratio):
        return math.inf
    return ratio + math.sqrt(ratio * (ratio - 1))


def e_value_of_limit(low: float, high: float) -> float:
    """E-value of the interval's limit nearer to 1; 1 when the interval holds 1."""
    return 1.0 if low <= 1 <= high else e_value(low if low > 1 else high)


def ratio_from_difference(standardised: float) -> float:
    """Approximate risk ratio of a difference in standard deviations: exp(0.91 d) (VanderWeele and Ding)."""
    return math.exp(0.91 * standardised)
