"""What a two-way fixed-effects regression averages when treatment starts at different times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Comparison:
    """One two-by-two comparison: units that start at ``starts`` against units that start at ``against`` (inf: never;
    minus inf: treated all the time). forbidden: the others are already treated then."""

    starts: float
    against: float
    weight: float
    estimate: float
    forbidden: bool


def negative_share(treatment: np.ndarray, status: np.ndarray, weights: np.ndarray) -> float:
    """Share of the weight on treated rows that is negative (de Chaisemartin and D'Haultfoeuille 2020, theorem 1).

    treatment: (n,), the status less unit and period effects. status: (n,), 0 or 1. weights: (n,).
    """
    each = weights * treatment * (status == 1)
    return float(-each[each < 0].sum() / np.abs(each).sum())


def bacon(
    outcome: np.ndarray, unit: np.ndarray, period: np.ndarray, first: np.ndarray, time: np.ndarray
) -> list[Comparison] | None:
    """Goodman-Bacon (2021), theorem 1: the two-way estimate is the sum of ``weight * estimate``.

    For balanced panels, each unit once in each period; None for others. first: (n,), time at which the row's unit
    starts. time: (n,).
    """
    units, periods = int(unit.max()) + 1, int(period.max()) + 1
    if len(outcome) != units * periods:
        return None
    place = unit * periods + period
    if not (place[1:] > place[:-1]).all():
        order = np.full(len(place), -1)
        order[place] = np.arange(len(place))
        if order.min() < 0:
            return None
        outcome = outcome[order]
    y, when, start = outcome.reshape(units, periods), np.empty(periods), np.empty(units)
    when[period], start[unit] = time, first
    start[start <= when[0]] = -np.inf
    cohorts = np.unique(start)
    paths = {g: y[start == g].mean(axis=0) for g in cohorts}
    share = {g: float((start == g).mean()) for g in cohorts}
    treated = {g: float((when >= g).mean()) for g in cohorts}
    found = []
    for g in cohorts[np.isfinite(cohorts)]:
        for other in cohorts[cohorts != g]:
            found += [_pair(float(g), float(other), paths, share, treated, when)]
    total = sum(c.weight for c in found)
    return [Comparison(c.starts, c.against, c.weight / total, c.estimate, c.forbidden) for c in found]


def _pair(
    g: float, other: float, paths: dict[float, np.ndarray], share: dict[float, float], treated: dict[float, float],
    when: np.ndarray,
) -> Comparison:
    """Units that start at ``g`` against ``other``, while the others' treatment does not change."""
    later = other > g
    inside = (when < other) if later else (when >= other)
    window = float(inside.mean())
    after, before = inside & (when >= g), inside & (when < g)
    gap = paths[g] - paths[other]
    own = (treated[g] - (treated[other] if later else 0.0)) / window
    weight = share[g] * share[other] * window**2 * own * (1 - own)
    return Comparison(g, other, weight, float(gap[after].mean() - gap[before].mean()), not later)
