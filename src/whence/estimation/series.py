"""One series before and after a start: rows read as periods, the calendar, seasons and controls as columns."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.errors import WhenceError
from whence.core.result import Refused, Remark
from whence.estimation.adoption import times
from whence.estimation.prepare import Prepared
from whence.estimation.treatment import Treatment, canonical
from whence.identification.spec import Contrast
from whence.stats.features import independent, level_codes, plain

FEWEST_BEFORE = 8  # periods; with fewer neither the trend nor the autocorrelation can be told
UNEVEN = 0.35  # how far from whole steps the times may lie, in steps (months differ by less)
# Days between the rows, at least and at most, and the length of the season that such rows may have.
CALENDAR = ((0.99, 1.01, 7), (27.0, 32.0, 12), (89.0, 93.0, 4))
WHOLE_SEASONS = 3  # before the start, for the season of a calendar to be assumed


@dataclass(frozen=True)
class Series:
    """data: the rows kept. position: whole periods since the first, (T,), ascending, gaps allowed. times: as shown.
    outcome: (T,), the mean of the rows of a period. controls: (T, c), likewise, with their labels. code: (n,), the
    period of each row. start: index of the first treated period. days: between periods, where the times are dates."""

    data: Prepared
    position: np.ndarray
    times: tuple[str, ...]
    outcome: np.ndarray
    controls: np.ndarray
    labels: tuple[str, ...]
    code: np.ndarray
    start: int
    days: float | None

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Numbers of the periods (T, m) shared among their rows (n, m), so that the sums of their products stay."""
        size = np.bincount(self.code)
        return values[self.code] / np.sqrt(size)[self.code][:, None]


def read_series(data: Prepared) -> tuple[Series, tuple[Remark, ...]] | Refused:
    """Rows as one series; several rows of a period are averaged, with a remark.

    Refused: ``not_a_start`` (treatment is not off and then on), ``treatment_switches``, ``start_unknown``,
    ``comparison_available`` (in some periods some are treated and others not), ``too_few_periods``. Raises
    ``WhenceError`` (``missing_role``) without time.
    """
    spec = data.spec
    if spec.time is None:
        raise WhenceError("An interrupted series needs to know the time.", code="missing_role", value="time",
                          hint="Name the column with time=....")
    if len(data.treatment.arms) != 2:
        return Refused("not_a_start", f"{data.treatment.name!r} is not a treatment that is off and then on.",
                       {"values": len(np.unique(data.treatment.values))},
                       "Give a column that is 0 before the start and 1 from then on.")
    data, unclustered = _unclustered(_in_order_of_time(data))
    kept = _treated_units(data)
    if isinstance(kept, Refused):
        return kept
    data, remarks = kept
    remarks += unclustered
    time = times(data.table.column(spec.time), data.rows)
    when, first, code = np.unique(time, return_index=True, return_inverse=True)
    status = _status(data, code)
    if isinstance(status, Refused):
        return status
    start = int(np.argmax(status))
    if start < FEWEST_BEFORE:
        return Refused("too_few_periods", f"There are {start} periods before the start; at least {FEWEST_BEFORE} are "
                       "needed to know how the series moves by itself.", {"before": start, "needed": FEWEST_BEFORE},
                       "Include earlier periods, or compare with units that were not treated (strategy='did').")
    position, uneven = positions(when)
    column = data.table.column(spec.time)
    size = np.bincount(code, data.w)
    made = data.features()
    matrix = np.zeros((data.n, 0)) if isinstance(made, Refused) or not spec.controls else made.matrix
    if isinstance(made, Refused):
        return made
    series = Series(
        data, position, tuple(column.shown(int(data.rows[i])).partition("T00:00:00")[0] for i in first),
        np.bincount(code, data.w * data.outcome) / size,
        np.column_stack([np.zeros((len(when), 0)), *(np.bincount(code, data.w * c) / size for c in matrix.T)]),
        tuple(made.labels) if matrix.shape[1] else (), code, start,
        float(np.median(np.diff(when))) if column.kind == "datetime" else None)
    return series, (*remarks, *_said(series, uneven))


def _in_order_of_time(data: Prepared) -> Prepared:
    """Words such as before and after, of which nothing says which is treatment: what all have first is not."""
    t, contrast = data.treatment, data.spec.contrast
    if contrast not in (None, Contrast()) or any(not isinstance(canonical(arm), str) for arm in t.arms):
        return data
    time = times(data.table.column(str(data.spec.time)), data.rows)
    if not (t.codes[time == time.min()] == 1).all():
        return data
    swapped = Treatment(t.name, t.arms[::-1], 1 - t.codes, 1.0 - t.values)
    said = Remark("contrast_chosen", f"{t.name}: {t.arms[0]} is compared with {t.arms[1]}, which came first.",
                  (t.name,), {"treated": t.arms[0], "control": t.arms[1]})
    others = tuple(r for r in data.remarks if r.code != "contrast_chosen")
    return dataclasses.replace(data, treatment=swapped, remarks=(*others, said))


def _unclustered(data: Prepared) -> tuple[Prepared, tuple[Remark, ...]]:
    """Without clusters: the periods of one series depend on each other in time, which the methods allow for."""
    if data.clusters is None:
        return data, ()
    remarks = tuple(r for r in data.remarks if r.code not in ("clustered_by_unit", "few_clusters"))
    said = Remark("cluster_not_used", f"Errors are those of one series over time, not clustered by "
                  f"{data.spec.cluster}.", (str(data.spec.cluster),))
    return dataclasses.replace(data, clusters=None, spec=data.spec.replace(cluster=None), remarks=remarks), (said,)


def _treated_units(data: Prepared) -> tuple[Prepared, tuple[Remark, ...]] | Refused:
    """Without the units that are never treated: a series is its own comparison."""
    if data.spec.unit is None:
        return data, ()
    unit = np.unique(level_codes(data.table.column(data.spec.unit), data.rows)[0], return_inverse=True)[1]
    ever = np.bincount(unit, data.treatment.codes) > 0
    if ever.all():
        return data, ()
    said = Remark("never_treated_left_out", f"{(~ever).sum():,} units that are never treated are left out: an "
                  "interrupted series is compared with itself. strategy='did' or 'synthetic_control' would use them.",
                  (data.spec.unit,), {"left_out": int((~ever).sum()), "used": int(ever.sum())})
    return data.take(ever[unit]), (said,)


def _status(data: Prepared, code: np.ndarray) -> np.ndarray | Refused:
    """Whether treatment is on, by period (T,)."""
    name = data.treatment.name
    share = np.bincount(code, data.treatment.codes) / np.bincount(code)
    mixed = int(((share > 0) & (share < 1)).sum())
    if mixed:
        return Refused("comparison_available", f"In {mixed} of {len(share)} periods some rows have {name!r} and others "
                       "not, so treatment does not start at one time for all.", {"periods": mixed},
                       "Compare those treated with those not yet treated: strategy='did'.")
    if share.min() == share.max():  # every unit that is left has it in every period, or in none
        return Refused("start_unknown", f"{name!r} is the same in all periods, so it does not say when it started.",
                       {"column": name}, "Give a column that is 0 before the start and 1 from then on.")
    if (np.diff(share) < 0).any():
        return Refused("treatment_switches", f"{name!r} does not start once and stay.",
                       {"changes": int((np.diff(share) != 0).sum())},
                       "Restrict the population to the times around one start.")
    return share


def positions(when: np.ndarray) -> tuple[np.ndarray, bool]:
    """Whole periods since the first time (T,), and whether the times were too uneven for that: then their ranks."""
    steps = np.diff(when)
    counted = steps / np.median(steps)
    whole = np.round(counted)
    if (whole < 1).any() or (np.abs(counted - whole) > UNEVEN * np.maximum(1.0, whole / 4)).any():
        return np.arange(len(when)), True
    return np.append(0, np.cumsum(whole)).astype(np.int64), False


def _said(series: Series, uneven: bool) -> list[Remark]:
    remarks, time = [], str(series.data.spec.time)
    rows, periods = series.data.n, len(series.position)
    if rows > periods:
        remarks.append(Remark("averaged", f"{rows:,} rows are averaged to {periods:,} periods.", (time,),
                              {"rows": rows, "periods": periods}))
    gaps = int(series.position[-1]) + 1 - periods
    if gaps:
        remarks.append(Remark("periods_missing", f"{gaps:,} periods between the first and the last have no row; the "
                              "distance across them is allowed for.", (time,), {"missing": gaps}))
    if uneven:
        remarks.append(Remark("uneven_times", f"The values of {time} are not evenly apart; they are taken in order, as "
                              "if they were.", (time,)))
    return remarks


def seasonal(series: Series, season: int | None, harmonics: int) -> tuple[np.ndarray, int | None]:
    """Waves of the season as columns (T, q), and its length: the one given, or that of the calendar, or None."""
    if season is None:
        season = _calendar(series)
    if season is None or season < 2:
        return np.zeros((len(series.position), 0)), None
    angle = 2 * np.pi * series.position / season
    columns = []
    for k in range(1, min(harmonics, season // 2) + 1):
        columns.append(np.cos(k * angle))
        if 2 * k < season:
            columns.append(np.sin(k * angle))
    return np.column_stack(columns), season


def _calendar(series: Series) -> int | None:
    if series.days is None:
        return None
    for low, high, season in CALENDAR:
        if low <= series.days <= high and series.start >= WHOLE_SEASONS * season:
            return season
    return None


def without_copies(base: np.ndarray, more: np.ndarray, labels: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The columns of ``more`` that base (with its constant) and those before do not already give, and the labels of the
    columns dropped."""
    spread = more - more.mean(axis=0)
    length = np.sqrt((spread**2).sum(axis=0))
    scaled = spread / np.where(length > 0, length, 1.0)
    others = base[:, np.ptp(base, axis=0) > 0]
    kept = independent(np.column_stack([others - others.mean(axis=0), scaled]))[others.shape[1]:]
    return more[:, kept], tuple(label for label, keep in zip(labels, kept, strict=True) if not keep)


def shape(series: Series) -> dict[str, Any]:
    """What every analysis of a series tells about it."""
    return {"times": list(series.times), "start": series.start, "periods_before": series.start,
            "periods_after": len(series.position) - series.start, "outcome": series.outcome.tolist(),
            "time": str(series.data.spec.time), "first_treated": plain(series.times[series.start])}
