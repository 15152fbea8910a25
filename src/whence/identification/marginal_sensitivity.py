"""The marginal sensitivity model: hidden causes change the odds of treatment by at most a factor that the user gives.

Tan (2006), A distributional approach for causal inference using propensity scores, JASA 101: with U everything hidden,

    1/Lambda <= odds(A = a | X, U) / odds(A = a | X) <= Lambda.

Sharp bounds: Dorn and Guo (2022), Sharp sensitivity analysis for inverse propensity weighting via quantile balancing,
JASA 118. Within a stratum the outcomes of those not at a are those at a reweighted by r(y), 1/Lambda <= r <= Lambda,
E[r | a] = 1, so the greatest mean gives Lambda to the top 1/(1 + Lambda) of the outcomes and 1/Lambda to the rest:
the fractional linear program solved in closed form. One binary U attains both ends of the effect together.

As Lambda grows the bounds tend to those without assumptions, with the outcomes seen in the stratum as limits.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from functools import partial

import numpy as np

from whence.core.errors import WhenceError
from whence.identification.bounds import Bounded
from whence.identification.strata import Extreme, stratified_bounds


def greatest_mean(values: np.ndarray, share: np.ndarray, gamma: float) -> Extreme:
    """The greatest E[r Y] over 1/gamma <= r <= gamma with E[r] = 1 (gamma finite).

    values, share: float (k,), outcomes and their probabilities. With a = 1 / (1 + gamma) and q the value that the top
    a of the mass begins at, the scores are (Dorn and Guo 2022, the dual of quantile balancing)

        y / gamma + (1 - 1 / gamma) (q + (y - q)+ / a).
    """
    part = 1 / (1 + gamma)
    order = np.argsort(-values, kind="stable")
    above = np.cumsum(share[order])
    at = min(int(np.searchsorted(above, part * (1 - 1e-12))), len(order) - 1)
    scores = tail_scores(values, np.full(len(values), values[order[at]]), gamma)
    return Extreme(float(share @ scores), scores)


def tail_scores(values: np.ndarray, quantile: np.ndarray, gamma: float) -> np.ndarray:
    """The scores of ``greatest_mean`` for any quantile function: float (n,).

    Their conditional mean is at least the sharp bound whatever the quantiles, and equals it at the true ones.
    """
    excess = np.maximum(values - quantile, 0.0)
    return values / gamma + (1 - 1 / gamma) * (quantile + (1 + gamma) * excess)


def marginal_sensitivity_bounds(
    joint: np.ndarray, gamma: float, *, quantity: str = "ATE", treated: int = 1, control: int = 0,
    values: Sequence[float] | None = None, limits: tuple[float, float] | None = None,
) -> Bounded:
    """Sharp bounds when knowing everything hidden changes the odds of a level by at most the factor ``gamma``.

    joint: probabilities or counts, (strata of the controls, treatment levels, outcome levels). gamma: at least 1; 1
    says that nothing is hidden and gives a point, ``inf`` gives the bounds without assumptions. quantity: ATE, ATT or
    ATC. values: the number each outcome level stands for. limits: the least and greatest outcome possible; used for
    strata where a level never occurs and for an infinite gamma.

    With more than two levels the factor bounds the odds of a level against every other one, and the ends of the
    effect then need not be reached together. Raises ``WhenceError``: ``bad_gamma`` and those of a bad joint.
    """
    gamma = checked_gamma(gamma)
    upper = None if math.isinf(gamma) else partial(greatest_mean, gamma=gamma)
    found = stratified_bounds(
        joint, upper, "marginal sensitivity bounds", (assumption(gamma),), {"gamma": gamma}, quantity=quantity,
        treated=treated, control=control, values=values, limits=limits,
    )
    return dataclasses.replace(found, sharp=np.shape(joint)[1] == 2)


def assumption(gamma: float) -> str:
    """The assumption as a sentence."""
    if math.isinf(gamma):
        return "Nothing is assumed about what is hidden."
    if gamma == 1:
        return "Nothing hidden affects both the treatment and the outcome."
    return (f"Knowing everything hidden changes the odds of a treatment level, among people alike in the controls, by "
            f"at most the factor {gamma:g}.")


def checked_gamma(gamma: float) -> float:
    """``gamma`` as a float. Raises ``WhenceError`` (``bad_gamma``) unless it is a number of at least 1."""
    if isinstance(gamma, (bool, str)) or not hasattr(gamma, "__float__") or not float(gamma) >= 1:
        raise WhenceError(f"gamma must be a number of at least 1, not {gamma!r}.", code="bad_gamma", value=gamma,
                          allowed="a number of at least 1", hint="It is a factor: 1 says that nothing is hidden.")
    return float(gamma)
