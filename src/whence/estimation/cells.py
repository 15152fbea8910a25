"""What group-time effects are made of: comparisons of two groups at two times, among units followed or rows sampled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from whence.estimation.adoption import Adoption
from whence.estimation.prepare import Prepared
from whence.estimation.starting import started
from whence.stats.panel_change import changes, sections

Compared = tuple[float, np.ndarray]


@dataclass(frozen=True)
class Cells:
    """Those who are compared: units followed over time, or single rows where each period has others.

    start: (who,), index of the period in which treatment starts, ``periods`` for never. when: (periods,), the times.
    weights: (who,), mean 1. compare: function of the treated, the others (booleans (who,)), a period, the one before
    it that it is set against, and how controls enter, to an effect and its influence values (who,), or None. on_rows:
    influence values (who, m) to those of the rows (n, m), whose sums by unit, or by clusters of units, give them back.
    """

    start: np.ndarray
    when: np.ndarray
    weights: np.ndarray
    compare: Callable[[np.ndarray, np.ndarray, int, int, str], Compared | None]
    on_rows: Callable[[np.ndarray], np.ndarray]


def panel_cells(data: Prepared, found: Adoption, controls: np.ndarray) -> Cells:
    """Changes of units between two periods, of their means where they have several rows; controls (n, k) are those of
    the earlier period."""
    units, periods = int(found.unit.max()) + 1, int(found.period.max()) + 1
    when, place = np.unique(found.time), found.unit * periods + found.period
    mass = np.bincount(place, weights=data.w, minlength=units * periods)
    there = (mass > 0).reshape(units, periods)
    per = np.where(mass > 0, mass, 1.0)

    def mean(values: np.ndarray) -> np.ndarray:
        return (np.bincount(place, weights=data.w * values, minlength=units * periods) / per).reshape(units, periods)

    outcome, given = mean(data.outcome), [mean(column) for column in controls.T]
    start = np.full(units, periods)
    start[found.unit] = started(found, when)
    total = np.bincount(found.unit, weights=data.w, minlength=units) / np.bincount(found.unit, minlength=units)
    weights = total / total.mean()

    def compare(treated: np.ndarray, other: np.ndarray, t: int, before: int, how: str) -> Compared | None:
        who = np.flatnonzero((treated | other) & there[:, t] & there[:, before])
        if not len(who):
            return None
        own, earlier = weights[who], min(t, before)
        columns = np.column_stack([c[who, earlier] for c in given]) if given else np.zeros((len(who), 0))
        made = changes(outcome[who, t] - outcome[who, before], treated[who], columns, own / own.mean(), how)
        return None if made is None else (made[0], _placed(made[1], who, units))

    share = (data.n / units / np.bincount(found.unit))[:, None]
    return Cells(start, when, weights, compare, lambda influence: (influence * share)[found.unit])


def section_cells(data: Prepared, found: Adoption, controls: np.ndarray) -> Cells:
    """Means of rows in both periods; every row has its own controls (n, k)."""
    when, weights = np.unique(found.time), data.w

    def compare(treated: np.ndarray, other: np.ndarray, t: int, before: int, how: str) -> Compared | None:
        who = np.flatnonzero((treated | other) & ((found.period == t) | (found.period == before)))
        if not len(who):
            return None
        made = sections(data.outcome[who], treated[who], found.period[who] == t, controls[who],
                        weights[who] / weights[who].mean(), how)
        return None if made is None else (made[0], _placed(made[1], who, data.n))

    return Cells(started(found, when), when, weights, compare, lambda influence: influence)


def _placed(values: np.ndarray, who: np.ndarray, total: int) -> np.ndarray:
    """Influence values of a part, as those of all (total,)."""
    out = np.zeros(total)
    out[who] = values * (total / len(who))
    return out
