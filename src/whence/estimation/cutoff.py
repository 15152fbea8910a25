"""The cutoff of a discontinuity: where the treatment jumps along the running variable."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from whence.core.result import Refused

CLEAR = 5.0  # standard errors that a jump needs to be taken for the rule; hundreds of places are looked at
SMALLEST = 0.1  # jump, in standard deviations of the treatment times two (a share, for treated and untreated)
FEWEST = 10  # rows on a side


@dataclass(frozen=True)
class Cutoff:
    """value: of the running variable. right: boolean (n,), the rows on or above it (above it only, where the treatment
    says that rows at the cutoff belong below). sharp: whether the side decides the treatment. found: not given but seen
    in the data. between: the values of the data next to it."""

    value: float
    right: np.ndarray
    sharp: bool
    found: bool
    between: tuple[float, float]


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


def find_cutoff(x: np.ndarray, treatment: np.ndarray, name: str) -> Cutoff | Refused:
    """Where the treatment jumps; x, treatment: (n,). name: of the running variable.

    A treatment that one threshold decides has that threshold, put on the roundest number of the gap. Otherwise the
    jump of the treatment's mean is looked for at every place, each side carried to it by its two nearest
    neighbourhoods, and the clearest is taken when it is ``CLEAR`` standard errors and not small.
    Refused: ``cutoff_not_found``.
    """
    order = np.argsort(x, kind="stable")
    x_sorted, t_sorted = x[order], treatment[order]
    changes = np.flatnonzero(t_sorted[1:] != t_sorted[:-1]) + 1
    if len(changes) == 1 and x_sorted[changes[0]] > x_sorted[changes[0] - 1]:
        return _at(x, treatment, x_sorted, int(changes[0]))
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
    return _at(x, treatment, x_sorted, best[0])


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


def _at(x: np.ndarray, treatment: np.ndarray, x_sorted: np.ndarray, place: int) -> Cutoff:
    below, above = float(x_sorted[place - 1]), float(x_sorted[place])
    right = x >= above
    return Cutoff(roundest(below, above), right, decided(treatment, right), True, (below, above))


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
