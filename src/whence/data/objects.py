"""Columns in memory, lists and NumPy arrays, taken as they are typed: nothing is parsed out of text here."""

from __future__ import annotations

import datetime as dt
import decimal
import numbers
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from whence.core.errors import WhenceError
from whence.core.result import Remark
from whence.data.variables import Raw


def is_missing(value: Any) -> bool:
    """None, NaN, NaT, ``pandas.NA`` or a masked entry."""
    if value is None or type(value).__name__ in ("NAType", "NaTType", "MaskedConstant"):
        return True
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return bool(np.isnat(value))
    return isinstance(value, (float, np.floating, decimal.Decimal)) and bool(value != value)


def raw_of_array(name: str, values: np.ndarray) -> tuple[Raw, tuple[Remark, ...]]:
    """A one-dimensional array as a column. Raises ``WhenceError`` (``unsupported_values``)."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.getmaskarray(values).any():
        pairs = zip(np.ma.getdata(values).tolist(), np.ma.getmaskarray(values), strict=True)
        return raw_of_objects(name, [None if gone else v for v, gone in pairs])
    values, kind = np.asarray(values), values.dtype.kind
    if kind in "iuf":
        return Raw(name, "number", values.astype(np.float64)), ()
    if kind == "b":
        return Raw(name, "levels", values.astype(np.int32), (False, True)), ()
    if kind == "M":
        return Raw(name, "datetime", values.astype("datetime64[us]")), ()
    if kind == "m":
        return _durations(name, values)
    if kind == "c":
        raise unsupported(name, 1, values[0] if len(values) else 0j)
    return raw_of_objects(name, values.tolist())


def _durations(name: str, values: np.ndarray) -> tuple[Raw, tuple[Remark, ...]]:
    seconds = np.where(np.isnat(values), np.nan, values / np.timedelta64(1, "s"))
    text = f"Column {name!r} holds spans of time and was read as seconds."
    return Raw(name, "number", seconds), (Remark("durations_as_seconds", text, (name,)),)


def raw_of_objects(name: str, values: Sequence[Any]) -> tuple[Raw, tuple[Remark, ...]]:
    """A list of Python values as a column. Mixed types become text, with a remark that says where.

    Raises ``WhenceError`` (``unsupported_values``) for values that are no single number, text, truth or
    date, with the first row of one.
    """
    missing = [is_missing(v) for v in values]
    types: dict[str, int] = {}  # type -> first row
    tally: Counter[str] = Counter()
    for row, value in enumerate(values, start=1):
        if not missing[row - 1]:
            kind = _type_of(value)
            if kind is None:
                raise unsupported(name, row, value)
            tally[kind] += 1
            types.setdefault(kind, row)
    if len(types) == 1:
        return _uniform(name, values, missing, next(iter(types))), ()
    if not types:
        return Raw(name, "number", np.full(len(values), np.nan)), ()
    texts = np.empty(len(values), dtype=object)
    texts[:] = [None if gone else str(v) for v, gone in zip(values, missing, strict=True)]
    found = ", ".join(f"{tally[kind]} {kind} (first in row {row})" for kind, row in types.items())
    text = f"Column {name!r} mixes types, {found}, and was kept as text."
    return Raw(name, "text", texts), (Remark("mixed_types", text, (name,), {"first_rows": types, **tally}),)


def _type_of(value: Any) -> str | None:
    if isinstance(value, str):
        return "text"
    if isinstance(value, (bool, np.bool_)):
        return "truth"
    if isinstance(value, (dt.datetime, dt.date, np.datetime64)):
        return "date"
    if isinstance(value, (dt.timedelta, np.timedelta64)):
        return "duration"
    if isinstance(value, (numbers.Real, decimal.Decimal)):
        return "number"
    if isinstance(value, bytes):
        return "bytes" if _decoded(value) is not None else None
    return None


def _decoded(value: bytes) -> str | None:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _uniform(name: str, values: Sequence[Any], missing: list[bool], kind: str) -> Raw:
    pairs = list(zip(values, missing, strict=True))
    if kind == "truth":
        return Raw(name, "levels", np.array([-1 if m else int(v) for v, m in pairs], np.int32), (False, True))
    if kind == "number":
        return Raw(name, "number", np.array([np.nan if m else float(v) for v, m in pairs], dtype=float))
    if kind == "duration":
        one = np.timedelta64(1, "s")
        return Raw(name, "number", np.array([np.nan if m else np.timedelta64(v) / one for v, m in pairs]))
    if kind == "date":
        return Raw(name, "datetime", _moments_in_time(pairs))
    texts = np.empty(len(values), dtype=object)
    texts[:] = [None if m else _decoded(v) if isinstance(v, bytes) else str(v) for v, m in pairs]
    return Raw(name, "text", texts)


def _moments_in_time(pairs: list[tuple[Any, bool]]) -> np.ndarray:
    out = np.full(len(pairs), np.datetime64("NaT"), dtype="datetime64[us]")
    for i, (value, gone) in enumerate(pairs):
        if not gone:
            if isinstance(value, dt.datetime) and value.tzinfo is not None:
                value = value.astimezone(dt.UTC).replace(tzinfo=None)
            out[i] = value
    return out


def unsupported(name: str, row: int, value: Any) -> WhenceError:
    """The error for a value that a cell cannot hold."""
    shown = repr(value)
    return WhenceError(
        f"Column {name!r} holds a {type(value).__name__} in row {row}: "
        f"{shown if len(shown) <= 60 else shown[:57] + '...'}.",
        code="unsupported_values", value={"column": name, "row": row, "type": type(value).__name__},
        allowed=("numbers", "text", "True and False", "dates"),
        hint="Give every cell a single value; spread lists and records over several columns.",
    )
