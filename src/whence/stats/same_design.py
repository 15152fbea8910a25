"""The design of one set of rows, made for other rows or tables: the same columns, centred and scaled as there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.data.table import Column, Table
from whence.stats.features import Features, level_codes


@dataclass(frozen=True)
class Encoded:
    """matrix: (m, k), with the labels of the first design. strange: boolean (m,), rows with a level never seen, or a
    gap where there was none; unknown: how many, by column."""

    matrix: np.ndarray
    strange: np.ndarray
    unknown: dict[str, int]


def same_design(made: Features, table: Table, rows: np.ndarray, other: Table, others: np.ndarray) -> Encoded:
    """The columns of ``made`` (of ``table`` on ``rows``) for the rows ``others`` of the table ``other``.

    A level never seen counts as the first one, a gap where there was none as the mean; both are marked ``strange``.
    Raises ``WhenceError`` (``unknown_column``) for a column that ``other`` lacks.
    """
    out = np.zeros((len(others), len(made.labels)))
    lost, unknown = np.zeros(len(others), dtype=bool), {}
    for name in sorted(set(made.sources)):
        old, new = table.column(name), other.column(name)
        mine = [j for j, source in enumerate(made.sources) if source == name]
        gap = f"{name} missing"
        levels = [j for j in mine if made.labels[j].startswith(f"{name}=")]
        known = ~new.missing[others]
        strange = np.zeros(len(others), dtype=bool) if gap in {made.labels[j] for j in mine} else ~known
        if levels:
            strange |= _levels(out, made, levels, old, rows, new, others) & known
        else:
            powers = [j for j in mine if made.labels[j] != gap]
            for j, values in zip(powers, _powers(made, powers, old, rows, new, others[known]), strict=True):
                out[known, j] = values
        for j in mine:
            if made.labels[j] == gap:
                out[:, j] = ~known
        if strange.any():
            lost |= strange
            unknown[name] = int(strange.sum())
    return Encoded(out, lost, unknown)


def in_own_units(made: Features, table: Table, rows: np.ndarray) -> np.ndarray:
    """The matrix of ``made`` (of degree 0 or 1, on these rows) with numbers in the units of their columns.

    Gaps hold the mean of the values there are; dummies stay as they are.
    """
    out = made.matrix.copy()
    for j, (label, name) in enumerate(zip(made.labels, made.sources, strict=True)):
        if label == name:
            values = _numbers(table.column(name), rows)
            known = ~table.column(name).missing[rows]
            out[:, j] = np.where(known, values, values[known].mean())
    return out


def _numbers(column: Column, rows: np.ndarray) -> np.ndarray:
    if column.kind == "datetime":
        return column.values[rows].astype("datetime64[us]").astype(float) / 86_400e6
    return column.numeric()[rows]


def _levels(
    out: np.ndarray, made: Features, levels: list[int], old: Column, rows: np.ndarray, new: Column, others: np.ndarray
) -> np.ndarray:
    """Fills the dummies of one column; boolean (m,), which rows have a level that was not seen."""
    codes, labels = level_codes(new, others)
    before, names = level_codes(old, rows)
    seen = {names[code] for code in np.unique(before[before >= 0])}
    given = np.array([*labels, ""], dtype=object)[codes]
    for j in levels:
        out[:, j] = given == made.labels[j].removeprefix(f"{old.name}=")
    return ~np.isin(codes, [c for c, label in enumerate(labels) if label in seen])


def _powers(
    made: Features, powers: list[int], old: Column, rows: np.ndarray, new: Column, others: np.ndarray
) -> np.ndarray:
    """Centred and scaled by what the first rows have, (powers, m)."""
    before = _numbers(old, rows[~old.missing[rows]])
    size = float(np.abs(before - before[0]).max())
    mean = ((before - before[0]) / size).mean()
    scaled = (before - before[0]) / size - mean
    spread = np.sqrt((scaled**2).mean())
    first, second = scaled / spread, ((_numbers(new, others) - before[0]) / size - mean) / spread
    out = np.empty((len(powers), len(others)))
    for place, j in enumerate(powers):
        power = int(made.labels[j].removeprefix(old.name).removeprefix("^") or 1)
        out[place] = second**power - ((first**power).mean() if power > 1 else 0.0)
    return out
