"""What remains of an effect after the start of a treatment when trends may have parted (Rambachan and Roth 2023).

Times stand relative to the last period before the start, x = 0, where the gap is zero by definition: estimates ``pre``
(p,) at x = -p, ..., -1 and ``post`` (q,) at x = 1, ..., q, stacked in that order in ``estimates`` (p + q,) and
``covariance``. The effect is ``target @ post``, its weights (q,) not negative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

PENALTIES = 48  # points of the path from the least variance to the least bias
SWEEPS = 200
LARGEST = 64.0  # times the scale, beyond which no breakdown value is looked for


@dataclass(frozen=True)
class Path:
    """Estimates around the start; see above. critical: of a two-sided interval, a quantile of t or the normal. alpha:
    one less the level."""

    estimates: np.ndarray
    covariance: np.ndarray
    target: np.ndarray
    critical: float
    alpha: float

    @property
    def before(self) -> int:
        return len(self.estimates) - len(self.target)

    @property
    def steps(self) -> np.ndarray:
        """(p, p + q): the step of the gap into each period up to the last before the start."""
        out = np.zeros((self.before, len(self.estimates)))
        for k in range(self.before):
            out[k, k] = -1.0
            if k + 1 < self.before:
                out[k, k + 1] = 1.0
        return out

    @property
    def reach(self) -> float:
        """By how much a gap that widens by one each period moves the effect."""
        return float(self.target @ np.arange(1, len(self.target) + 1))

    def error(self, combination: np.ndarray) -> float:
        return float(np.sqrt(max(combination @ self.covariance @ combination, 0.0)))


def relative(path: Path, times: float) -> tuple[float, float]:
    """Interval for the effect when the gap moves, in any period from the start on, by at most ``times`` the largest
    step before the start (Rambachan and Roth 2023, section 2.3.1, their Delta RM).

    If that step is number s, the effect lies within ``times * reach * |step s|`` of the estimate; both ends are linear
    in the estimates, and an interval around them holds the effect with the level's chance whatever the step's sign. The
    union over s and signs holds it without knowing which it is: never too short, wider than their hybrid test where
    several steps could be the largest.
    """
    own = np.concatenate([np.zeros(path.before), path.target])
    low, high = np.inf, -np.inf
    for step in path.steps:
        for way in (1.0, -1.0):
            end = own + way * times * path.reach * step
            middle, room = float(end @ path.estimates), path.critical * path.error(end)
            low, high = min(low, middle - room), max(high, middle + room)
    return low, high


@dataclass(frozen=True)
class Frontier:
    """Linear estimators of the effect that take out every straight line. middle, error: (c,), estimates and standard
    errors. bias: (c,), the most that a gap whose slope changes by at most 1 a period can add."""

    middle: np.ndarray
    error: np.ndarray
    bias: np.ndarray


def frontier(path: Path) -> Frontier:
    """Estimators ``target @ post + v @ pre`` from the least variance to the least bias.

    With r_k the sum of v_s (k - x_s) over x_s < k, the straight line asks for one value of r_0 and leaves the p - 1
    others free; the bias is a constant plus the sum of their absolute values, the variance a parabola in them, so that
    the best are on a lasso path (Rambachan and Roth 2023, section 4.1).
    """
    p, q = path.before, len(path.target)
    x, knots = np.arange(-p, 0), np.arange(0, -p, -1)
    lines = np.maximum(knots[:, None] - x[None, :], 0.0)
    back = np.linalg.inv(lines)
    fixed = float(sum(path.target @ np.maximum(np.arange(1, q + 1) - k, 0) for k in range(q)))
    base = np.concatenate([path.reach * back[:, 0], path.target])
    free = np.vstack([back[:, 1:], np.zeros((q, p - 1))])
    rest = _lasso(base, free, path.covariance)
    each = base + rest @ free.T
    variance = np.einsum("ci,ij,cj->c", each, path.covariance, each)
    return Frontier(each @ path.estimates, np.sqrt(np.maximum(variance, 0.0)), fixed + np.abs(rest).sum(axis=1))


def smooth(path: Path, found: Frontier, bend: float) -> tuple[float, float]:
    """Interval for the effect when the gap's slope changes by at most ``bend`` from one period to the next (their
    Delta SD); with 0 the line before the start goes on.

    Half its length is the quantile of |N(bias, variance)| at the worst bias, least over the estimators, so that it
    covers whatever the gap (Donoho 1994; Armstrong and Kolesar 2018, equation 10).
    """
    ratio = path.critical / float(_folded(np.zeros(1), path.alpha)[0])  # of t to the normal
    half = _folded(bend * found.bias / np.maximum(found.error, 1e-300), path.alpha) * found.error * ratio
    best = int(np.argmin(half))
    return float(found.middle[best] - half[best]), float(found.middle[best] + half[best])


def breakdown(interval: Callable[[float], tuple[float, float]], scale: float) -> float:
    """The largest size of the violation at which ``interval`` leaves out zero; 0 if none does, ``64 * scale`` at
    most."""
    def holds(size: float) -> bool:
        low, high = interval(size)
        return low > 0 or high < 0

    if scale <= 0 or not holds(0.0):
        return 0.0
    inside, outside = 0.0, scale / 64
    while holds(outside):
        inside, outside = outside, 2 * outside
        if inside >= LARGEST * scale:
            return inside
    for _ in range(40):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if holds(middle) else (inside, middle)
    return inside


def _lasso(base: np.ndarray, free: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """The r (c, k) that minimise the variance of ``base + free @ r`` plus a penalty on |r|, from no penalty down to
    r = 0, by coordinate descent."""
    size = free.shape[1]
    gram, pull = free.T @ covariance @ free, free.T @ covariance @ base
    top, r = float(np.abs(pull).max(initial=0.0)), np.zeros(size)
    found = [-np.linalg.pinv(gram, hermitian=True) @ pull, r]
    if top == 0 or (np.diagonal(gram) <= 0).any():
        return np.array(found)
    for penalty in top * np.geomspace(1.0, 1e-6, PENALTIES):
        r = r.copy()
        for _ in range(SWEEPS):
            moved = 0.0
            for j in range(size):
                rest = pull[j] + gram[j] @ r - gram[j, j] * r[j]
                new = -np.sign(rest) * max(abs(rest) - penalty, 0.0) / gram[j, j]
                moved, r[j] = max(moved, abs(new - r[j])), new
            if moved <= 1e-6 * max(1e-300, float(np.abs(r).max())):
                break
        found.append(r)
    return np.array(found)


def _folded(shift: np.ndarray, alpha: float) -> np.ndarray:
    """The quantiles at 1 - alpha of |N(shift, 1)|, by halving."""
    from scipy.special import ndtr, ndtri

    low, high = np.zeros(len(shift)), shift + float(ndtri(1 - alpha / 2)) + 1e-12
    for _ in range(55):
        middle = (low + high) / 2
        inside = ndtr(middle - shift) - ndtr(-middle - shift) < 1 - alpha
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return high
