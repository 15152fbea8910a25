"""Kinds of the columns of a database, by the same rule as in memory, from counts made in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from whence.core.errors import unknown_name
from whence.core.result import Remark
from whence.data.database import Database, Stored, chunks, literal
from whence.data.parse import about_numbers_as_text, about_stray_words, date_style, text_remarks
from whence.data.table import CODED, NUMERIC
from whence.data.variables import (
    MAX_LEVELS,
    MAX_ORDINAL,
    Facts,
    KindChoice,
    Storage,
    infer_kind,
    mismatch,
    order_levels,
    plain_number,
)

CHUNK = 250  # columns asked about in one query
HEAD = 1000  # rows looked at to guess the style of dates, which all rows then confirm


@dataclass(frozen=True)
class Seen:
    """Counts of one column. distinct: approximate above a few thousand."""

    present: int
    distinct: int
    infinite: int = 0
    broken: int = 0  # numbers that are not whole
    low: float = 0.0
    high: float = 0.0


def choose(
    database: Database, names: Sequence[str], storages: Sequence[Storage], kinds: KindChoice, *, parse: bool
) -> tuple[dict[str, Stored], tuple[Remark, ...]]:
    """Every column with its kind. parse: text may hold numbers, which a text file cannot tell apart.

    Raises ``WhenceError`` with ``unknown_column``, ``infinite_value`` or ``kind_mismatch``.
    """
    from whence.data.load import infinite_values, rounded_remark

    for name in kinds:
        if name not in names:
            raise unknown_name("column", name, names, code="unknown_column")
    stored = {n: Stored(n, f"c{i}", storages[i], "text") for i, n in enumerate(names)}
    stored = {n: _typed(database, s, parse) if s.storage == "text" else s for n, s in stored.items()}
    seen = _seen(database, list(stored.values()))
    bad = {n: _infinite(database, stored[n], s) for n, s in seen.items() if s.infinite}
    if bad:
        raise infinite_values(bad)
    remarks: list[Remark] = []
    chosen = {}
    coded = [c for n, c in stored.items() if _few(c, seen[n]) or str(kinds.get(n)) in CODED]
    levels = _levels(database, coded)
    for name, column in stored.items():
        chosen[name] = _choose(database, column, seen[name], kinds.get(name), levels.get(name))
        s = seen[name]
        if column.storage == "number" and not s.broken and max(abs(s.low), abs(s.high)) > 2**53:
            remarks.append(rounded_remark(name))
        if column.storage == "text" and chosen[name].kind in ("text", "categorical"):
            remarks += _text_remarks(database, column)
    return chosen, tuple(remarks)


def _typed(database: Database, column: Stored, parse: bool) -> Stored:
    """A text column as numbers or dates when every value is one."""
    head = [v for (v,) in database.rows(f"SELECT {column.sql} FROM data WHERE {column.sql} IS NOT NULL LIMIT {HEAD}")]
    if not head:
        return replace(column, sql="CAST(NULL AS DOUBLE)", storage="number")
    style = date_style(head)
    if style is not None:
        date = _date_sql(column.sql, style)
        if _all(database, column.sql, date):
            return replace(column, sql=date, storage="datetime")
    if parse and _all(database, column.sql, _number_sql(column.sql)):
        return replace(column, sql=_number_sql(column.sql), storage="number")
    return column


def _date_sql(sql: str, style: str) -> str:
    if style != "iso":
        return f"try_strptime(trim({sql}), {literal(style)})"
    # Through a time with zone, because a plain timestamp leaves out the offset. The pattern keeps out
    # other words the database would take for a time.
    iso = r"^\s*\d{4}[-/]\d{1,2}[-/]\d{1,2}([ T].*)?$"
    moment = f"TRY_CAST(TRY_CAST(trim({sql}) AS TIMESTAMPTZ) AS TIMESTAMP)"
    return f"CASE WHEN regexp_matches({sql}, {literal(iso)}) THEN {moment} END"


def _number_sql(sql: str) -> str:
    return f"CASE WHEN contains({sql}, '_') THEN NULL ELSE TRY_CAST({sql} AS DOUBLE) END"


def _all(database: Database, sql: str, converted: str) -> bool:
    ((present, done),) = database.rows(f"SELECT count({sql}), count({converted}) FROM data")
    return present == done


def _seen(database: Database, columns: Sequence[Stored]) -> dict[str, Seen]:
    found: dict[str, Seen] = {}
    for part in chunks(columns, CHUNK):
        parts = [_seen_sql(c) for c in part]
        (row,) = database.rows(f"SELECT {', '.join(parts)} FROM data")
        for i, column in enumerate(part):
            present, distinct, infinite, broken, low, high = row[6 * i : 6 * i + 6]
            found[column.name] = Seen(present, distinct, infinite, broken, low or 0.0, high or 0.0)
    return found


def _seen_sql(column: Stored) -> str:
    v = column.sql
    base = f"count({v}), approx_count_distinct({v})"
    if column.storage != "number":
        return base + ", 0, 0, NULL, NULL"
    return base + f", count_if(isinf({v})), count_if({v} <> round({v})), min({v}), max({v})"


def _infinite(database: Database, column: Stored, seen: Seen) -> dict[str, Any]:
    rows = database.rows(f"SELECT rowid + 1 FROM data WHERE isinf({column.sql}) ORDER BY rowid LIMIT 20")
    return {"count": seen.infinite, "rows": [int(r) for (r,) in rows]}


def _choose(
    database: Database, column: Stored, seen: Seen, wanted: str | Sequence[Any] | None,
    levels: tuple[Any, ...] | None,
) -> Stored:
    if isinstance(wanted, (list, tuple)):
        return _with_order(database, column, wanted)
    if wanted is not None:
        return _as_wanted(database, column, str(wanted), levels or ())
    distinct = seen.distinct if levels is None else len(levels)
    facts = Facts(column.storage, seen.present, distinct, not seen.broken, seen.low, seen.high)
    kind = infer_kind(facts)
    return replace(column, kind=kind, levels=levels if kind in CODED else None)


def _few(column: Stored, seen: Seen) -> bool:
    """Whether the approximate count of distinct values says that they may be few enough to be levels."""
    limit = {"number": MAX_ORDINAL, "text": MAX_LEVELS, "levels": 2}.get(column.storage, 0)
    return 0 < seen.distinct <= 1.2 * limit + 2


def _levels(database: Database, columns: Sequence[Stored]) -> dict[str, tuple[Any, ...]]:
    """The distinct values of each column, in the order of levels."""
    found: dict[str, tuple[Any, ...]] = {}
    for part in chunks(columns, CHUNK):
        lists = ", ".join(f"list(DISTINCT {c.sql}) FILTER ({c.sql} IS NOT NULL)" for c in part)
        (row,) = database.rows(f"SELECT {lists} FROM data")
        for column, values in zip(part, row, strict=True):
            numbers = column.storage == "number"
            found[column.name] = order_levels(plain_number(v) if numbers else v for v in values or ())
    return found


def _as_wanted(database: Database, column: Stored, kind: str, levels: tuple[Any, ...]) -> Stored:
    """The column as the kind asked for, or the error that says why not."""
    if kind in CODED:
        if kind == "binary" and len(levels) > 2:
            raise mismatch(column.name, kind, f"it has {len(levels)} distinct values", levels[:5])
        if kind == "ordinal" and column.storage == "text" and len(levels) > 2:
            hint = f"Give its levels from lowest to highest: kinds={{{column.name!r}: [{levels[0]!r}, ...]}}."
            raise mismatch(column.name, kind, "the order of its words is not known", levels[:5], hint)
        return replace(column, kind=kind, levels=levels)
    if kind in NUMERIC:
        return _as_numbers(database, column, kind)
    if kind == "datetime" and column.storage != "datetime":
        raise mismatch(column.name, kind, "its values do not all read as dates in one style", ())
    return replace(column, kind=kind)


def _as_numbers(database: Database, column: Stored, kind: str) -> Stored:
    sql = {"text": _number_sql(column.sql), "levels": f"CAST({column.sql} AS DOUBLE)"}.get(column.storage, column.sql)
    if column.storage == "datetime":
        raise mismatch(column.name, kind, "it holds dates", ())
    wrong = f"{sql} IS NULL" + (f" OR {sql} < 0 OR {sql} <> round({sql})" if kind == "count" else "")
    bad = database.rows(
        f"SELECT rowid + 1, {column.sql} FROM data WHERE {column.sql} IS NOT NULL AND ({wrong}) ORDER BY rowid LIMIT 5"
    )
    if bad:
        what = "whole numbers of at least 0" if kind == "count" else "numbers"
        raise mismatch(
            column.name, kind, f"some values are not {what}, first in row {bad[0][0]}", [v for _, v in bad]
        )
    return replace(column, sql=sql, storage="number", kind=kind)


def _with_order(database: Database, column: Stored, order: Sequence[Any]) -> Stored:
    numbers = column.storage == "number"
    given = [plain_number(float(v)) for v in order] if numbers else [str(v) for v in order]
    strange = set(_levels(database, [column])[column.name]) - set(given)
    if strange or len(set(given)) < len(given):
        raise mismatch(
            column.name, "ordinal", "some values are not among the levels given", sorted(strange)[:5],
            hint="Name every level once, lowest first.",
        )
    return replace(column, kind="ordinal", levels=tuple(given))


def _text_remarks(database: Database, column: Stored) -> list[Remark]:
    """Remarks from the first rows; the rows of stray words among numbers are looked for in all."""
    head = [v for (v,) in database.rows(f"SELECT {column.sql} FROM data LIMIT {HEAD}")]
    number = _number_sql(column.sql)
    counts = f"SELECT count({column.sql}), count({number}) FROM data"
    ((present, numbers),) = database.rows(counts)
    if not numbers or numbers < present / 2:
        return text_remarks(column.name, head)
    stray = database.rows(
        f"SELECT rowid + 1, {column.sql} FROM data WHERE {column.sql} IS NOT NULL AND {number} IS NULL "
        "ORDER BY rowid LIMIT 20"
    )
    if not stray:
        return [about_numbers_as_text(column.name, numbers)]
    return [about_stray_words(column.name, numbers, present - numbers, [(int(r), v) for r, v in stray])]
