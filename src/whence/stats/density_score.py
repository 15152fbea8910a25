"""The score of a density, the slope of its logarithm, from a kernel estimate that keeps the spread of the sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STEP = 0.1  # of the bandwidth, between the points of the grid
FEWEST_POINTS, MOST_POINTS = 512, 8192
REACH = 6.0  # bandwidths, beyond which the kernel counts as zero
LEAST = 1e-300


@dataclass(frozen=True)
class DensityScore:
    """d log f(y) / dy on a grid, and how it moves with the sample.

    grid: float (g,), even. values: float (g,), the score there. sample: float (n,). widen: the part of the sample's
    standard deviation that is the bandwidth.
    """

    grid: np.ndarray
    values: np.ndarray
    density: np.ndarray
    sample: np.ndarray
    widen: float

    def at(self, places: np.ndarray) -> np.ndarray:
        """The score at ``places``; beyond the grid that of its nearer end."""
        return np.interp(places, self.grid, self.values)

    def influence(self, places: np.ndarray, load: np.ndarray) -> np.ndarray:
        """Influence values (n,) of sum_j load_j score(places_j), as a function of the sample's distribution.

        The exact derivative of the estimate by the mass of each observation: what it adds to the kernel sums, and what
        it does to the mean and the standard deviation on which the kernel's centres and width depend.
        """
        pushed = _spread_on(self.grid, places, load)
        mean, size = float(self.sample.mean()), float(self.sample.std())
        shrink = 1 / np.sqrt(1 + self.widen**2)
        step, h = float(self.grid[1] - self.grid[0]), self.widen * size
        ratio = np.where(self.density > LEAST, pushed / np.maximum(self.density, LEAST), 0.0)
        # Sum over g of C_g (K'(g - x) - score_g K(g - x)) / f_g: kernels turned round, K' being odd.
        own = -_smoothed(ratio, step, h, 1) - _smoothed(ratio * self.values, step, h, 0)
        moved = np.interp(mean + shrink * (self.sample - mean), self.grid, own)
        nudge = 1e-4 * size
        by_mean, by_size = (
            float(pushed @ (_values(self.grid, self.sample, mean + a, size + b, self.widen)[0]
                            - _values(self.grid, self.sample, mean - a, size - b, self.widen)[0])) / (2 * nudge)
            for a, b in ((nudge, 0.0), (0.0, nudge)))
        centred = self.sample - mean
        psi = moved + by_mean * centred + by_size * (centred**2 - size**2) / (2 * size)
        return psi - psi.mean()


def density_score(sample: np.ndarray) -> DensityScore:
    """The score of the density of ``sample`` (n,), by a Gaussian kernel of Scott's width, n^(-1/5) standard deviations.

    The observations are first drawn towards their mean so that the smoothed density has the sample's own variance
    (Jones 1991): of Gaussian data the score is then that of the fitted Gaussian on average, whatever the width.
    The sample must not be constant.
    """
    mean, size = float(sample.mean()), float(sample.std())
    widen = len(sample) ** -0.2
    low, high = float(sample.min()), float(sample.max())
    wanted = (high - low) / (STEP * widen * size)
    points = int(np.clip(wanted, FEWEST_POINTS, MOST_POINTS))
    grid = np.linspace(low - 0.5 * widen * size, high + 0.5 * widen * size, points)
    values, density = _values(grid, sample, mean, size, widen)
    return DensityScore(grid, values, density, sample, widen)


def _values(
    grid: np.ndarray, sample: np.ndarray, mean: float, size: float, widen: float
) -> tuple[np.ndarray, np.ndarray]:
    """Score and density on the grid, of kernels of width ``widen * size`` about the points drawn towards the mean."""
    centres = mean + (sample - mean) / np.sqrt(1 + widen**2)
    mass = _spread_on(grid, centres, np.full(len(sample), 1 / len(sample)))
    step, h = float(grid[1] - grid[0]), widen * size
    density = _smoothed(mass, step, h, 0)
    slope = _smoothed(mass, step, h, 1)
    return np.where(density > LEAST, slope / np.maximum(density, LEAST), 0.0), density


def _spread_on(grid: np.ndarray, places: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """``mass`` at ``places`` shared between the two nearest points of the grid (linear binning)."""
    step, last = grid[1] - grid[0], len(grid) - 1
    where = np.clip((places - grid[0]) / step, 0, last)
    left = np.minimum(where.astype(np.int64), last - 1)
    part = where - left
    return (np.bincount(left, mass * (1 - part), len(grid)) + np.bincount(left + 1, mass * part, len(grid)))


def _smoothed(mass: np.ndarray, step: float, h: float, derivative: int) -> np.ndarray:
    """Sum over points of mass times the Gaussian density of width h at the distance, or its derivative."""
    reach = min(int(np.ceil(REACH * h / step)), len(mass) - 1)
    distance = np.arange(-reach, reach + 1) * step / h
    kernel = np.exp(-(distance**2) / 2) / (np.sqrt(2 * np.pi) * h)
    if derivative:
        kernel = -distance / h * kernel
    return np.convolve(mass, kernel, mode="full")[reach : reach + len(mass)]
