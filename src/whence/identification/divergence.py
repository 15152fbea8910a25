"""The f-divergence sensitivity model: the unseen outcomes are distributed within a radius of those seen.

In every stratum x of the controls, with Q the distribution of Y(a) among those not at level a and P that among those
at a (which is seen), the assumption is

    D_f(Q || P) = E_P[f(dQ/dP)] <= radius,   Q puts no mass where P has none,

in the spirit of Jin, Ren and Candes (2022), Sensitivity analysis under the f-sensitivity models, arXiv 2203.04373,
who bound the divergence of the law of the hidden variable; radius 0 is no hidden confounding. The greatest mean is
convex duality (Ben-Tal et al. 2013, Robust solutions of optimization problems affected by uncertain probabilities):

    max E_Q[Y] = min over lam >= 0, u of lam radius + u + lam E_P[f*((Y - u) / lam)].

Its solutions form a family with one parameter, along which the divergence is monotone: one root is found.
f: ``kl`` t log t; ``chi2`` (t - 1)^2 / 2; ``hellinger`` 1 - sqrt(t); ``tv`` |t - 1| / 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from whence.core.errors import WhenceError, unknown_name
from whence.identification.bounds import Bounded
from whence.identification.strata import Extreme, stratified_bounds

DIVERGENCES = ("kl", "chi2", "hellinger", "tv")
NAMES = {"kl": "Kullback-Leibler divergence", "chi2": "half the chi-squared divergence",
         "hellinger": "squared Hellinger distance", "tv": "total variation distance"}

# (values scaled to have their largest at 0 and a unit spread, probabilities, parameter) -> (dQ/dP, u, lam)
Member = Callable[[np.ndarray, np.ndarray, float], tuple[np.ndarray, float, float]]


def greatest_mean(values: np.ndarray, share: np.ndarray, divergence: str, radius: float) -> Extreme:
    """The greatest E_Q[Y] over the distributions Q on ``values`` with D_f(Q || P) <= radius.

    values, share: float (k,), outcomes and their probabilities under P, all positive.
    """
    top = float(values.max())
    unit = top - float(values.min())
    if radius <= 0 or unit <= 0:
        return Extreme(float(share @ values), values.astype(float))
    if divergence == "tv":
        return mass_moved_up(values, share, radius, top)
    member, f, span = FAMILIES[divergence]
    z = (values - top) / unit
    highest = float(share[z == 0].sum())
    ratio_at_top = np.where(z == 0, 1 / highest, 0.0)
    if share @ f(ratio_at_top) <= radius:
        return Extreme(top, np.full(len(values), top), reached=True)
    parameter = rising_root(lambda s: float(share @ f(member(z, share, s)[0])) - radius, span)
    ratio, u, lam = member(z, share, parameter)
    scores = top + unit * (lam * radius + u + (z - u) * ratio - lam * f(ratio))
    return Extreme(float(share @ scores), scores, slope=unit * lam)


def rising_root(gap: Callable[[float], float], span: tuple[float, float]) -> float:
    """Where ``gap``, increasing, crosses 0 between the ends; the nearer end where it does not within rounding."""
    from scipy.optimize import brentq

    low, high = span
    if gap(low) >= 0:
        return low
    if gap(high) <= 0:
        return high
    return float(brentq(gap, low, high, xtol=1e-13, rtol=1e-14, maxiter=300))  # pyright: ignore[reportArgumentType]


# The families, each with parameter s, the log of how strongly mass moves to the top.


def _exponential(z: np.ndarray, share: np.ndarray, s: float) -> tuple[np.ndarray, float, float]:
    """KL: dQ/dP is proportional to exp(z / lam)."""
    lam = float(np.exp(-s))
    raised = np.exp(np.maximum(z / lam, -700.0))
    total = float(share @ raised)
    return raised / total, lam * (np.log(total) - 1), lam


def _truncated_linear(z: np.ndarray, share: np.ndarray, s: float) -> tuple[np.ndarray, float, float]:
    """Chi-squared: dQ/dP is proportional to (z - c)+ with c = -exp(-s)."""
    cut = -float(np.exp(-s))
    raised = np.maximum(z - cut, 0.0)
    lam = float(share @ raised)
    return raised / lam, cut + lam, lam


def _inverse_square(z: np.ndarray, share: np.ndarray, s: float) -> tuple[np.ndarray, float, float]:
    """Hellinger: dQ/dP is proportional to (u - z)^-2 with u = exp(-s)."""
    u = float(np.exp(-s))
    k = float(1 / np.sqrt(share @ (1 / (u - z) ** 2)))
    return (k / (u - z)) ** 2, u, 2 * k


def _t_log_t(t: np.ndarray) -> np.ndarray:
    return t * np.log(np.where(t > 0, t, 1.0))


FAMILIES: dict[str, tuple[Member, Callable[[np.ndarray], np.ndarray], tuple[float, float]]] = {
    "kl": (_exponential, _t_log_t, (-18.0, 30.0)),
    "chi2": (_truncated_linear, lambda t: (t - 1) ** 2 / 2, (-18.0, 30.0)),
    "hellinger": (_inverse_square, lambda t: 1 - np.sqrt(t), (-18.0, 30.0)),
}


def mass_moved_up(values: np.ndarray, share: np.ndarray, radius: float, top: float) -> Extreme:
    """Total variation: the lowest outcomes, ``radius`` of the mass, become ``top`` (at least the largest value)."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(share[order])
    at = int(np.searchsorted(below, radius * (1 - 1e-12)))
    if at >= len(order) or values[order[at]] == top:
        return Extreme(top, np.full(len(values), top), reached=True)
    quantile = float(values[order[at]])
    scores = (top - quantile) * radius + np.maximum(values, quantile)
    return Extreme(float(share @ scores), scores, slope=top - quantile)


def divergence_bounds(
    joint: np.ndarray, divergence: str, radius: float, *, quantity: str = "ATE", treated: int = 1, control: int = 0,
    values: Sequence[float] | None = None, limits: tuple[float, float] | None = None,
) -> Bounded:
    """Sharp bounds when, in every stratum, the unseen outcomes lie within ``radius`` of those seen at the same level.

    joint: probabilities or counts, (strata of the controls, treatment levels, outcome levels). divergence: ``kl``,
    ``chi2``, ``hellinger`` or ``tv``, of the unseen from the seen. radius: at least 0; 0 says that nothing is hidden
    and gives a point. quantity, values, limits: as in ``marginal_sensitivity_bounds``.

    Raises ``WhenceError``: ``unknown_divergence``, ``bad_radius`` and those of a bad joint.
    """
    if divergence not in DIVERGENCES:
        raise unknown_name("divergence", divergence, DIVERGENCES, code="unknown_divergence")
    if isinstance(radius, (bool, str)) or not hasattr(radius, "__float__") or not 0 <= float(radius) < np.inf:
        raise WhenceError(f"The radius must be a number of at least 0, not {radius!r}.", code="bad_radius",
                          value=radius, allowed="a number of at least 0")
    return stratified_bounds(
        joint, partial(greatest_mean, divergence=divergence, radius=float(radius)), "divergence bounds",
        (assumption(divergence, float(radius)),), {"divergence": divergence, "radius": float(radius)},
        quantity=quantity, treated=treated, control=control, values=values, limits=limits,
    )


def assumption(divergence: str, radius: float) -> str:
    """The assumption as a sentence."""
    return (f"Among people alike in the controls, the outcomes that others would have had under a level are "
            f"distributed within {radius:g} ({NAMES[divergence]}) of the outcomes seen at it, and on the same values.")
