"""Group-time effects where all units are seen in all periods: from what those that start together have in common."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

BLOCK = 4096  # units whose values stay in the processor's cache
ROUNDING = 1e-13  # part of the paths' squares below which those of a change are rounding


@dataclass(frozen=True)
class Cohorts:
    """Units by when they start.

    order: (units,), the units one start after the other. starts: (k,), the starts, and ends: (k + 1,), between which
    places in the order each of them lies. paths: (units, periods), outcomes less that of the first period, in the
    order. weights: (units,), mean 1, in the order, or None for equal ones. mass: (k,), sums of weights. means:
    (k, periods), mean paths.
    """

    order: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    paths: np.ndarray
    weights: np.ndarray | None
    mass: np.ndarray
    means: np.ndarray

    def part(self, k: int) -> slice:
        return slice(self.ends[k], self.ends[k + 1])


@dataclass(frozen=True)
class Changes:
    """Effects as differences of two mean changes.

    estimates, errors: (m,). turns: (periods, m), 1 in the later and -1 in the earlier period. scales, shifts: (k, m),
    by which a unit of start k with path y and weight w has the influence values
    units * w * (y @ turns * scales[k] + shifts[k]).
    """

    estimates: np.ndarray
    errors: np.ndarray
    turns: np.ndarray
    scales: np.ndarray
    shifts: np.ndarray


def cohorts(start: np.ndarray, outcome: np.ndarray, weights: np.ndarray | None) -> Cohorts:
    """start: int (units,). outcome: (units, periods). weights: (units,), mean 1, or None for equal ones."""
    order = np.argsort(start, kind="stable")
    sizes = np.bincount(start)
    starts = np.flatnonzero(sizes)
    ends = np.concatenate([[0], np.cumsum(sizes[starts])])
    paths = outcome[order]
    paths -= paths[:, :1].copy()
    own = None if weights is None else weights[order]
    ones = np.ones(len(order)) if own is None else own
    parts = [slice(a, b) for a, b in itertools.pairwise(ends)]
    mass = np.array([ones[part].sum() for part in parts])
    means = np.array([ones[part] @ paths[part] for part in parts]) / mass[:, None]
    return Cohorts(order, starts, ends, paths, own, mass, means)


def changes_of(
    made: Cohorts, own: np.ndarray, others: np.ndarray, time: np.ndarray, before: np.ndarray
) -> Changes:
    """The mean change of those that start together from ``before`` to ``time``, less that of others.

    own: (m,), places in ``made.starts``. others: boolean (k, m), the starts that are compared with; each column has
    some. time, before: (m,), periods. The errors are those of independent units: products of the paths by start give
    the sums of squares of all effects, without their values by unit.
    """
    m = np.arange(len(own))
    change = made.means[:, time] - made.means[:, before]
    share = others * made.mass[:, None]
    total = share.sum(axis=0)
    theirs = (share * change).sum(axis=0) / total
    estimates = change[own, m] - theirs
    scale = np.where(others, -1 / total, 0.0)
    scale[own, m] = 1 / made.mass[own]
    middle = np.where(others, theirs, 0.0)
    middle[own, m] = change[own, m]
    turns = np.zeros((made.paths.shape[1], len(own)))
    turns[time, m], turns[before, m] = 1.0, -1.0
    variance = np.zeros(len(own))
    for k in range(len(made.starts)):
        centred = made.paths[made.part(k)] - made.means[k]
        w = None if made.weights is None else made.weights[made.part(k)]
        scaled = centred if w is None else centred * w[:, None]
        squares, sums = scaled.T @ scaled, np.zeros(len(centred.T)) if w is None else w @ scaled
        off = change[k] - middle[k]
        most = squares[time, time] + squares[before, before]
        spread = most - 2 * squares[time, before]
        spread = np.where(spread > ROUNDING * most, spread, 0.0)
        spread += off * (2 * (sums[time] - sums[before]) + off * (len(centred) if w is None else w @ w))
        variance += scale[k] ** 2 * spread
    return Changes(estimates, np.sqrt(variance), turns, scale, -scale * middle)


def values_by_unit(
    made: Cohorts, found: Changes, mixture: np.ndarray, added: np.ndarray
) -> Iterator[tuple[slice, np.ndarray]]:
    """Influence values of combinations of the effects and of the starts' shares: places in the order of ``made``, a
    block of them after the other, and their values (block, j).

    mixture: (m, j), of the effects. added: (k, j), what each unit of a start adds times its weight, less the mean.
    """
    units = len(made.order)
    mean = made.mass @ added / units
    for k in range(len(made.starts)):
        loads = found.turns @ (units * found.scales[k][:, None] * mixture)
        fixed = units * (found.shifts[k] @ mixture) + added[k]
        for at in range(int(made.ends[k]), int(made.ends[k + 1]), BLOCK):
            part = slice(at, min(at + BLOCK, int(made.ends[k + 1])))
            values = made.paths[part] @ loads
            values += fixed
            if made.weights is not None:
                values *= made.weights[part][:, None]
            values -= mean
            yield part, values
