"""Which kind each variable is, and its values in the storage of that kind.

The rule, first line that fits (m: values present, d: distinct values among them):

===========  ======================================================  ======================
held as      and                                                     kind
===========  ======================================================  ======================
datetimes                                                            datetime
truth        True and False                                          binary
levels       two used / in a declared order / otherwise              binary / ordinal / categorical
numbers      d = 2, m > 2 (or both whole)                            binary
numbers      whole, within -20 to 20 without gaps, 3 <= d <= 10,     ordinal
             m >= 3 d
numbers      whole, lowest 0 or 1, highest <= 1000, d >= 3           count
numbers      anything else, also constant or all missing             continuous
text         d = 2, m > 2                                            binary
text         d <= 20 and m >= 2 d, or d <= 1000 and m >= 10 d        categorical
text         constant, m > 1                                         categorical
text         anything else                                           text
===========  ======================================================  ======================

Whole numbers without gaps, such as 1 to 5, are as often a graded scale as bare labels, and the data
cannot tell. They are read as ordinal, which keeps both the order and the numbers; the profile names
them, and ``kinds={"region": "categorical"}`` says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from whence.core.errors import WhenceError
from whence.data.table import CODED, NUMERIC, Column

Storage = Literal["number", "text", "datetime", "levels"]

# What ``kinds=`` takes: a kind, or the levels of an ordinal column from lowest to highest.
KindChoice = Mapping[str, str | Sequence[Any]]

MAX_ORDINAL = 10
MAX_GRADE = 20
MAX_COUNT = 1000
MAX_LEVELS = 1000

# Words that mean "not": of two levels the one here comes first, so that the other is the 1.
NEGATIVE = frozenset(
    "no n false f 0 none never absent negative off control placebo untreated unexposed low fail failed".split()
)


@dataclass(frozen=True)
class Raw:
    """One column before its kind is known.

    values by storage: number float64 with NaN; text object (str or None); datetime datetime64[us] with
    NaT; levels int32 codes into ``levels`` with -1. ordered: the order of ``levels`` was declared.
    """

    name: str
    storage: Storage
    values: np.ndarray
    levels: tuple[Any, ...] | None = None
    ordered: bool = False


@dataclass(frozen=True)
class Facts:
    """What the rule looks at. present, distinct: numbers of values; the rest matters for numbers only."""

    storage: Storage
    present: int
    distinct: int
    whole: bool = False
    low: float = 0.0
    high: float = 0.0
    ordered: bool = False


def infer_kind(f: Facts) -> str:
    """The kind by the rule of this module."""
    if f.storage == "datetime":
        return "datetime"
    if f.storage == "levels":
        return "binary" if f.distinct == 2 else "ordinal" if f.ordered else "categorical"
    return _kind_of_numbers(f) if f.storage == "number" else _kind_of_text(f)


def _kind_of_numbers(f: Facts) -> str:
    if f.distinct == 2 and (f.whole or f.present > 2):
        return "binary"
    if not f.whole or f.distinct < 3:
        return "continuous"
    no_gaps = f.high - f.low + 1 == f.distinct and max(abs(f.low), abs(f.high)) <= MAX_GRADE
    if f.distinct <= MAX_ORDINAL and no_gaps and f.present >= 3 * f.distinct:
        return "ordinal"
    return "count" if f.low in (0.0, 1.0) and f.high <= MAX_COUNT else "continuous"


def _kind_of_text(f: Facts) -> str:
    m, d = f.present, f.distinct
    if d == 2 and m > 2:
        return "binary"
    if d == 1 and m > 1:
        return "categorical"
    few = (d <= 20 and m >= 2 * d) or (d <= MAX_LEVELS and m >= 10 * d)
    return "categorical" if few and d > 0 else "text"


def facts(raw: Raw) -> Facts:
    """The facts of a column in memory. ``distinct`` of numbers may stop counting above ``MAX_ORDINAL``."""
    if raw.storage == "levels":
        used = np.unique(raw.values[raw.values >= 0])
        return Facts("levels", int((raw.values >= 0).sum()), len(used), ordered=raw.ordered)
    if raw.storage == "text":
        seen = [v for v in raw.values if v is not None]
        return Facts("text", len(seen), len(set(seen)))
    if raw.storage == "datetime":
        return Facts("datetime", int((~np.isnat(raw.values)).sum()), 0)
    values = raw.values[~np.isnan(raw.values)]
    if not len(values):
        return Facts("number", 0, 0)
    # A head with more values than any rule needs saves sorting the whole column.
    head = np.unique(values[:1000])
    distinct = len(head) if len(head) > MAX_ORDINAL else len(np.unique(values))
    whole = bool((values == np.rint(values)).all())
    return Facts("number", len(values), distinct, whole, float(values.min()), float(values.max()))


def plain_number(value: float) -> float | int:
    """A whole number as int, so that a level shows and hashes as 1 whether it was read as 1 or 1.0."""
    return int(value) if float(value).is_integer() else float(value)


def order_levels(values: Iterable[Any]) -> tuple[Any, ...]:
    """Levels in order: numbers by size, words by alphabet, and of two the one that means no first."""
    levels = sorted(values)
    if len(levels) == 2:
        first, second = (str(v).strip().lower() in NEGATIVE for v in levels)
        if second and not first:
            levels.reverse()
    return tuple(levels)


def encode(raw: Raw, kind: str) -> Column:
    """The column in the storage of ``kind``.

    Raises ``WhenceError`` (``kind_mismatch``) when the values cannot be of that kind, with examples.
    """
    if kind in CODED:
        return _coded(raw, kind)
    if kind in NUMERIC:
        return Column(raw.name, kind, _numbers(raw, kind))
    if kind == "datetime":
        return Column(raw.name, kind, _datetimes(raw))
    return Column(raw.name, kind, _texts(raw))


def _coded(raw: Raw, kind: str) -> Column:
    if raw.storage == "levels":
        codes, levels = _used_levels(raw.values, raw.levels or ())
    elif raw.storage == "number":
        present = ~np.isnan(raw.values)
        found, inverse = np.unique(raw.values[present], return_inverse=True)
        levels = tuple(plain_number(v) for v in found)
        codes = np.full(len(raw.values), -1, dtype=np.int32)
        codes[present] = inverse
    else:
        values = _texts(raw)
        levels = order_levels({v for v in values if v is not None})
        if kind == "ordinal" and len(levels) > 2:
            example = f"kinds={{{raw.name!r}: [{levels[0]!r}, ...]}}"
            raise mismatch(raw.name, kind, "the order of its words is not known", levels[:5],
                           hint=f"Give its levels from lowest to highest: {example}.")
        codes = codes_of(values, levels)
    if kind == "binary" and len(levels) > 2:
        raise mismatch(raw.name, kind, f"it has {len(levels)} distinct values", levels[:5])
    return Column(raw.name, kind, codes, levels)


def encode_ordered(raw: Raw, levels: Sequence[Any]) -> Column:
    """The column as ordinal with ``levels`` from lowest to highest.

    Raises ``WhenceError`` (``kind_mismatch``) when a value is not one of them.
    """
    order = [str(v) for v in levels]
    values = _texts(raw)
    strange = sorted({v for v in values if v is not None} - set(order))
    if strange or len(set(order)) < len(order):
        why = "some values are not among the levels given" if strange else "a level is given twice"
        raise mismatch(raw.name, "ordinal", why, strange[:5], hint="Name every level once, lowest first.")
    codes = codes_of(values, order)
    numbers = raw.storage == "number"
    kept, used = _used_levels(codes, tuple(plain_number(float(v)) if numbers else v for v in order))
    return Column(raw.name, "ordinal", kept, used)


def codes_of(values: np.ndarray, levels: Sequence[Any]) -> np.ndarray:
    """int32 position of each value in ``levels``, -1 for None."""
    place: dict[Any, int] = {level: i for i, level in enumerate(levels)}
    place[None] = -1
    return np.fromiter((place[v] for v in values), dtype=np.int32, count=len(values))


def _used_levels(codes: np.ndarray, levels: tuple[Any, ...]) -> tuple[np.ndarray, tuple[Any, ...]]:
    """Codes and levels without the levels that no row has."""
    used = np.unique(codes[codes >= 0])
    if len(used) == len(levels):
        return codes.astype(np.int32), levels
    place = np.full(len(levels) + 1, -1, dtype=np.int32)
    place[used] = np.arange(len(used), dtype=np.int32)
    return place[codes], tuple(levels[i] for i in used)


def _numbers(raw: Raw, kind: str) -> np.ndarray:
    if raw.storage == "number":
        values = raw.values.copy()
    elif raw.storage == "levels" and all(isinstance(v, (bool, int, float)) for v in raw.levels or ()):
        values = np.append(np.asarray(raw.levels or (), dtype=float), np.nan)[raw.values]
    elif raw.storage == "datetime":
        raise mismatch(raw.name, kind, "it holds dates", ())
    else:
        values = _parse_numbers(raw, kind)
    if kind == "count":
        bad = np.flatnonzero(~np.isnan(values) & ((values < 0) | (values != np.rint(values))))
        if len(bad):
            raise mismatch(
                raw.name, kind, f"row {bad[0] + 1} is not a whole number of at least 0", values[bad[:5]].tolist()
            )
    return values


def _parse_numbers(raw: Raw, kind: str) -> np.ndarray:
    from whence.data.parse import number_of

    texts = _texts(raw)
    values = np.full(len(texts), np.nan)
    bad: list[tuple[int, str]] = []
    for i, text in enumerate(texts):
        if text is not None:
            number = number_of(text)
            if number is None:
                bad.append((i + 1, text))
            else:
                values[i] = number
    if bad:
        where = f"{len(bad)} of its values are not numbers, first in row {bad[0][0]}"
        raise mismatch(raw.name, kind, where, [text for _, text in bad[:5]])
    return values


def _datetimes(raw: Raw) -> np.ndarray:
    from whence.data.parse import parse_dates

    if raw.storage == "datetime":
        return raw.values.copy()
    if raw.storage == "number":
        raise mismatch(raw.name, "datetime", "it holds numbers", raw.values[:3].tolist())
    texts = _texts(raw)
    dates = parse_dates(texts)
    if dates is None:
        shown = [t for t in texts if t is not None][:3]
        raise mismatch(raw.name, "datetime", "its values do not all read as dates in one style", shown)
    return dates


def _texts(raw: Raw) -> np.ndarray:
    if raw.storage == "text":
        return raw.values.copy()
    if raw.storage == "levels":
        levels = np.array([*map(str, raw.levels or ()), None], dtype=object)
        return levels[raw.values]
    out = np.empty(len(raw.values), dtype=object)
    if raw.storage == "number":
        out[:] = [None if np.isnan(v) else str(plain_number(v)) for v in raw.values.tolist()]
    else:
        out[:] = [None if v is None else v.isoformat(sep=" ") for v in raw.values.tolist()]
    return out


def mismatch(name: str, kind: str, why: str, examples: Sequence[Any], hint: str = "") -> WhenceError:
    """The error for a column whose values cannot be of the wanted kind."""
    shown = ": " + ", ".join(repr(v) for v in examples) if len(examples) else ""
    return WhenceError(
        f"Column {name!r} cannot be read as {kind}: {why}{shown}.",
        code="kind_mismatch", value=name, allowed=None,
        hint=hint or "Give it another kind, or name its markers of missing values with missing=[...].",
    )


def raw_of(column: Column) -> Raw:
    """The column as it was before its kind was chosen, to choose another."""
    if column.kind in CODED:
        levels = column.levels or ()
        numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in levels)
        if levels and numbers and list(levels) == sorted(levels):
            return Raw(column.name, "number", column.numeric())
        return Raw(column.name, "levels", column.values, levels, column.kind == "ordinal")
    storage: Storage = "datetime" if column.kind == "datetime" else "text" if column.kind == "text" else "number"
    return Raw(column.name, storage, column.values)
