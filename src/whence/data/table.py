"""The table every layer works on: named columns of known kind, missing values kept missing.

Storage by kind:

============================  =====================  ==============  ======================
kind                          values                 missing         levels
============================  =====================  ==============  ======================
continuous, count             float64                NaN             none
binary, categorical, ordinal  int32 codes            -1              the original values, in order
datetime                      datetime64[us]         NaT             none
text                          object (str)           None            none
============================  =====================  ==============  ======================

A ``Table`` does not change. Columns of a large file are read when first asked for.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np

from whence.core.errors import WhenceError, unknown_name
from whence.core.hashing import content_hash
from whence.core.result import Remark

Kind = Literal["continuous", "binary", "categorical", "ordinal", "count", "datetime", "text"]
KINDS: tuple[str, ...] = get_args(Kind)
CODED = frozenset({"binary", "categorical", "ordinal"})
NUMERIC = frozenset({"continuous", "count"})
ROLES = frozenset({"unit", "time", "cluster", "weights", "treatment", "outcome"})


@dataclass(frozen=True)
class Column:
    """One column. ``values`` and ``levels`` as in the table of this module; arrays are read-only."""

    name: str
    kind: str
    values: np.ndarray
    levels: tuple[Any, ...] | None = None

    def __post_init__(self) -> None:
        self.values.flags.writeable = False

    @functools.cached_property
    def missing(self) -> np.ndarray:
        """Boolean mask of the missing rows."""
        if self.kind in CODED:
            return self.values < 0
        if self.kind == "datetime":
            return np.isnat(self.values)
        if self.kind == "text":
            return np.array([v is None for v in self.values], dtype=bool)
        return np.isnan(self.values)

    def shown(self, row: int) -> str:
        """The value at ``row`` for people; an empty string for a missing one."""
        if self.missing[row]:
            return ""
        value = self.values[row]
        if self.levels is not None:
            return str(self.levels[value])
        if self.kind in NUMERIC:
            return f"{value:.6g}"
        return str(value)

    def numeric(self) -> np.ndarray:
        """The column as float64 with NaN for missing.

        Coded columns whose levels are numbers give those numbers; a binary or ordinal column with
        other levels gives 0, 1, ... in level order. A categorical column with words has no numbers:
        ``WhenceError`` (``not_numeric``); so have datetime and text.
        """
        if self.kind in NUMERIC:
            return self.values
        if self.kind in CODED and self.levels is not None:
            as_numbers = all(isinstance(v, (int, float)) for v in self.levels)
            if as_numbers or self.kind != "categorical":
                scale = [float(v) for v in self.levels] if as_numbers else range(len(self.levels))
                return np.append(np.asarray(scale, dtype=float), np.nan)[self.values]
        raise WhenceError(
            f"Column {self.name!r} is {self.kind}; it has no numeric values.",
            code="not_numeric", value=self.name, allowed=("continuous", "count", "binary", "ordinal"),
            hint="Use a numeric column, or read the table with another kind for it.",
        )


@runtime_checkable
class Described(Protocol):
    """A mapping of columns that knows kinds and levels without loading any values."""

    def kind_of(self, name: str) -> str: ...

    def levels_of(self, name: str) -> tuple[Any, ...] | None: ...


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length, in the order read.

    columns: name to ``Column`` (may load lazily). n_rows: number of rows. roles: names given to
    ``read`` as ``unit=``, ``time=`` and so on. source: where it came from, for people.
    backing: what can compute moments and counts without loading columns, or None. remarks: what
    reading noticed and the user should know, such as blank lines or numbers written as text.
    """

    columns: Mapping[str, Column]
    n_rows: int
    roles: Mapping[str, str] = field(default_factory=dict)
    source: str = "memory"
    backing: Any = None
    remarks: tuple[Remark, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.columns)

    def __len__(self) -> int:
        return self.n_rows

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def column(self, name: str) -> Column:
        """The column called ``name``, or made by the rule that it states (``"age >= 21"``, see ``rule``);
        ``WhenceError`` (``unknown_column``) offers the closest names."""
        if name in self.columns:
            return self.columns[name]
        from whence.data.rule import by_rule

        made = by_rule(self.columns, name)
        if made is None:
            raise unknown_name("column", name, self.names, code="unknown_column")
        return made

    @functools.cached_property
    def _described(self) -> Described | None:
        return self.columns if isinstance(self.columns, Described) else None

    def kind(self, name: str) -> str:
        if self._described is not None and name in self.columns:
            return self._described.kind_of(name)
        return self.column(name).kind

    @property
    def kinds(self) -> dict[str, str]:
        return {name: self.kind(name) for name in self.names}

    def levels(self, name: str) -> tuple[Any, ...] | None:
        if self._described is not None and name in self.columns:
            return self._described.levels_of(name)
        return self.column(name).levels

    def numeric(self, name: str) -> np.ndarray:
        """float64 (n_rows,), NaN for missing; see ``Column.numeric``."""
        return self.column(name).numeric()

    def codes(self, name: str) -> np.ndarray:
        """int32 (n_rows,) level codes, -1 for missing. Only for binary, categorical and ordinal columns."""
        column = self.column(name)
        if column.kind not in CODED:
            raise WhenceError(
                f"Column {name!r} is {column.kind}; it has no levels.",
                code="not_coded", value=name, allowed=sorted(CODED),
                hint="Read the table with kinds={...} to treat it as categorical.",
            )
        return column.values

    def matrix(self, names: Sequence[str]) -> np.ndarray:
        """float64 (n_rows, len(names)) of ``numeric`` columns, NaN for missing."""
        if not names:
            return np.empty((self.n_rows, 0))
        return np.column_stack([self.numeric(name) for name in names])

    def complete(self, names: Iterable[str]) -> np.ndarray:
        """Boolean (n_rows,): rows with no missing value in any of ``names``."""
        keep = np.ones(self.n_rows, dtype=bool)
        for name in names:
            keep &= ~self.column(name).missing
        return keep

    def select(self, names: Sequence[str]) -> Table:
        """The table with only ``names``, in that order."""
        chosen = {name: self.column(name) for name in names}
        return Table(MappingProxyType(chosen), self.n_rows, self.roles, self.source, remarks=self.remarks)

    def take(self, rows: np.ndarray) -> Table:
        """The table with the rows of a boolean mask or an index array; levels are kept."""
        chosen = {
            c.name: Column(c.name, c.kind, c.values[rows], c.levels) for c in map(self.column, self.names)
        }
        size = int(np.count_nonzero(rows)) if rows.dtype == bool else len(rows)
        return Table(MappingProxyType(chosen), size, self.roles, self.source, remarks=self.remarks)

    def replace(self, column: Column) -> Table:
        """The table with one column added or replaced."""
        if len(column.values) != self.n_rows:
            raise WhenceError(
                f"Column {column.name!r} has {len(column.values)} rows; the table has {self.n_rows}.",
                code="wrong_length", value=len(column.values), allowed=str(self.n_rows),
            )
        chosen = MappingProxyType({**self.columns, column.name: column})
        return Table(chosen, self.n_rows, self.roles, self.source, remarks=self.remarks)

    @functools.cached_property
    def hash(self) -> str:
        """Content hash: names, kinds, levels and values; the order of the columns does not matter."""
        # One column at a time, so that a large file is never whole in memory.
        parts: list[Any] = [self.n_rows]
        for name in sorted(self.names):
            c = self.column(name)
            levels = None if c.levels is None else [repr(v) for v in c.levels]
            parts.append(content_hash(name, c.kind, levels, c.values))
        return content_hash(*parts)

    def __reduce__(self) -> Any:
        # Process pools pickle tables: every column travels, the database behind a large file stays.
        columns = {name: self.column(name) for name in self.names}
        return _rebuild, (columns, self.n_rows, dict(self.roles), self.source, self.remarks)

    def __repr__(self) -> str:
        shown = ", ".join(f"{n}: {self.kind(n)}" for n in self.names[:8])
        more = f", ... {len(self.names) - 8} more" if len(self.names) > 8 else ""
        return f"Table({self.n_rows:,} rows x {len(self.names):,} columns; {shown}{more})"

    def _repr_html_(self) -> str:
        from html import escape

        shown = self.names[:12]
        head = "".join(f"<th>{escape(n)}<br><small>{self.kind(n)}</small></th>" for n in shown)
        columns = [self.column(n) for n in shown]
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(c.shown(i))}</td>" for c in columns) + "</tr>"
            for i in range(min(self.n_rows, 8))
        )
        size = f"{self.n_rows:,} rows × {len(self.names):,} columns"
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table><small>{size}</small>"


def _rebuild(
    columns: dict[str, Column], n_rows: int, roles: dict[str, str], source: str, remarks: tuple[Remark, ...]
) -> Table:
    return Table(MappingProxyType(columns), n_rows, roles, source, remarks=remarks)
