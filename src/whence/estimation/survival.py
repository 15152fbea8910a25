"""Mean time until an event, up to a horizon: the area under Kaplan and Meier's curve, and doubly robust scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.stats.cox import Cox, cox

MOST_TIMES = 400  # at which a fitted curve of survival may fall; finer changes nothing that a first-order error sees
MOST_CELLS = 4_000_000  # numbers of a chunk of rows by times


@dataclass(frozen=True)
class Durations:
    """time: float (n,). event: boolean (n,). horizon: until when times count. weights: (n,)."""

    time: np.ndarray
    event: np.ndarray
    horizon: float
    weights: np.ndarray


def kaplan_meier_area(d: Durations, inside: np.ndarray) -> tuple[float, np.ndarray]:
    """Area under Kaplan and Meier's curve of the rows ``inside`` (boolean (n,)) up to the horizon, and its derivatives
    (n,) by the rows' weights, times the sum of these weights.

    The sum of squares of the derivatives, over the squared number of rows, is Greenwood's variance of the area.
    """
    time, event, w = d.time[inside], d.event[inside] & (d.time[inside] <= d.horizon), d.weights[inside]
    times, place = np.unique(np.minimum(time, d.horizon), return_inverse=True)
    k = len(times)
    happened = np.bincount(place, w * event, k)
    at_risk = np.cumsum(np.bincount(place, w, k)[::-1])[::-1]
    left = at_risk - happened
    left[left < 1e-12 * at_risk] = 0.0
    survival = np.cumprod(left / at_risk)
    ends = np.append(times, d.horizon)
    pieces = survival * np.diff(ends)
    area = float(times[0] + pieces.sum())
    after = np.cumsum(pieces[::-1])[::-1]  # area to the right of each time
    rate = np.divide(after, left, out=np.zeros(k), where=left > 0)
    moved = np.zeros(len(d.time))
    moved[inside] = -(event * rate[place] - np.cumsum(rate * happened / at_risk)[place]) * w.sum()
    return area, moved


@dataclass(frozen=True)
class Curves:
    """One arm's fits: of the event, and of being cut off, by Cox regression."""

    event: Cox
    cut_off: Cox

    @staticmethod
    def of(x: np.ndarray, d: Durations, train: np.ndarray) -> Curves:
        """Fits on the rows in ``train`` (boolean (n,))."""
        time, event, w = d.time[train], d.event[train], d.weights[train]
        return Curves(cox(x[train], time, event, w), cox(x[train], time, ~event, w))


def scores(curves: Curves, x: np.ndarray, d: Durations, rows: np.ndarray, lowest: float
           ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of ``rows`` (int (m,)): the mean time that the fit predicts, what a row's own time adds to it, and the chance of
    still being observed at the horizon; (m,) each.

    With S and G the fitted chances that the event has not happened and that nothing was cut off, h the hazard of S and
    R(u) its area from u to the horizon, the addition of a row is (Westling, Luedtke, Gilbert and Carone 2024, theorem
    2, integrated over time)

        -( event R(Y) / (S(Y) G(Y-)) - sum over u <= Y of R(u) h(u) / (S(u) G(u-)) ),  Y up to the horizon,

    whose mean is zero, given x, at the true S, and corrects a wrong one at the true G.
    """
    mean, added, last = (np.empty(len(rows)) for _ in range(3))
    grid = _grid(curves.event.times, d.horizon)
    size = max(MOST_CELLS // (len(grid) + 1), 1)
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        mean[part], added[part], last[part] = _chunk(curves, x[rows[part]], d, rows[part], grid, lowest)
    return mean, added, last


def _grid(times: np.ndarray, horizon: float) -> np.ndarray:
    """The times up to the horizon at which the fitted curve falls; of many, every so many."""
    times = times[times <= horizon]
    if len(times) <= MOST_TIMES:
        return times
    return times[np.linspace(0, len(times) - 1, MOST_TIMES).round().astype(int)]


def _chunk(curves: Curves, x: np.ndarray, d: Durations, rows: np.ndarray, grid: np.ndarray, lowest: float
           ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    own, cut = curves.event.risk(x)[:, None], curves.cut_off.risk(x)[:, None]
    time, event = np.minimum(d.time[rows], d.horizon), d.event[rows] & (d.time[rows] <= d.horizon)
    heights = np.exp(-np.append(0.0, curves.event.baseline(grid)) * own)  # (m, k + 1), from time 0 on
    heights = np.maximum(heights, 1e-12)
    starts = np.append(0.0, grid)
    widths = np.diff(np.append(starts, d.horizon))
    after = np.cumsum((heights * widths)[:, ::-1], axis=1)[:, ::-1]  # area from each start on
    observed = np.maximum(np.exp(-curves.cut_off.baseline(grid, before=True) * cut), lowest)
    hazard = 1 - heights[:, 1:] / heights[:, :-1]
    expected = np.cumsum(after[:, 1:] * hazard / (heights[:, 1:] * observed), axis=1)
    place = np.searchsorted(grid, time, side="right")  # falls up to the row's time
    k = np.arange(len(rows))
    rest = after[k, place] - heights[k, place] * (time - starts[place])
    until = np.maximum(np.exp(-curves.cut_off.baseline(time, before=True) * cut[:, 0]), lowest)
    seen = np.where(event, rest / (heights[k, place] * until), 0.0)
    awaited = np.where(place > 0, expected[k, np.maximum(place - 1, 0)], 0.0) if len(grid) else np.zeros(len(rows))
    last = np.exp(-curves.cut_off.baseline(np.array(d.horizon), before=True) * cut[:, 0])
    return after[:, 0], awaited - seen, last
