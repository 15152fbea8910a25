"""What group-time effects are made of: comparisons of two groups at two times, among units followed or rows sampled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from whence.estimation.adoption import Adoption
from whence.estimation.prepare import Prepared
from whence.estimation.starting import started, starts_in
from whence.stats.panel_change import Matched, match, sections

Effect = tuple[float, np.ndarray]


@dataclass(frozen=True)
class _Compared:
    """Units that were compared: those treated and all of them (booleans (units,)), who they are (k,), their controls
    (k, j), their outcomes (k, periods)."""

    treated: np.ndarray
    together: np.ndarray
    who: np.ndarray
    columns: np.ndarray
    paths: np.ndarray
    how: str
    matched: Matched


@dataclass(frozen=True)
class Cells:
    """Those who are compared: units followed over time, or single rows where each period has others.

    start: (who,), index of the period in which treatment starts, ``periods`` for never. when: (periods,), the times.
    weights: (who,), mean 1. compare: function of the treated, the others (booleans (who,)), a period, the one before
    it that it is set against, and how controls enter, to an effect and its influence values (who,), or None. on_rows:
    influence values (who, m) to those of the rows (n, m), whose sums by unit, or by clusters of units, give them back.
    paths: outcomes (who, periods) where all units are seen in all periods and there are no controls, else None.
    """

    start: np.ndarray
    when: np.ndarray
    weights: np.ndarray
    compare: Callable[[np.ndarray, np.ndarray, int, int, str], Effect | None]
    on_rows: Callable[[np.ndarray], np.ndarray]
    paths: np.ndarray | None = None


def panel_cells(data: Prepared, found: Adoption, controls: np.ndarray) -> Cells:
    """Changes of units between two periods, of their means where they have several rows; controls (n, k) are those of
    the earlier period. Where a comparison is of the same units with the same controls as the one before, what the
    controls say is not worked out again."""
    rows = found.seen.sum(axis=1)
    there = found.seen > 0
    always = bool(there.all())
    start, outcome, weights = starts_in(found), _by_cell(data, found, data.outcome), np.ones(len(rows))
    if data.weights is not None:
        weights = np.bincount(found.unit, weights=data.weights) / rows
        weights = weights / weights.mean()
    held = [_by_cell(data, found, column) for column in controls.T]
    steady = all(bool((c == c[:, :1]).all()) for c in held)
    last: list[_Compared] = []

    def pair(treated: np.ndarray, other: np.ndarray, t: int, before: int, how: str) -> _Compared | None:
        together, same = treated | other, False
        if not always:
            together &= there[:, t] & there[:, before]
        if last and how == last[0].how:
            same = np.array_equal(last[0].together, together) and np.array_equal(last[0].treated, treated)
        if same and steady:
            return last[0]
        who = last[0].who if same else np.flatnonzero(together)
        columns = np.column_stack([c[who, min(t, before)] for c in held]) if held else np.zeros((len(who), 0))
        if same and np.array_equal(last[0].columns, columns):
            return last[0]
        made = match(treated[who], columns, weights[who] / weights[who].mean(), how) if len(who) else None
        if made is None:
            return None
        last[:] = [_Compared(treated, together, who, columns, last[0].paths if same else outcome[who], how, made)]
        return last[0]

    def compare(treated: np.ndarray, other: np.ndarray, t: int, before: int, how: str) -> Effect | None:
        made = pair(treated, other, t, before, how)
        if made is None:
            return None
        effect, psi = made.matched.effect(made.paths[:, t] - made.paths[:, before])
        return effect, _placed(psi, made.who, len(rows))

    def on_rows(influence: np.ndarray) -> np.ndarray:
        share = (data.n / len(rows) / rows)[:, None] * influence
        return share[found.unit]

    return Cells(start, found.when, weights, compare, on_rows, outcome if always and not held else None)


def _by_cell(data: Prepared, found: Adoption, values: np.ndarray) -> np.ndarray:
    """Weighted means (units, periods) of ``values`` (n,), zero where nothing is seen."""
    shape = found.seen.shape
    if found.in_order:
        return values.reshape(shape)
    place = found.unit * shape[1] + found.period
    mass = np.bincount(place, weights=data.weights, minlength=shape[0] * shape[1])
    sums = np.bincount(place, weights=data.w * values, minlength=len(mass))
    return (sums / np.where(mass > 0, mass, 1.0)).reshape(shape)


def section_cells(data: Prepared, found: Adoption, controls: np.ndarray) -> Cells:
    """Means of rows in both periods; every row has its own controls (n, k)."""
    weights = data.w

    def compare(treated: np.ndarray, other: np.ndarray, t: int, before: int, how: str) -> Effect | None:
        who = np.flatnonzero((treated | other) & ((found.period == t) | (found.period == before)))
        if not len(who):
            return None
        made = sections(data.outcome[who], treated[who], found.period[who] == t, controls[who],
                        weights[who] / weights[who].mean(), how)
        return None if made is None else (made[0], _placed(made[1], who, data.n))

    return Cells(started(found), found.when, weights, compare, lambda influence: influence)


def _placed(values: np.ndarray, who: np.ndarray, total: int) -> np.ndarray:
    """Influence values of a part, as those of all (total,)."""
    out = np.zeros(total)
    out[who] = values * (total / len(who))
    return out
