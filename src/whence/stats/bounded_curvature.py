"""Intervals for a jump that allow for the worst bias of any curve whose second derivative is bounded.

Armstrong and Kolesar (2018), Optimal inference in a class of regression models, Econometrica 86; Kolesar and Rothe
(2018), Inference in regression discontinuity designs with a discrete running variable, American Economic Review 108.
They hold in any sample, whatever values the running variable takes, as nothing is asked of the curve between them but
the bound.
"""

from __future__ import annotations

import numpy as np

from whence.stats.jump_bandwidth import Side
from whence.stats.local_polynomial import coefficient_weights, kernel_weights, neighbour_residuals

DEGREE = 4  # of the polynomial that the rule of thumb for the bound looks at
PLACES = 60  # bandwidths that are tried


def worst_bias(left: np.ndarray, x_left: np.ndarray, right: np.ndarray, x_right: np.ndarray, bound: float) -> float:
    """Largest bias of a difference of two linear boundary fits, over curves with second derivative within ``bound``.

    left, right: what each outcome adds to the boundary value of its side. Kolesar and Rothe (2018), equation 5: the
    worst curve is a parabola on each side, bent in opposite ways.
    """
    return bound / 2 * (abs(float(left @ x_left**2)) + abs(float(right @ x_right**2)))


def critical_value(ratio: float, level: float) -> float:
    """The ``level`` quantile of the absolute value of a normal variable with mean ``ratio`` and variance 1."""
    from scipy.special import ndtr, ndtri

    b = abs(ratio)
    low, high = float(ndtri(level)) + b - 1e-9, float(ndtri((1 + level) / 2)) + b
    for _ in range(60):  # the probability rises with the value: halve
        middle = (low + high) / 2
        inside = float(ndtr(middle - b) - ndtr(-middle - b))
        low, high = (middle, high) if inside < level else (low, middle)
    return high


def curvature(side: Side) -> float | None:
    """A rule of thumb for the bound: the largest second derivative of a polynomial of degree 4 through all rows of the
    side (Armstrong and Kolesar 2020, Simple and honest confidence intervals in nonparametric regression, Quantitative
    Economics 11, section 4.1). None with fewer than six different values, which such a polynomial follows too closely.
    """
    if len(np.unique(side.x)) < DEGREE + 2:
        return None
    reach = side.reach
    u = side.x / reach
    powers = np.vander(u, DEGREE + 1, increasing=True) * np.sqrt(side.weights)[:, None]
    b = np.linalg.lstsq(powers, side.outcome * np.sqrt(side.weights), rcond=None)[0]
    bend = np.polynomial.Polynomial(b).deriv(2)
    turn = bend.deriv().roots()
    inside = turn[np.isreal(turn)].real
    low, high = float(u.min()), float(u.max())
    at = np.array([low, high, *inside[(inside > low) & (inside < high)]])
    return float(np.abs(bend(at)).max()) / reach**2


def shortest(left: Side, right: Side, bound: float, level: float, kernel: str) -> float:
    """The bandwidth whose interval is the shortest, for curves within ``bound``; nan when no line can be fitted.

    The spread of the outcomes is that of the nearest neighbours of each row, the mean of its square on each side.
    """
    spread = [float(np.average(neighbour_residuals(side.x, side.outcome) ** 2, weights=side.weights))
              for side in (left, right)]
    far = np.unique(np.abs(np.concatenate([left.x, right.x])))
    least = max(float(np.unique(np.abs(side.x))[min(1, len(np.unique(side.x)) - 1)]) for side in (left, right))
    tried = far[far > least]
    if len(tried) > PLACES:
        tried = tried[np.unique(np.geomspace(1, len(tried), PLACES).astype(int)) - 1]
    tried = np.append(tried, 1.5 * far[-1]) if len(far) else tried
    best, shortest_half = np.nan, np.inf
    for h in tried.tolist():
        lines = [coefficient_weights(s.x, s.weights * kernel_weights(s.x, h, kernel), 1, 0) for s in (left, right)]
        if not all(np.isfinite(line).all() for line in lines):
            continue
        error = float(np.sqrt(sum(v * float(line @ line) for v, line in zip(spread, lines, strict=True))))
        if error == 0:
            continue
        bias = worst_bias(lines[0], left.x, lines[1], right.x, bound)
        half = critical_value(bias / error, level) * error
        if half < shortest_half:
            best, shortest_half = h, half
    return float(best)
