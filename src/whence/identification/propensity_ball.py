"""Bounds from a divergence ball whose radius is computed from the propensity alone.

With e = P(A = a | x), P the law of Y given a and x and Q its law under do(a), Q = e P + (1 - e) R for some R, so that

    D_f(P || Q) <= B_f(e) = e f(1 / e) + (1 - e) f(0)

for every f (Jung and Kang 2026, arXiv 2601.17160). The bound on E_Q[Y] is the dual

    inf over lam > 0, u of lam B + u + lam E_P[g*((Y - u) / lam)],   g(s) = s f(1 / s).

Since R is arbitrary, this assumes nothing, and the sharp answer is the one without assumptions: mean outcome e E_P[Y] +
(1 - e) times a limit. Every ball contains that interval. For an outcome without limits the bound is infinite,
as f(0) is finite: a speck of mass far away costs little. A finite bound is driven by the limits.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from whence.core.errors import unknown_name
from whence.identification.bounds import Bounded
from whence.identification.divergence import mass_moved_up, rising_root
from whence.identification.strata import Extreme, checked_strata, stratified_bounds

DIVERGENCES = ("kl", "chi2", "hellinger", "tv", "js")
WARNING = ("These bounds come from the limits of the outcome: nothing seen says how far away the unseen outcomes are. "
           "The bounds without assumptions lie inside them and rest on no more.")


def radius(share: float, divergence: str) -> float:
    """B_f(e): the divergence that the propensity ``share`` (above 0, at most 1) allows."""
    e = float(share)
    if divergence == "kl":
        return -np.log(e)
    if divergence == "chi2":
        return (1 - e) / (2 * e)
    if divergence == "hellinger":
        return 1 - np.sqrt(e)
    if divergence == "tv":
        return 1 - e
    return 0.5 * (np.log(4) + e * np.log(e) - (1 + e) * np.log(1 + e))


def radius_slope(share: float, divergence: str) -> float:
    """The derivative of ``radius`` by the propensity."""
    e = float(share)
    slopes = {"kl": -1 / e, "chi2": -1 / (2 * e * e), "hellinger": -0.5 / np.sqrt(e), "tv": -1.0}
    return float(slopes[divergence]) if divergence in slopes else 0.5 * float(np.log(e / (1 + e)))


def greatest_mean(values: np.ndarray, share: np.ndarray, divergence: str, size: float, limit: float) -> Extreme:
    """The greatest E_Q[Y] over the distributions Q up to ``limit`` with D_f(P || Q) <= size.

    values, share: float (k,), outcomes and their probabilities under P, all positive. At the optimum dQ/dP =
    g*'(T - (limit - Y + a) / lam) with T = f(0) the end of g*'s domain and a >= 0 the distance of its pole from the
    limit. Either dQ/dP has mean 1, which gives lam for every a, or a = 0 and the rest of the mass sits at the limit:
    one parameter in both cases, in which the divergence falls.
    """
    unit = limit - float(values.min())
    if unit <= 0 or size <= 0:
        return Extreme(float(share @ values), values.astype(float))
    if divergence == "tv":
        return mass_moved_up(values, share, size, limit)
    below, kernel = (limit - values) / unit, KERNELS[divergence]

    def spent(ratio: np.ndarray) -> float:
        return float(share @ kernel.penalty(ratio) + (1 - share @ ratio) * kernel.end)

    def balanced(s: float) -> tuple[float, float]:
        return float(np.exp(-s)), kernel.scale(below + np.exp(-s), share)

    def gap(s: float, at: Callable[[float], tuple[float, float]]) -> float:
        away, lam = at(s)
        return spent(kernel.ratio((below + away) / lam)) - size

    route, start = balanced, -20.0
    if below.min() > 0:
        most = kernel.scale(below, share)
        if gap(0.0, lambda _: (0.0, most)) < 0:
            route, start = (lambda s: (0.0, most * float(np.exp(-s)))), 0.0
    if gap(40.0, route) < 0:
        return Extreme(limit, np.full(len(values), limit), reached=True)
    away, lam = route(rising_root(lambda s: gap(s, route), (start, 40.0)))
    ratio, u = kernel.ratio((below + away) / lam), away - lam * kernel.end
    scores = lam * size + u + (-below - u) * ratio - lam * kernel.penalty(ratio)
    return Extreme(limit + unit * float(share @ scores), limit + unit * scores, slope=unit * lam)


@dataclass(frozen=True)
class Kernel:
    """One divergence. penalty: g. end: T = f(0). ratio: g*'(T - r), falling in r > 0. scale: lam at mean ratio 1."""

    penalty: Callable[[np.ndarray], np.ndarray]
    end: float
    ratio: Callable[[np.ndarray], np.ndarray]
    scale: Callable[[np.ndarray, np.ndarray], float]


def _scale_js(away: np.ndarray, share: np.ndarray) -> float:
    half = 0.5 * float(np.log(2))  # where the ratio is 1
    low, high = float(np.log(away.min() / half)) - 1e-9, float(np.log(away.max() / half)) + 1e-9
    return float(np.exp(rising_root(lambda s: float(share @ _ratio_js(away * np.exp(-s))) - 1, (low, high))))


def _ratio_js(r: np.ndarray) -> np.ndarray:
    return np.exp(-2 * r) / -np.expm1(-2 * r)


def _penalty_js(s: np.ndarray) -> np.ndarray:
    return 0.5 * ((1 + s) * np.log(2 / (1 + s)) + s * np.log(np.where(s > 0, s, 1.0)))


KERNELS = {
    "kl": Kernel(lambda s: -np.log(s), 0.0, lambda r: 1 / r, lambda a, p: float(1 / (p @ (1 / a)))),
    "chi2": Kernel(lambda s: (1 - s) ** 2 / (2 * s), 0.5, lambda r: (2 * r) ** -0.5,
                   lambda a, p: float(2 / (p @ a**-0.5) ** 2)),
    "hellinger": Kernel(lambda s: (1 - np.sqrt(s)) ** 2 / 2, 0.5, lambda r: 1 / (2 * r) ** 2,
                        lambda a, p: float(2 / np.sqrt(p @ a**-2.0))),
    "js": Kernel(_penalty_js, 0.5 * float(np.log(2)), _ratio_js, _scale_js),
}


def ball(
    values: np.ndarray, share: np.ndarray, propensity: float, divergence: str, limits: tuple[float, float]
) -> tuple[Extreme, Extreme]:
    """The least and the greatest mean under do(a), given the outcomes seen at a and the propensity of a."""
    size = radius(propensity, divergence)
    low = greatest_mean(-values, share, divergence, size, -limits[0])
    high = greatest_mean(values, share, divergence, size, limits[1])
    return Extreme(-low.value, -low.scores, -low.slope, low.reached), high


def propensity_ball_bounds(
    joint: np.ndarray, divergence: str = "chi2", *, treated: int = 1, control: int = 0,
    values: Sequence[float] | None = None, limits: tuple[float, float] | None = None,
) -> Bounded:
    """Bounds on the ATE from divergence balls with radii given by the propensities; they assume nothing.

    joint: probabilities or counts, (strata of the controls, treatment levels, outcome levels). divergence: ``kl``,
    ``chi2``, ``hellinger``, ``tv`` or ``js``. values, limits: as in ``marginal_sensitivity_bounds``. The evidence
    has the bounds without assumptions, which lie inside, and the warning that the limits drive these.
    """
    if divergence not in DIVERGENCES:
        raise unknown_name("divergence", divergence, DIVERGENCES, code="unknown_divergence")
    table, scores, ends = checked_strata(joint, values, limits, "ATE", treated, control)
    plain = stratified_bounds(table, None, "no-assumption bounds", (), {}, quantity="ATE", treated=treated,
                              control=control, values=scores.tolist(), limits=ends)
    means = {}
    for arm in (treated, control):
        low = high = 0.0
        for stratum in table:
            seen, mass = stratum[arm], stratum.sum()
            least, greatest = ends
            if (there := seen > 0).any():
                found = ball(scores[there], seen[there] / seen.sum(), seen.sum() / mass, divergence, ends)
                least, greatest = found[0].value, found[1].value
            low, high = low + mass * least, high + mass * greatest
        means[arm] = (low, high)
    arms = types.MappingProxyType({"treated": means[treated], "control": means[control]})
    evidence = {"divergence": divergence, "limits": list(ends), "without_assumptions": [plain.lower, plain.upper],
                "warning": WARNING}
    return Bounded(means[treated][0] - means[control][1], means[treated][1] - means[control][0],
                   "propensity-only divergence ball", (), treated, control, arms,
                   evidence=types.MappingProxyType(evidence), sharp=False, note=WARNING)
