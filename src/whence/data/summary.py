"""One column in a few numbers, from memory or from the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from whence.data.table import CODED, NUMERIC, Column, Table

if TYPE_CHECKING:
    from whence.data.database import Backing, Stored

TOP = 5
CHUNK = 100
EXACT_CELLS = 16_000_000


@dataclass(frozen=True)
class Summary:
    """A column in numbers.

    n_distinct: distinct values present; exact, or estimated when ``estimated``. low, high: the range of
    numbers and dates (dates as text). mean, sd (divisor n - 1): of numbers. top: the most common levels with
    their counts, most common first. whole: every value is a whole number.
    """

    name: str
    kind: str
    n_missing: int
    n_distinct: int
    low: Any = None
    high: Any = None
    mean: float | None = None
    sd: float | None = None
    top: tuple[tuple[Any, int], ...] = ()
    estimated: bool = False
    whole: bool = field(default=False, metadata={"plain": False})


def summaries(table: Table) -> tuple[Summary, ...]:
    """One summary per column, in the order of the table."""
    if table.backing is not None:
        return _from_database(table.backing, table.names)
    return tuple(summary(table.column(name)) for name in table.names)


def summary(column: Column) -> Summary:
    """The summary of a column in memory."""
    n_missing = int(column.missing.sum())
    if column.kind in CODED:
        return _of_codes(column, n_missing)
    if column.kind == "text":
        return _of_text(column, n_missing)
    present = column.values[~column.missing]
    distinct = len(np.unique(present))
    if not len(present):
        return Summary(column.name, column.kind, n_missing, 0)
    low, high = present.min(), present.max()
    if column.kind == "datetime":
        return Summary(column.name, column.kind, n_missing, distinct, str(low), str(high))
    # Around the middle of the range, so that a large offset costs no digits.
    centre = low / 2 + high / 2
    mean = float(centre + (present - centre).mean())
    sd = float((present - mean).std(ddof=1)) if len(present) > 1 else None
    whole = bool((present == np.rint(present)).all())
    return Summary(
        column.name, column.kind, n_missing, distinct, float(low), float(high), mean, sd, whole=whole
    )


def _of_codes(column: Column, n_missing: int) -> Summary:
    levels = column.levels or ()
    counts = np.bincount(column.values[column.values >= 0], minlength=len(levels))
    order = sorted(range(len(levels)), key=lambda i: (-counts[i], i))[:TOP]
    top = tuple((levels[i], int(counts[i])) for i in order if counts[i])
    return Summary(
        column.name, column.kind, n_missing, int((counts > 0).sum()), *_range(levels), top=top,
        whole=_whole_levels(levels),
    )


def _range(levels: Sequence[Any]) -> tuple[Any, Any]:
    numbers = bool(levels) and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in levels)
    return (min(levels), max(levels)) if numbers else (None, None)


def _whole_levels(levels: Sequence[Any]) -> bool:
    return bool(levels) and all(isinstance(v, int) and not isinstance(v, bool) for v in levels)


def _of_text(column: Column, n_missing: int) -> Summary:
    counts: dict[str, int] = {}
    for value in column.values:
        if value is not None:
            counts[value] = counts.get(value, 0) + 1
    # Words that never repeat have no most common one.
    top = sorted(((v, c) for v, c in counts.items() if c > 1), key=lambda vc: (-vc[1], vc[0]))[:TOP]
    return Summary(column.name, column.kind, n_missing, len(counts), top=tuple(top))


def _from_database(backing: Backing, names: Sequence[str]) -> tuple[Summary, ...]:
    from whence.data.database import chunks

    found: dict[str, Summary] = {}
    for part in chunks([backing.stored[n] for n in names], CHUNK):
        (row,) = backing.database.rows(f"SELECT {', '.join(map(_sql, part))} FROM data")
        for i, stored in enumerate(part):
            found[stored.name] = _of_stored(backing, stored, row[7 * i : 7 * i + 7])
    # What may identify units, times or rows is counted exactly; so many at once as memory allows.
    exact = [s for s in backing.stored.values() if found[s.name].whole or s.storage in ("text", "datetime")]
    uncoded = [s for s in exact if s.kind not in CODED]
    for part in chunks(uncoded, max(1, min(CHUNK, EXACT_CELLS // backing.n_rows))):
        (row,) = backing.database.rows(f"SELECT {', '.join(f'count(DISTINCT {s.sql})' for s in part)} FROM data")
        for s, distinct in zip(part, row, strict=True):
            found[s.name] = replace(found[s.name], n_distinct=int(distinct), estimated=False)
    return tuple(found[name] for name in names)


def _sql(s: Stored) -> str:
    if s.kind in CODED:
        return f"count({s.sql}), histogram({s.sql}), NULL, NULL, NULL, NULL, 0"
    base = f"count({s.sql}), approx_count_distinct({s.sql})"
    if s.storage == "number":
        # var_samp works with the running mean of Welford (1962), which a large offset does not hurt.
        spread = f"min({s.sql}), max({s.sql}), avg({s.sql}), stddev_samp({s.sql})"
        return f"{base}, {spread}, count_if({s.sql} <> round({s.sql}))"
    if s.storage == "datetime":
        return f"{base}, min({s.sql}), max({s.sql}), NULL, NULL, 0"
    return f"{base}, NULL, NULL, NULL, NULL, 0"


def _of_stored(backing: Backing, s: Stored, row: Sequence[Any]) -> Summary:
    present, distinct, low, high, mean, sd, broken = row
    n_missing = backing.n_rows - present
    if s.kind in CODED:
        return _levels_of(s, distinct or {}, n_missing)
    whole = s.storage == "number" and present > 0 and not broken
    if s.storage == "datetime" and low is not None:
        low, high = str(np.datetime64(low, "us")), str(np.datetime64(high, "us"))
    numbers = s.kind in NUMERIC
    return Summary(
        s.name, s.kind, n_missing, int(distinct), low, high, mean if numbers else None, sd if numbers else None,
        estimated=True, whole=whole,
    )


def _levels_of(s: Stored, counts: dict[Any, int], n_missing: int) -> Summary:
    levels = s.levels or ()
    place = {level: i for i, level in enumerate(levels)}
    order = sorted(counts, key=lambda v: (-counts[v], place[v]))[:TOP]
    top = tuple((levels[place[v]], int(counts[v])) for v in order)
    return Summary(s.name, s.kind, n_missing, len(counts), *_range(levels), top=top, whole=_whole_levels(levels))
