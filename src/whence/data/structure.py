"""What the rows are: identifiers, a panel of units over time, an ordered series."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from whence.data.summary import Summary
from whence.data.table import CODED, Column, Table

_TIME_WORDS = re.compile(
    r"(^|_)(year|yr|month|quarter|week|day|date|time|period|wave|round|visit|t)(_?(id|no|num))?$", re.I
)
_ID_WORDS = re.compile(
    r"(^|_)(id|ids|uid|uuid|key|code|index|idx|no|nr|number|unit|person|subject|patient|firm|household|"
    r"state|country|county|city|region|school|store|group|name|seqn|fips|panel)(_?\d*|_id)$|id$",
    re.I,
)
MAX_CANDIDATES = 40


@dataclass(frozen=True)
class Panel:
    """Units observed at several times, each pair at most once."""

    unit: str
    time: str
    n_units: int
    n_times: int
    balanced: bool


@dataclass(frozen=True)
class Series:
    """Rows in the order of ``time``, one each. step: the constant distance, or None."""

    time: str
    step: str | None


def identifiers(table: Table, of: dict[str, Summary]) -> list[str]:
    """Columns that name the rows: all different, none missing, and words, a run of numbers, or so called."""
    found = []
    for name in table.names:
        if table.n_rows < 10 or of[name].n_distinct < table.n_rows:
            continue
        s = of[name]
        run = s.whole and s.low is not None and s.high is not None and s.high - s.low + 1 == table.n_rows
        if s.kind == "text" or run or (s.whole and _ID_WORDS.search(name)):
            found.append(name)
    return found


def panel(table: Table, of: dict[str, Summary]) -> Panel | None:
    """The panel that the rows form, or None.

    Times are datetimes and whole numbers called so (year, wave, ...); units are columns of repeated whole
    numbers or words, called so or filling at least half of all pairs. Roles given to ``read`` come first.
    """
    times = _times(table, of)
    units = _units(table, of)
    best: tuple[tuple[bool, bool, float], Panel] | None = None
    for time in times:
        for unit in units:
            if unit == time:
                continue
            n_units, n_times = of[unit].n_distinct, of[time].n_distinct
            filled = table.n_rows / (n_units * n_times)
            named = unit == table.roles.get("unit") or bool(_ID_WORDS.search(unit))
            if filled > 1 or (filled < 0.5 and not named) or not _unique_pairs(table, unit, time):
                continue
            rank = (unit == table.roles.get("unit"), named, filled)
            if best is None or rank > best[0]:
                balanced = table.n_rows == n_units * n_times
                best = rank, Panel(unit, time, n_units, n_times, balanced)
    return None if best is None else best[1]


def _times(table: Table, of: dict[str, Summary]) -> list[str]:
    if "time" in table.roles:
        return [table.roles["time"]]
    return [
        n for n in sorted(table.names)
        if 2 <= of[n].n_distinct <= table.n_rows / 2
        and (of[n].kind == "datetime" or (_TIME_WORDS.search(n) and of[n].whole))
    ][:MAX_CANDIDATES]


def _units(table: Table, of: dict[str, Summary]) -> list[str]:
    if "unit" in table.roles:
        return [table.roles["unit"]]
    allowed = [
        n for n in sorted(table.names)
        if 3 <= of[n].n_distinct <= table.n_rows / 2
        and (of[n].kind in ("categorical", "text", "ordinal") or of[n].whole)
    ]
    return sorted(allowed, key=lambda n: (not _ID_WORDS.search(n), n))[:MAX_CANDIDATES]


def _codes(column: Column) -> np.ndarray:
    if column.kind in CODED:
        return column.values.astype(np.int64)
    values = column.values
    if column.kind == "text":
        values = np.array(["" if v is None else v for v in values])
    elif column.kind == "datetime":
        values = values.astype(np.int64)
    codes = np.unique(values, return_inverse=True)[1].astype(np.int64)
    codes[column.missing] = -1
    return codes


def _unique_pairs(table: Table, unit: str, time: str) -> bool:
    a, b = _codes(table.column(unit)), _codes(table.column(time))
    seen = (a >= 0) & (b >= 0)
    pairs = a[seen] * (int(b.max()) + 1) + b[seen]
    return bool(seen.mean() > 0.9 and len(np.unique(pairs)) == len(pairs))


def series(table: Table, of: dict[str, Summary]) -> Series | None:
    """The time that orders the rows, each later than the one before, or None."""
    for name in sorted(table.names):
        if table.n_rows < 10 or of[name].n_distinct < table.n_rows:
            continue
        named = name == table.roles.get("time") or _TIME_WORDS.search(name)
        if of[name].kind != "datetime" and not (named and of[name].whole):
            continue
        column = table.column(name)
        values = column.values.astype(np.int64)
        steps = np.diff(values)
        if (steps > 0).all():
            even = bool((steps == steps[0]).all())
            return Series(name, _step(int(steps[0]), column.kind) if even else None)
    return None


def _step(step: int, kind: str) -> str:
    if kind != "datetime":
        return str(step)
    for size, word in ((86_400_000_000, "day"), (3_600_000_000, "hour"), (60_000_000, "minute"), (1_000_000, "second")):
        if step % size == 0:
            count = step // size
            return f"{count} {word}{'s' * (count > 1)}"
    return f"{step} microseconds"
