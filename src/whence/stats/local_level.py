"""A level that drifts, seen with noise, beside a regression: the Kalman filter, and the future it expects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.stats.mixture import Mixture, weights_of

POINTS = 61


@dataclass(frozen=True)
class Forecast:
    """future: posterior of the combinations of future values asked for (m of them), noise included. drift: (points,),
    standard deviations of a step of the level relative to the noise, that were integrated. coefficients: (k,),
    posterior mean of those of the regression. fitted: (n,), one step ahead, in units of the outcome; nan where the
    level was not yet known."""

    future: Mixture
    drift: np.ndarray
    coefficients: np.ndarray
    fitted: np.ndarray


def local_level(
    design: np.ndarray, outcome: np.ndarray, position: np.ndarray, ahead: np.ndarray, later: np.ndarray,
    combinations: np.ndarray,
) -> Forecast:
    """Outcome = level + design @ coefficients + noise; the level takes a normal step each period (Harvey 1989).

    design: (n, k), without a constant, which the level is. outcome: (n,). position: (n,), whole and ascending, gaps
    allowed. ahead: (h, k), the design later, at the positions ``later`` (h,). combinations: (m, h), of the later
    values.

    The level at the first time and the coefficients have flat priors, the logarithm of the noise variance too; the
    filter runs over the outcome and each column at once (de Jong 1991), so that given the drift all is a regression of
    its innovations and the future is t with n - k - 1 degrees of freedom. The drift has a half Cauchy prior with scale
    one (Gelman 2006); points are equally spaced in its arctangent, so that the prior weighs them equally.
    """
    n, k = design.shape
    drift = np.tan((np.arange(POINTS) + 0.5) / POINTS * np.pi / 2)
    scale = 1 / (1 + drift**2)  # noise variance, so that neither variance grows beyond one
    step = 1 - scale
    level, variance, innovations, sizes = _filter(np.column_stack([outcome, design]), position, scale, step)
    df = n - 1 - k
    white = np.moveaxis(innovations, 0, 1) / np.sqrt(sizes.T)[:, :, None]  # (points, n - 1, k + 1)
    triangle: Any = np.linalg.qr(np.concatenate([white[:, :, 1:], white[:, :, :1]], axis=2), mode="r")
    own, cross, rest = triangle[:, :k, :k], triangle[:, :k, k], triangle[:, k, k]
    inverse = np.linalg.inv(own) if k else np.zeros((POINTS, 0, 0))
    coefficients = np.einsum("gij,gj->gi", inverse, cross)
    spread = np.maximum(rest**2, np.finfo(float).tiny)
    likelihood = -(np.log(sizes).sum(axis=0) / 2 + df / 2 * np.log(spread)
                   + np.log(np.abs(np.diagonal(own, axis1=1, axis2=2))).sum(axis=1))
    # Later outcomes: last level + coefficients' (design later - last level of the design) + steps + noise.
    carried = ahead[None] - level[:, None, 1:]  # (points, h, k)
    centre = level[:, :1] + np.einsum("ghk,gk->gh", carried, coefficients)
    reach = np.einsum("mh,ghk,gki->gmi", combinations, carried, inverse)
    together = np.minimum.outer(later, later) - position[-1]
    apart = np.einsum("mh,hj,mj->m", combinations, together.astype(float), combinations)
    squares = (combinations**2).sum(axis=1)
    own_part = variance[:, None] * combinations.sum(axis=1) ** 2 + np.outer(step, apart) + np.outer(scale, squares)
    scales = np.sqrt((own_part + (reach**2).sum(axis=2)) * (spread / df)[:, None])
    weights = weights_of(likelihood)
    known = innovations[:, :, 0] - np.einsum("tgk,gk->tg", innovations[:, :, 1:], coefficients)
    fitted = np.append(np.nan, outcome[1:] - known @ weights)
    return Forecast(Mixture(weights, centre @ combinations.T, scales, float(df)), drift, weights @ coefficients, fitted)


def _filter(
    columns: np.ndarray, position: np.ndarray, noise: np.ndarray, step: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Level (points, columns) and its variance (points,) after the last row, innovations (n - 1, points, columns) and
    their variances (n - 1, points). The first row sets the level, whose prior is flat."""
    level = np.repeat(columns[:1], len(noise), axis=0)
    variance = noise.copy()
    innovations, sizes = np.empty((len(columns) - 1, *level.shape)), np.empty((len(columns) - 1, len(noise)))
    gaps = np.diff(position)
    for t, row in enumerate(columns[1:]):
        variance = variance + gaps[t] * step
        innovations[t] = row - level
        sizes[t] = variance + noise
        gain = variance / sizes[t]
        level = level + gain[:, None] * innovations[t]
        variance = gain * noise
    return level, variance, innovations, sizes
