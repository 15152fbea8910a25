"""When each unit's treatment starts: read from a treated-now status, an ever-treated flag or a date of adoption."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from whence.core.errors import WhenceError
from whence.core.result import Refused, Remark
from whence.data.table import CODED, NUMERIC, Column
from whence.estimation.prepare import Prepared
from whence.stats.codes import compact
from whence.stats.features import codes_of, plain

Kind = Literal["once", "staggered", "switching", "dose"]
READ = {
    "status": "is read as treated now", "flag": "is read as ever treated; treatment starts in the later of the two "
    "periods", "date": "is read as the time when treatment starts",
}


@dataclass(frozen=True)
class Adoption:
    """How treatment comes to the units; every array is (n,), one entry per row.

    status: the treatment in force, 0 or 1 (or the dose). first: time at which the row's unit starts, inf for never;
    nan where treatment switches off or is a dose. time: as numbers. unit, period: codes. groups: what is followed,
    ``"units"``; where the rows name no unit (repeated cross-sections) ``"groups"``, those that start together, or
    ``"clusters"``, the spec's clusters, whose rows are treated together. kind: ``"once"`` (all at one
    time), ``"staggered"``, ``"switching"`` (also off), ``"dose"``.
    """

    kind: Kind
    read: str
    status: np.ndarray
    first: np.ndarray
    unit: np.ndarray
    period: np.ndarray
    time: np.ndarray
    groups: str

    @cached_property
    def when(self) -> np.ndarray:
        """The times, ascending (periods,)."""
        found = np.empty(int(self.period.max()) + 1)
        found[self.period] = self.time
        return found

    @cached_property
    def begins(self) -> np.ndarray:
        """``first`` of each unit (units,)."""
        found = np.empty(int(self.unit.max()) + 1)
        found[self.unit] = self.first
        return found

    @cached_property
    def in_order(self) -> bool:
        """Whether the rows are those of one unit after the other, each with every period once, in their order."""
        shape = (len(self.begins), len(self.when))
        if len(self.unit) != shape[0] * shape[1]:
            return False
        return bool((self.period.reshape(shape) == np.arange(shape[1])).all()
                    and (self.unit.reshape(shape) == np.arange(shape[0])[:, None]).all())

    @cached_property
    def seen(self) -> np.ndarray:
        """How many rows each unit has in each period, (units, periods)."""
        shape = (len(self.begins), len(self.when))
        if self.in_order:
            return np.ones(shape, dtype=np.int64)
        return np.bincount(self.unit * shape[1] + self.period, minlength=shape[0] * shape[1]).reshape(shape)

    @property
    def starts(self) -> np.ndarray:
        """Times at which some unit starts, ascending, without those of units treated from the first period on."""
        found = np.unique(self.begins[np.isfinite(self.begins)])
        return found[found > self.when[0]]


def adoption(data: Prepared) -> tuple[Adoption, tuple[Remark, ...]] | Refused:
    """Read treatment, time and unit of a difference-in-differences spec.

    A treatment that changes within units is the status; one that does not is an ever-treated flag, when time has two
    values (before and after), or a date of adoption, when it is made of times (0, or a time after the last, for never).
    Refused: ``start_unknown``, ``groups_unknown``, ``one_period``, ``no_untreated`` (nothing to compare with),
    ``nothing_changes`` (treatment is the same in all periods). Raises ``WhenceError`` (``missing_role``) without time.
    """
    spec, t = data.spec, data.treatment
    if spec.time is None:
        raise WhenceError("Differences in differences need to know the time.", code="missing_role", value="time",
                          hint="Name the column with time=... (a period, or 0 before and 1 after).")
    time = times(data.table.column(spec.time), data.rows)
    period = compact(time)[0]
    if period.max() == 0:
        return Refused("one_period", f"All rows have the same {spec.time!r}, so there is no before and after.",
                       {"time": plain(time[0])}, "Include rows from before and after the treatment.")
    if len(t.arms) > 2:
        return Refused("several_arms", f"The treatment {t.name!r} has {len(t.arms)} values that are not numbers.",
                       {"arms": list(t.arms)}, "Make a column that is 1 for the treated and 0 for the others.")
    values = t.values.astype(float, copy=False)
    if spec.unit is None:
        found = _without_units(data, values, time, period)
    else:
        by = data.clusters if spec.cluster == spec.unit else None
        unit = codes_of(data.table.column(spec.unit), data.rows) if by is None else by
        found = _with_units(data, values, time, period, compact(unit)[0])
    if isinstance(found, Refused):
        return found
    refused = _comparable(data, found)
    if refused is not None:
        return refused
    if found.read != "status":
        return found, (Remark("treatment_read", f"{t.name} {READ[found.read]}.", (t.name,),
                              {"read": found.read, "kind": found.kind}),)
    return found, _gaps(t.name, found)


def _gaps(name: str, found: Adoption) -> tuple[Remark, ...]:
    """A remark where units are not seen in the period before the first in which they are seen treated."""
    if found.kind not in ("once", "staggered") or found.in_order:
        return ()
    begins = np.flatnonzero((found.time == found.first) & (found.period > 0))
    unsure = np.unique(found.unit[begins][found.seen[found.unit[begins], found.period[begins] - 1] == 0])
    if not len(unsure):
        return ()
    return (Remark("start_in_gap", f"{count_of(len(unsure))} not seen in the period just before the first in which "
                   f"{name} is in force; it may have started earlier. It is taken to start when first seen.", (name,),
                   {"units": len(unsure)}),)


def count_of(units: int) -> str:
    return "1 unit is" if units == 1 else f"{units:,} units are"


def _dates(data: Prepared) -> np.ndarray:
    """The treatment (n,) as numbers as they stand in the table, which may be times of adoption; zeros for words."""
    column = data.table.column(data.treatment.name)
    if column.kind in NUMERIC or all(isinstance(v, (int, float)) for v in column.levels or ("",)):
        return column.numeric()[data.rows].astype(float)
    return np.zeros(data.n)


def starts_differ(data: Prepared) -> bool:
    """Whether treatment can be read and starts at different times."""
    read = adoption(data)
    return not isinstance(read, Refused) and read[0].kind == "staggered"


def times(column: Column, rows: np.ndarray) -> np.ndarray:
    """The times of ``rows`` as numbers: dates in days, words by the order of their levels."""
    if column.kind == "datetime":
        return column.values[rows].astype("datetime64[us]").astype(np.int64) / 86_400_000_000
    if column.kind in NUMERIC:
        return column.values[rows]
    if column.kind in CODED and not all(isinstance(v, (int, float)) for v in column.levels or ()):
        return column.values[rows].astype(float)
    if column.kind == "text":
        return codes_of(column, rows).astype(float)
    return column.numeric()[rows].astype(float)


def named(column: Column, time: float) -> str:
    """A time, as ``times`` gives it, in words."""
    if column.kind == "datetime":
        moment = np.datetime64(round(time * 86_400_000_000), "us")
        return str(moment.astype("datetime64[D]") if time == int(time) else moment.astype("datetime64[s]"))
    if column.kind in CODED and not all(isinstance(v, (int, float)) for v in column.levels or ()):
        return str((column.levels or ())[int(time)])
    return f"{time:.10g}"


def _with_units(
    data: Prepared, values: np.ndarray, time: np.ndarray, period: np.ndarray, unit: np.ndarray
) -> Adoption | Refused:
    one = np.empty(int(unit.max()) + 1)
    one[unit] = values
    treated = values == 1
    binary = bool((treated | (values == 0)).all())
    nothing = np.full(len(values), np.nan)
    if (one[unit] != values).any():
        if not binary:
            return Adoption("dose", "status", values, nothing, unit, period, time, "units")
        start = np.full(len(one), np.inf)
        np.minimum.at(start, unit[treated], time[treated])
        first = start[unit]
        if not ((time >= first) == treated).all():
            return Adoption("switching", "status", values, nothing, unit, period, time, "units")
        return Adoption(_pattern(start, time), "status", values, first, unit, period, time, "units")
    if binary and period.max() == 1:
        first = np.where(values == 1, time.max(), np.inf)
        return Adoption("once", "flag", (time >= first).astype(float), first, unit, period, time, "units")
    first = _from_dates(data, time, period)
    if first is not None:
        return Adoption(_pattern(first, time), "date", (time >= first).astype(float), first, unit, period, time,
                        "units")
    if not binary and period.max() == 1:  # a dose that everybody gets, or not, in the later period
        return Adoption("dose", "flag", values * period, nothing, unit, period, time, "units")
    return _start_unknown(data, int(period.max()) + 1)


def _from_dates(data: Prepared, time: np.ndarray, period: np.ndarray) -> np.ndarray | None:
    """The time at which each row's unit starts (n,), inf for never, where the treatment column holds times."""
    dates = _dates(data) if period.max() > 1 else np.zeros(data.n)
    within = (dates > 0) & (dates <= time.max())
    if within.any() and np.isin(dates[within], time).all() and not np.isin(dates, (0.0, 1.0)).all():
        return np.where(within, dates, np.inf)
    return None


def _by_cluster(data: Prepared, values: np.ndarray, time: np.ndarray, period: np.ndarray) -> Adoption | None:
    """The clusters as what is followed, where all rows of one in a period have the same treatment and it changes."""
    if data.clusters is None:
        return None
    unit = np.unique(data.clusters, return_inverse=True)[1]
    cell = unit * (int(period.max()) + 1) + period
    highest, lowest = np.full(int(cell.max()) + 1, -np.inf), np.full(int(cell.max()) + 1, np.inf)
    np.maximum.at(highest, cell, values)
    np.minimum.at(lowest, cell, values)
    if (lowest < highest)[cell].any():
        return None
    found = _with_units(data, values, time, period, unit)
    return None if isinstance(found, Refused) or found.read != "status" else replace(found, groups="clusters")


def _without_units(data: Prepared, values: np.ndarray, time: np.ndarray, period: np.ndarray) -> Adoption | Refused:
    name, flags = data.treatment.name, bool(np.isin(values, (0.0, 1.0)).all())
    if not flags or period.max() > 1 or not (values[period == 0] == 1).any():
        by_cluster = _by_cluster(data, values, time, period)
        if by_cluster is not None:
            return by_cluster
    if period.max() > 1:
        first = _from_dates(data, time, period)
        if first is None:
            return _start_unknown(data, int(period.max()) + 1)
        group = np.unique(first, return_inverse=True)[1]
        return Adoption(_pattern(first, time), "date", (time >= first).astype(float), first, group, period, time,
                        "groups")
    if not flags:
        return Refused("groups_unknown", f"Without a unit, {name!r} must say which group was treated (1) and which not "
                       "(0).", {"values": len(np.unique(values))}, "Name the unit in the spec, or make such a column.")
    if not (values[period == 0] == 1).any():
        return Refused("groups_unknown", f"{name!r} is 1 only in the later period and no unit is named, so the rows of "
                       "the earlier period cannot be told apart.", {"column": name},
                       "Name the unit, or the cluster that was treated together, or give a column that says which "
                       "group was treated in both periods.")
    first = np.where(values == 1, time.max(), np.inf)
    group = values.astype(np.int64)
    return Adoption("once", "flag", (time >= first).astype(float), first, group, period, time, "groups")


def _pattern(first: np.ndarray, time: np.ndarray) -> Kind:
    """first: of each row, or of each unit."""
    starts = np.unique(first[np.isfinite(first)])
    return "once" if (starts > time.min()).sum() <= 1 else "staggered"


def _start_unknown(data: Prepared, periods: int) -> Refused:
    name, remedy = data.treatment.name, "Give a column that is 1 once treatment is in force, the time when it starts, "
    reason = f"{name!r} says who was treated but not when: it is the same in all of the {periods} periods."
    if data.spec.unit is None:
        reason = (f"{name!r} does not say when treatment starts for the rows of each of the {periods} periods, and no "
                  "unit is named that could be followed.")
        remedy = "Name the unit, or the cluster that is treated together; or give a column with the time of the start, "
    return Refused("start_unknown", reason, {"column": name, "periods": periods}, remedy + "or before/after as the "
                   "time.")


def _comparable(data: Prepared, found: Adoption) -> Refused | None:
    """Some comparison must exist: units that change, and others that do not at the same time."""
    name = data.treatment.name
    if found.kind in ("switching", "dose"):
        return None
    still = found.begins[found.begins > found.when[0]]
    if not np.isfinite(still).any():
        return Refused("nothing_changes", f"No unit starts {name!r} after the first period, so there is no before to "
                       "compare with.", {"column": name}, "Include earlier periods.")
    if len(np.unique(still)) == 1 and not (found.begins == found.when[0]).any():
        return Refused("no_untreated", f"Every unit starts {name!r} at the same time, so nobody shows what would have "
                       "happened without it.", {"column": name, "start": float(still[0])},
                       "Include units that are not treated, or treated later; or compare the series with itself: "
                       "strategy='interrupted_series'.")
    return None
