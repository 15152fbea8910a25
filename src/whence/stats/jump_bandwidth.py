"""Bandwidths for a jump of a regression function, by its mean squared error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.stats.local_polynomial import coefficient_weights, kernel_weights, neighbour_residuals, power, within

PILOT = {"triangular": 2.576, "epanechnikov": 2.34, "uniform": 1.843}  # rule of thumb for the density's bandwidth


@dataclass(frozen=True)
class Side:
    """Rows on one side: x (n,), distance from the cutoff, ascending; outcome (n,); weights (n,)."""

    x: np.ndarray
    outcome: np.ndarray
    weights: np.ndarray

    @property
    def reach(self) -> float:
        """Distance of the farthest row."""
        return float(np.abs(self.x).max())


@dataclass(frozen=True)
class _Parts:
    variance: float
    bias: float
    regular: float


def jump_bandwidths(
    left: Side, right: Side, order: int = 1, derivative: int = 0, kernel: str = "triangular", coverage: bool = False
) -> tuple[float, float]:
    """Bandwidth of the fit and of the fit that corrects its bias; common to both sides. nan when neither can be had.

    Three steps, each with the bandwidth that the step before it gave for the bias (Calonico, Cattaneo and Titiunik
    2014, section 5 and supplement S.2.6; Imbens and Kalyanaraman 2012 for the term that keeps them from growing
    without end). coverage: the first is shrunk for the error of the interval's coverage instead
    (Calonico, Cattaneo and Farrell 2020).
    """
    x = np.concatenate([left.x, right.x])
    distinct = len(np.unique(left.x)) + len(np.unique(right.x))
    middle = float(np.subtract(*np.quantile(x, (0.75, 0.25), method="averaged_inverted_cdf"))) / 1.349
    spread = float(np.std(x, ddof=1))
    pilot = PILOT[kernel] * min(spread, middle if middle > 0 else spread) * distinct**-0.2
    widest = max(left.reach, right.reach)
    pilot = min(max(pilot, *(_least(side) for side in (left, right))), widest)

    def step(o: int, nu: int, wide: tuple[float, float], regular: bool) -> float:
        a, b = (_parts(side, o, nu, pilot, h, kernel, regular) for side, h in zip((left, right), wide, strict=True))
        # The sides are those of one coordinate: odd orders change sign in the expansion by themselves.
        gap = (b.bias - a.bias) ** 2 + a.regular + b.regular
        best = ((a.variance + b.variance) / gap) ** (1 / (2 * o + 3)) if gap > 0 else widest
        return float(min(best, widest))

    third = step(order + 2, order + 2, (left.reach, right.reach), regular=False)
    bias = step(order + 1, order + 1, (third, third), regular=True)
    main = step(order, derivative, (bias, bias), regular=True)
    if coverage:
        main *= len(x) ** (-order / ((3 + order) * (3 + 2 * order)))
    return main, bias


def _least(side: Side, rows: int = 10) -> float:
    """The distance within which the side has ten different values."""
    points = np.unique(np.abs(side.x))
    return float(points[min(rows, len(points)) - 1])


def _near(side: Side, bandwidth: float, kernel: str) -> Side:
    """The rows with a weight in the kernel, and these weights."""
    rows = within(side.x, bandwidth)
    w = side.weights[rows] * kernel_weights(side.x[rows], bandwidth, kernel)
    if w.all():
        return Side(side.x[rows], side.outcome[rows], w)
    some = w > 0
    return Side(side.x[rows][some], side.outcome[rows][some], w[some])


def _parts(side: Side, o: int, nu: int, narrow: float, wide: float, kernel: str, regular: bool) -> _Parts:
    """Variance and bias of coefficient ``nu`` of a fit of order ``o``, free of the bandwidth, and its regular term."""
    near = _near(side, narrow, kernel)
    line = coefficient_weights(near.x, near.weights, o, nu)
    error = line * neighbour_residuals(near.x, near.outcome)
    variance = float(error @ error)
    constant = narrow**nu * float(line @ power(near.x / narrow, o + 1))
    far = _near(side, wide, kernel)
    curve = coefficient_weights(far.x, far.weights, o + 1, o + 1)
    bias = constant * float(curve @ far.outcome)
    extra = 0.0
    if regular:
        error = curve * neighbour_residuals(far.x, far.outcome)
        extra = 3 * constant**2 * float(error @ error)
    times = 2 * (o + 1 - nu)
    return _Parts((2 * nu + 1) * narrow ** (2 * nu + 1) * variance, np.sqrt(times) * bias, times * extra)
