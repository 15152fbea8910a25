"""Large files: loaded once into a temporary DuckDB database, from which columns, moments and counts come.

The database lies on disk, works within ``MEMORY``, keeps the order of the rows, and is removed when the
table is no longer used or the program ends. Columns have plain names in it (c0, c1, ...), because SQL does
not tell ``a`` from ``A``.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from whence.core.errors import WhenceError
from whence.data.table import CODED, NUMERIC, Column, Table
from whence.data.variables import Raw, Storage, codes_of, encode

MEMORY = "1GB"
THREADS = 8
CACHE_BYTES = 512 << 20
FETCH = 250

Item = TypeVar("Item")


def literal(value: Any) -> str:
    """``value`` as SQL."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bool):
        return str(value).upper()
    return f"'{float(value)!r}'::DOUBLE"  # quoted, because inf has no other way of writing


def literals(values: Sequence[Any]) -> str:
    return ", ".join(literal(v) for v in values)


class Database:
    """A DuckDB database of one table, ``data``. ``folder`` is removed with it; None keeps it in memory."""

    def __init__(self, *, on_disk: bool) -> None:
        import duckdb

        self.folder = folder = tempfile.mkdtemp(prefix="whence-") if on_disk else None
        self._connection = duckdb.connect(os.path.join(folder, "data.duckdb") if folder else ":memory:")
        self._finalizer = weakref.finalize(self, _close, self._connection, folder)
        settings = [
            f"memory_limit = '{MEMORY}'", f"threads = {min(os.cpu_count() or 1, THREADS)}",
            "preserve_insertion_order = true", "TimeZone = 'UTC'", "enable_progress_bar = false",
            "autoinstall_known_extensions = false",
        ]
        if folder:
            settings.append(f"temp_directory = {literal(os.path.join(folder, 'spill'))}")
        for setting in settings:
            self._connection.execute(f"SET {setting}")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query. Each query has its own cursor, so that threads do not disturb each other."""
        return self._connection.cursor().execute(sql).fetchall()

    def arrays(self, sql: str) -> list[Any]:
        """The columns of a query as arrays, masked where NULL."""
        return list(self._connection.cursor().execute(sql).fetchnumpy().values())

    def close(self) -> None:
        self._finalizer()


def _close(connection: Any, folder: str | None) -> None:
    connection.close()
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Stored:
    """A column in the database. sql: its values, NULL for missing, of the type that ``storage`` implies
    (DOUBLE, VARCHAR, TIMESTAMP, BOOLEAN); levels: of a coded column.
    """

    name: str
    sql: str
    storage: Storage
    kind: str
    levels: tuple[Any, ...] | None = None

    @property
    def by_code(self) -> bool:
        """Whether its words come out of the database as positions in ``levels``."""
        return self.storage == "text" and self.kind in CODED and bool(self.levels)

    def fetch_sql(self) -> str:
        """SQL for what is fetched: values, or positions in ``levels``."""
        return f"CAST({self.code_sql()} AS INTEGER)" if self.by_code else self.sql

    def number_sql(self) -> str | None:
        """SQL for ``Column.numeric``; None for a column without numbers."""
        if self.storage == "levels":
            return f"CAST({self.sql} AS DOUBLE)"
        if self.storage == "number" and (self.kind in NUMERIC or self.kind in CODED):
            return self.sql
        if self.storage == "text" and self.kind in ("binary", "ordinal"):
            return f"CAST({self.code_sql()} AS DOUBLE)"
        return None

    def code_sql(self) -> str:
        """SQL for the position of a word in ``levels``."""
        return f"enum_code(CAST({self.sql} AS ENUM({literals(self.levels or ())})))"


@dataclass(frozen=True)
class Backing:
    """What computes moments and counts without loading columns: a database and its columns by name."""

    database: Database
    stored: Mapping[str, Stored]
    n_rows: int

    def where(self, condition: str, table: Table) -> Table:
        """The rows of the backed ``table`` that satisfy an SQL condition, in memory."""
        columns = self.fetch(list(self.stored), condition)
        rows = len(next(iter(columns.values())).values)
        return Table(MappingProxyType(columns), rows, table.roles, table.source, remarks=table.remarks)

    def fetch(self, names: Sequence[str], condition: str = "true") -> dict[str, Column]:
        """Columns, loaded now: all rows, or those that satisfy an SQL condition."""
        found: dict[str, Column] = {}
        # Many at a time, because a query costs the database more the wider its table is.
        for part in chunks([self.stored[n] for n in names], FETCH):
            values = ", ".join(f"{s.fetch_sql()} AS v{i}" for i, s in enumerate(part))
            arrays = self.database.arrays(f"SELECT {values} FROM data WHERE {condition}")
            found |= {s.name: _column(s, array) for s, array in zip(part, arrays, strict=True)}
        return found


def chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """``items`` in runs of at most ``size``."""
    return (items[start : start + size] for start in range(0, len(items), size))


def _column(s: Stored, values: Any) -> Column:
    if s.by_code:
        return Column(s.name, s.kind, np.ma.filled(values, -1).astype(np.int32), s.levels)
    raw = raw_of_fetched(s.name, values, s.storage)
    if s.kind in CODED and s.storage == "number" and s.levels is not None:
        present = [None if v != v else v for v in raw.values.tolist()]
        return Column(s.name, s.kind, codes_of(np.array(present, dtype=object), s.levels), s.levels)
    return encode(raw, s.kind)


def raw_of_fetched(name: str, values: np.ndarray, storage: Storage) -> Raw:
    """What the database gave, as a column in memory."""
    if storage == "number":
        return Raw(name, "number", np.ma.filled(values.astype(np.float64), np.nan))
    if storage == "datetime":
        return Raw(name, "datetime", np.ma.filled(values, np.datetime64("NaT")).astype("datetime64[us]"))
    if storage == "levels":
        codes = np.where(np.ma.getmaskarray(values), -1, np.ma.getdata(values).astype(np.int32))
        return Raw(name, "levels", codes.astype(np.int32), (False, True))
    texts = np.ma.getdata(values).astype(object)
    texts[np.ma.getmaskarray(values)] = None
    return Raw(name, "text", texts)


class LazyColumns(Mapping[str, Column]):
    """Columns of a backed table, loaded when asked for; those used last stay, up to ``CACHE_BYTES``."""

    def __init__(self, backing: Backing) -> None:
        self._backing = backing
        self._cache: dict[str, Column] = {}

    def __getitem__(self, name: str) -> Column:
        column = self._cache.pop(name, None)
        if column is None:
            if name not in self._backing.stored:
                raise KeyError(name)
            column = self._backing.fetch([name])[name]
        self._cache[name] = column  # last is most recent
        held = sum(c.values.nbytes for c in list(self._cache.values()))
        for oldest in list(self._cache)[:-1]:
            if held <= CACHE_BYTES:
                break
            gone = self._cache.pop(oldest, None)  # another thread may have been faster
            held -= 0 if gone is None else gone.values.nbytes
        return column

    def __iter__(self) -> Iterator[str]:
        return iter(self._backing.stored)

    def __len__(self) -> int:
        return len(self._backing.stored)

    def __contains__(self, name: object) -> bool:
        return name in self._backing.stored

    def kind_of(self, name: str) -> str:
        return self._backing.stored[name].kind

    def levels_of(self, name: str) -> tuple[Any, ...] | None:
        return self._backing.stored[name].levels


def unreadable(path: Path, error: Exception) -> WhenceError:
    """The error for a file that the database cannot read, with the first line of its reason."""
    reason = str(error).strip().splitlines()[0].rstrip(".")
    return WhenceError(
        f"{path} could not be read: {reason}.", code="unreadable_file", value=str(path),
        hint="Is the file complete, and is it what its ending says?",
    )
