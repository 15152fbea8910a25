"""Design columns from a table: scaled numbers with powers, and dummies for categories.

Columns come in the order of their names, whatever the order asked for, so that every fit on them
is the same for any order of the table's columns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from whence.core.result import Refused
from whence.data.table import CODED, Column, Table
from whence.stats.blocks import cholesky_of_scaled, gram
from whence.stats.codes import compact
from whence.stats.regress import kept_columns

ORDINAL_DUMMIES = 10  # an ordinal column with more levels than this enters as a number


@dataclass(frozen=True)
class Features:
    """A design without intercept.

    matrix: float64 (n, k), numeric columns centred and scaled to standard deviation 1, powers taken of
    the scaled column; dummies are 0 or 1. labels: (k,), e.g. ``"age"``, ``"age^2"``, ``"education=3"``.
    sources: (k,), the table's column behind each. dropped: labels left out because they are constant
    or a linear combination of the columns before them in name order.
    """

    matrix: np.ndarray
    labels: tuple[str, ...]
    sources: tuple[str, ...]
    dropped: tuple[str, ...] = ()


def features(table: Table, names: Iterable[str], rows: np.ndarray, degree: int = 1) -> Features | Refused:
    """Design columns of ``names`` on ``rows`` (int (n,)).

    Continuous and count columns: powers 1 to ``degree``, as far as their number of distinct values
    allows; a column with two values never gets a square. Binary, categorical, text and ordinal columns
    (ordinal up to 10 levels): one dummy per level present but the first. Datetime: days. ``degree`` 0 is
    for trees: as 1, but ordinal columns are single numbers. A column with missing values there gets one more that is 1
    where they are (``"age missing"``); its others have their mean there, or no level (the missing-indicator method).

    Refused (``more_features_than_rows``) when the columns would outnumber the rows.
    """
    columns = [table.column(name) for name in sorted(set(names))]
    coded = {c.name: _present(c, rows) for c in columns if _as_levels(c, degree)}
    gaps = {c.name: c.missing[rows] for c in columns}
    gaps = {name: mask for name, mask in gaps.items() if mask.any()}
    wanted = len(gaps) + sum(len(coded[c.name][1]) - 1 if c.name in coded else 1 for c in columns)
    if wanted > max(len(rows), 1):
        return _too_many(columns, coded, wanted, len(rows))
    labels: list[str] = []
    sources: list[str] = []
    dropped: list[str] = []
    room = len(gaps) + sum(max(len(coded[c.name][1]) - 1, 0) if c.name in coded else max(degree, 1) for c in columns)
    matrix = np.empty((len(rows), room))
    for column in columns:
        missing = gaps.get(column.name)
        made = _dummies(column, *coded[column.name]) if column.name in coded else _powers(column, rows, degree, missing)
        if not made:
            dropped.append(column.name)
        if missing is not None:
            made.append((f"{column.name} missing", missing.astype(float)))
        for label, values in made:
            matrix[:, len(labels)] = values
            labels.append(label)
            sources.append(column.name)
    if len(labels) < room:
        matrix = matrix[:, : len(labels)].copy()
    keep = independent(matrix)
    dropped += [label for label, kept in zip(labels, keep, strict=True) if not kept]
    return Features(
        matrix if keep.all() else matrix[:, keep],
        tuple(label for label, kept in zip(labels, keep, strict=True) if kept),
        tuple(source for source, kept in zip(sources, keep, strict=True) if kept),
        tuple(dropped),
    )


def independent(matrix: np.ndarray, intercept: bool = True) -> np.ndarray:
    """Boolean (k,): columns that are not a linear combination of those before them (and a constant)."""
    n, k = matrix.shape
    if k == 0 or n == 0:
        return np.zeros(k, dtype=bool)
    if n >= k and cholesky_of_scaled(gram(matrix)[1 - intercept :, 1 - intercept :]) is not None:
        return np.ones(k, dtype=bool)
    full = np.column_stack([np.ones(n), matrix]) if intercept else matrix
    return kept_columns(full)[int(intercept) :]


def level_codes(column: Column, rows: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Codes of ``column`` on ``rows``, int (n,), and the label of each code; any kind of column.

    The codes are those of the whole column, so that they mean the same on any subset of its rows.
    """
    codes, levels = _coded(column, rows)
    return codes, [plain(v) for v in (levels.tolist() if isinstance(levels, np.ndarray) else levels)]


def codes_of(column: Column, rows: np.ndarray) -> np.ndarray:
    """The codes alone of ``level_codes``."""
    return _coded(column, rows)[0]


def _coded(column: Column, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | Iterable[object]]:
    if column.kind in CODED and column.levels is not None:
        return column.values[rows].astype(np.int64), column.levels
    gaps = bool(column.missing.any())
    values = column.values[~column.missing] if gaps else column.values
    codes, levels = compact(values.astype(str) if column.kind == "text" else values)
    if gaps:
        known, codes = codes, np.full(len(column.values), -1, dtype=np.int64)
        codes[~column.missing] = known
    return (codes if len(rows) == len(codes) and _all_in_turn(rows) else codes[rows]), levels


def _all_in_turn(rows: np.ndarray) -> bool:
    """Whether ``rows``, as many as there are, are all of them in their order."""
    return bool((rows[1:] > rows[:-1]).all())


def plain(value: object) -> str:
    """A level as people write it: 1.0 is ``"1"``."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _as_levels(column: Column, degree: int) -> bool:
    if column.kind == "ordinal":
        return degree > 0 and len(column.levels or ()) <= ORDINAL_DUMMIES
    return column.kind in ("binary", "categorical", "text")


def _present(column: Column, rows: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """``level_codes`` with only the levels that occur on ``rows``, in level order; -1 where missing."""
    codes, labels = level_codes(column, rows)
    there = np.bincount(codes[codes >= 0], minlength=len(labels)) > 0
    place = np.append(np.cumsum(there) - 1, -1)  # the last for a code of -1
    return place[codes], [label for label, seen in zip(labels, there, strict=True) if seen]


def _dummies(column: Column, codes: np.ndarray, labels: list[str]) -> list[tuple[str, np.ndarray]]:
    return [(f"{column.name}={labels[j]}", (codes == j).astype(float)) for j in range(1, len(labels))]


def _powers(
    column: Column, rows: np.ndarray, degree: int, missing: np.ndarray | None
) -> list[tuple[str, np.ndarray]]:
    """Labels and columns (n,) with mean zero over the rows that have a value, and zero where ``missing``."""
    if missing is not None:
        known = np.flatnonzero(~missing)
        made = []
        for label, values in _powers(column, rows[known], degree, None):
            made.append((label, np.zeros(len(rows))))
            made[-1][1][known] = values
        return made
    if column.kind == "datetime":
        values = column.values[rows].astype("datetime64[us]").astype(float) / 86_400e6
    else:
        values = column.numeric()[rows]
    values = values - values[0] if len(values) else values
    size = np.abs(values).max(initial=0.0)
    if size == 0:
        return []
    scaled = values / size
    scaled = scaled - scaled.mean()
    spread = np.sqrt((scaled**2).mean())
    scaled = scaled / spread
    highest = 1 if degree <= 1 else min(degree, _distinct(values, degree + 1) - 1)
    out = [(column.name, scaled)]
    for power in range(2, highest + 1):
        raised = scaled**power
        out.append((f"{column.name}^{power}", raised - raised.mean()))
    return out


def _distinct(values: np.ndarray, enough: int) -> int:
    """The number of distinct values, counted up to ``enough`` (the head usually settles it)."""
    head = len(np.unique(values[:1000]))
    return min(head if head >= enough else len(np.unique(values)), enough)


def _too_many(columns: list[Column], coded: dict, wanted: int, n: int) -> Refused:
    largest = sorted(((len(labels) - 1, name) for name, (_, labels) in coded.items()), reverse=True)[:3]
    detail = "".join(f" Column {name!r} alone gives {k}." for k, name in largest[:1] if k > n / 2)
    return Refused(
        "more_features_than_rows",
        f"The {len(columns):,} controls give {wanted:,} columns, but there are only {n:,} rows.{detail}",
        {"columns": wanted, "rows": n, "largest": {name: k for k, name in largest}},
        "Use fewer controls, or merge the rare levels of the categorical ones.",
    )
