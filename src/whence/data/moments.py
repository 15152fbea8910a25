"""Moments and counts: all that linear and discrete analyses need of a table, in one pass over it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from whence import kernels
from whence.core.errors import WhenceError
from whence.data.table import CODED, Table

if TYPE_CHECKING:
    from whence.data.database import Backing, Stored

MAX_CELLS = 1 << 26
BLOCK = 1 << 16
BLOCK_CELLS = 1 << 22


@dataclass(frozen=True)
class Moments:
    """Means and covariances over the rows complete in all of ``names``.

    n: rows used. mean: (d,). covariance: (d, d), divisor n - 1; NaN-free, zero when n < 2.
    n_missing: rows left out because a value is missing.
    """

    names: tuple[str, ...]
    n: int
    mean: np.ndarray
    covariance: np.ndarray
    n_missing: int

    @property
    def correlation(self) -> np.ndarray:
        """(d, d); a constant column has correlation 0 with all others."""
        sd = np.sqrt(np.diag(self.covariance))
        scale = np.where(sd > 0, sd, 1.0)
        out = self.covariance / scale[:, None] / scale[None, :]
        np.fill_diagonal(out, 1.0)
        return out


def moments(table: Table, names: Sequence[str]) -> Moments:
    """Means and covariances of numeric columns (as ``Column.numeric``).

    Values are centred at the mean of the first complete rows before they are multiplied, so that a large
    offset costs no digits; the remaining shift is taken out with the update of Chan, Golub and LeVeque
    (1983, American Statistician 37, eq. 1.3b). A backed table is gone through once, block by block, so that
    memory does not grow with its rows.

    Raises ``WhenceError`` with ``unknown_column`` or ``not_numeric``.
    """
    names = tuple(names)
    if table.backing is not None:
        return _accumulate(_stored_blocks(table, names), names, table.n_rows)
    return from_matrix(table.matrix(names), names)


def from_matrix(matrix: np.ndarray, names: tuple[str, ...]) -> Moments:
    """Moments of the complete rows of ``matrix`` (n, d)."""
    rows = len(matrix)
    return _accumulate((matrix[i : i + BLOCK] for i in range(0, rows, BLOCK)), names, rows)


def _accumulate(blocks: Iterable[np.ndarray], names: tuple[str, ...], rows: int) -> Moments:
    d = len(names)
    n, pilot = 0, None
    total, cross = np.zeros(d), np.zeros((d, d))
    for block in blocks:
        block = block[~np.isnan(block).any(axis=1)]
        if len(block):
            if pilot is None:
                pilot = block.mean(axis=0)
            centred = block - pilot
            n += len(block)
            total += centred.sum(axis=0)
            cross += centred.T @ centred
    shift = total / max(n, 1)
    covariance = (cross - n * np.outer(shift, shift)) / max(n - 1, 1)
    return Moments(names, n, (np.zeros(d) if pilot is None else pilot) + shift, covariance, rows - n)


def _stored_blocks(table: Table, names: tuple[str, ...]) -> Iterator[np.ndarray]:
    """Runs of rows of a backed table as matrices, NaN for missing."""
    backing: Backing = table.backing
    values = ", ".join(f"{_number_sql(_stored(table, name))} AS v{i}" for i, name in enumerate(names))
    size = max(1, BLOCK_CELLS // max(len(names), 1))
    for start in range(0, backing.n_rows, size):
        stop = min(start + size, backing.n_rows)
        block = np.empty((stop - start, len(names)))
        if names:
            sql = f"SELECT {values} FROM data WHERE rowid >= {start} AND rowid < {stop}"
            for i, column in enumerate(backing.database.arrays(sql)):
                block[:, i] = np.ma.filled(column, np.nan)
        yield block


def _stored(table: Table, name: str) -> Stored:
    if name not in table:
        table.column(name)  # raises unknown_column with the closest names
    return table.backing.stored[name]


def _number_sql(stored: Stored) -> str:
    sql = stored.number_sql()
    if sql is None:
        raise WhenceError(
            f"Column {stored.name!r} is {stored.kind}; it has no numeric values.",
            code="not_numeric", value=stored.name, allowed=("continuous", "count", "binary", "ordinal"),
            hint="Use a numeric column, or read the table with another kind for it.",
        )
    return sql


def counts(table: Table, names: Sequence[str]) -> np.ndarray:
    """int64 contingency counts of shape (levels of the first, levels of the second, ...).

    Rows with a missing value in any of ``names`` are not counted; the total tells how many were.
    Raises ``WhenceError`` with ``unknown_column``, ``not_coded`` or ``too_many_cells``.
    """
    names = tuple(names)
    cards = np.array([len(_levels(table, name)) for name in names], dtype=np.int64)
    cells = int(np.prod(cards.astype(float)))
    if cells > MAX_CELLS:
        raise WhenceError(
            f"The table of counts of {', '.join(names)} would have {cells:,} cells.",
            code="too_many_cells", value=cells, allowed=f"at most {MAX_CELLS:,}",
            hint="Use fewer variables, or fewer levels.",
        )
    if table.backing is not None:
        return _counts_sql(table, names, cards)
    out = np.zeros(max(cells, 0), dtype=np.int64)
    if names:
        kernels.counts(np.ascontiguousarray([table.codes(name) for name in names]), cards, out)
    else:
        out = np.array([table.n_rows], dtype=np.int64)
    return out.reshape(tuple(cards))


def _levels(table: Table, name: str) -> tuple[Any, ...]:
    if table.kind(name) not in CODED:
        table.codes(name)  # raises not_coded
    return table.levels(name) or ()


def _counts_sql(table: Table, names: tuple[str, ...], cards: np.ndarray) -> np.ndarray:
    backing: Backing = table.backing
    stored = [_stored(table, name) for name in names]
    places = [{level: i for i, level in enumerate(s.levels or ())} for s in stored]
    out = np.zeros(tuple(cards), dtype=np.int64)
    values = "".join(f"{s.sql} AS v{i}, " for i, s in enumerate(stored))
    for *cell, count in backing.database.rows(f"SELECT {values}count(*) FROM data GROUP BY ALL"):
        if None not in cell:
            out[tuple(place[v] for place, v in zip(places, cell, strict=True))] += count
    return out
