"""The cutoff of a discontinuity: where the treatment jumps along the running variable."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from whence.core.result import Refused
from whence.core.rng import generator
from whence.stats.jump_bandwidth import Side, jump_bandwidths
from whence.stats.local_polynomial import boundary_weights, kernel_weights, neighbour_residuals

CLEAR = 5.0  # standard errors that a jump needs to be taken for the rule; hundreds of places are looked at
SMALLEST = 0.1  # jump, in standard deviations of the treatment times two (a share, for treated and untreated)
FEWEST = 10  # rows on a side
CONFIRMED = 0.05  # p-value of the jump in rows that were not searched, above which they do not confirm it


@dataclass(frozen=True)
class Cutoff:
    """value: of the running variable. right: boolean (n,), the rows on or above it (above it only, where the treatment
    says that rows at the cutoff belong below). sharp: whether the side decides the treatment. found: not given but seen
    in the data. between: the values of the data next to it. evidence: how strongly the data show it, where found."""

    value: float
    right: np.ndarray
    sharp: bool
    found: bool
    between: tuple[float, float]
    evidence: Mapping[str, Any] = field(default_factory=dict)


def given_cutoff(x: np.ndarray, treatment: np.ndarray, value: float) -> Cutoff:
    """The sides of a cutoff that is known; x, treatment: (n,)."""
    right = x >= value
    sharp = decided(treatment, right)
    if not sharp and decided(treatment, x > value):
        right, sharp = x > value, True
    return Cutoff(value, right, sharp, False, _next_to(x, right))


def decided(treatment: np.ndarray, right: np.ndarray) -> bool:
    """Whether each side has one treatment value, and not the same."""
    if right.all() or not right.any():
        return False
    a, b = treatment[right], treatment[~right]
    return bool((a == a[0]).all() and (b == b[0]).all() and a[0] != b[0])


def find_cutoff(x: np.ndarray, treatment: np.ndarray, name: str, seed: int = 0) -> Cutoff | Refused:
    """Where the treatment jumps; x, treatment: (n,). name: of the running variable. seed: of the halves.

    A treatment that one threshold decides has that threshold, put on the roundest number of the gap. Otherwise the
    jump of the treatment's mean is looked for at every place, each side carried to it by its two nearest
    neighbourhoods, and the clearest is taken when it is ``CLEAR`` standard errors and not small. The evidence says
    whether the place that one half of the rows shows is a jump in the other half too, which was not searched: a curve
    that is only steep is none there. Refused: ``cutoff_not_found``.
    """
    order = np.argsort(x, kind="stable")
    x_sorted, t_sorted = x[order], treatment[order]
    changes = np.flatnonzero(t_sorted[1:] != t_sorted[:-1]) + 1
    if len(changes) == 1 and x_sorted[changes[0]] > x_sorted[changes[0] - 1]:
        return _at(x, treatment, x_sorted, int(changes[0]), {"by": "order", "p_value": _by_chance(len(x), changes[0])})
    places = np.flatnonzero(np.diff(x_sorted) > 0) + 1
    best = _clearest(t_sorted, places, max(FEWEST, len(x) // 12))
    spread = float(np.std(treatment))
    if best is None or abs(best[1]) < CLEAR * best[2] or abs(best[1]) < 2 * SMALLEST * spread:
        jump = None if best is None else best[1]
        return Refused(
            "cutoff_not_found", f"The treatment does not jump clearly anywhere along {name!r}, so the data do not show "
            "the cutoff.", {"largest_jump": jump, "near": None if best is None else float(x_sorted[best[0]])},
            "Give the cutoff (cutoff=...), if the rule is known.",
        )
    halves = _halves(x_sorted, t_sorted, seed)
    p_value = min(1.0, 2 * float(np.mean([h["p_value"] for h in halves]))) if halves else 1.0
    evidence = {"by": "halves", "p_value": p_value, "places": len(places), "jump": best[1], "halves": halves}
    return _at(x, treatment, x_sorted, best[0], evidence)


def _by_chance(n: int, below: int) -> float:
    """The chance that rows in random order have all their treated on one side: two orders of all choices."""
    from math import lgamma

    return min(1.0, 2 * math.exp(lgamma(below + 1) + lgamma(n - below + 1) - lgamma(n + 1)))


def _halves(x: np.ndarray, t: np.ndarray, seed: int) -> list[dict[str, float]]:
    """The place that each half of the rows shows, and the jump of the other half there; x ascending. Twice the mean of
    the two p-values is one (Vovk and Wang 2020, Combining p-values via averaging, Biometrika 107)."""
    first = generator(seed, "halves of the search for a cutoff").random(len(x)) < 0.5
    found = []
    for half in (first, ~first):
        places = np.flatnonzero(np.diff(x[half]) > 0) + 1
        best = _clearest(t[half], places, max(FEWEST, int(half.sum()) // 12))
        if best is None:
            return []
        value = float(x[half][best[0] - 1] + x[half][best[0]]) / 2
        jump, p_value = _jump_at(x[~half] - value, t[~half])
        found.append({"found_at": value, "jump_of_the_other": jump, "p_value": p_value})
    return found


def _jump_at(x: np.ndarray, t: np.ndarray) -> tuple[float, float]:
    """The jump at zero and its p-value, robust and corrected for bias; (0, 1) where it cannot be said. x ascending."""
    from scipy.special import ndtr

    s = int(np.searchsorted(x, 0.0))
    sides = [Side(part, values, np.ones(len(part))) for part, values in ((x[:s], t[:s]), (x[s:], t[s:]))]
    if min(len(np.unique(side.x)) for side in sides) < FEWEST:
        return _difference(sides)
    h = jump_bandwidths(sides[0], sides[1])[0]
    jump = total = 0.0
    for side, sign in zip(sides, (-1.0, 1.0), strict=True):
        near = side.x[np.argsort(np.abs(side.x), kind="stable")[min(2 * FEWEST, len(side.x)) - 1]]
        w = kernel_weights(side.x, max(h if np.isfinite(h) else 0.0, abs(float(near))), "triangular")
        line = boundary_weights(side.x, w, w, 1)[1]
        if not np.isfinite(line).all():
            return 0.0, 1.0
        jump += sign * float(line @ side.outcome)
        rest = line[w > 0] * neighbour_residuals(side.x[w > 0], side.outcome[w > 0])
        # Where all near rows have one treatment, what another row would add is not seen: a row counts as half of one.
        total += max(float(rest @ rest), float(line @ line) * 0.25 / len(w[w > 0]))
    return jump, 2 * float(ndtr(-abs(jump) / math.sqrt(total))) if total > 0 else 1.0


def _difference(sides: list[Side]) -> tuple[float, float]:
    """For a running variable of few values: the difference of the means at the nearest value of each side."""
    from scipy.special import ndtr

    means, total = [], 0.0
    for side in sides:
        if not len(side.x):
            return 0.0, 1.0
        near = side.outcome[np.abs(side.x) <= np.abs(side.x).min()]
        means.append(float(near.mean()))
        total += (float(near.var()) + 0.25 / len(near)) / len(near)
    gap = means[1] - means[0]
    return gap, 2 * float(ndtr(-abs(gap) / math.sqrt(total)))


def _clearest(t: np.ndarray, places: np.ndarray, k: int) -> tuple[int, float, float] | None:
    """Place, jump and its standard error; each side is carried to the place by the means of its 2 x k nearest rows."""
    places = places[(places >= 2 * k) & (places <= len(t) - 2 * k)]
    if not len(places):
        return None
    total, square = (np.concatenate([[0.0], np.cumsum(v)]) for v in (t, t * t))

    def mean(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        m = (total[high] - total[low]) / (high - low)
        return m, (square[high] - square[low]) / (high - low) - m * m

    sides = []
    for step in (-k, k):
        near, a = mean(np.minimum(places, places + step), np.maximum(places, places + step))
        far, b = mean(np.minimum(places + step, places + 2 * step), np.maximum(places + step, places + 2 * step))
        sides.append((1.5 * near - 0.5 * far, (2.25 * a + 0.25 * b) / k))
    jump = sides[1][0] - sides[0][0]
    error = np.sqrt(np.maximum(sides[0][1] + sides[1][1], float(np.var(t)) / (4 * k * k)))
    i = int(np.argmax(np.abs(jump) / error))
    return int(places[i]), float(jump[i]), float(error[i])


def _at(
    x: np.ndarray, treatment: np.ndarray, x_sorted: np.ndarray, place: int, evidence: Mapping[str, Any]
) -> Cutoff:
    below, above = float(x_sorted[place - 1]), float(x_sorted[place])
    right = x >= above
    return Cutoff(roundest(below, above), right, decided(treatment, right), True, (below, above), evidence)


def _next_to(x: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    return (float(x[~right].max(initial=-math.inf)), float(x[right].min(initial=math.inf)))


def roundest(below: float, above: float) -> float:
    """The number with the fewest digits that is greater than ``below`` and at most ``above``."""
    if below < 0 <= above:
        return 0.0
    digits = math.ceil(math.log10(max(abs(below), abs(above))))
    for place in range(digits, digits - 18, -1):
        unit = 10.0**place
        value = round(math.floor(above / unit) * unit, max(0, -place))
        if below < value <= above:
            return value
    return above
