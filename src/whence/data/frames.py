"""Tables in memory as columns: pandas, polars and arrow frames, dicts, records and arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from whence.core.errors import WhenceError
from whence.core.result import Remark
from whence.data.names import clean_names
from whence.data.objects import raw_of_array, raw_of_objects, unsupported
from whence.data.variables import Raw

Columns = tuple[list[Raw], tuple[Remark, ...]]


def from_memory(source: Any, names: Sequence[str] | None) -> Columns:
    """Columns of anything ``read`` takes that is not a path.

    Raises ``WhenceError`` with ``unsupported_source``, ``wrong_length``, ``wrong_shape``,
    ``duplicate_column`` or ``unsupported_values``.
    """
    if isinstance(source, np.ndarray):
        return from_array(source, names)
    if names is not None:
        raise WhenceError(
            "names= is for arrays and for text files without a header line; this source has its own names.",
            code="unexpected_names", value=list(names), hint="Leave names= out.",
        )
    if isinstance(source, Mapping):
        return from_dict(source)
    if isinstance(source, (list, tuple)) and source and all(isinstance(row, Mapping) for row in source):
        return from_dict(columns_of_records(source))
    return from_frame(source)


def from_dict(source: Mapping[Any, Any]) -> Columns:
    """Columns of a mapping of names to lists, arrays or series, all of one length."""
    names, remarks = clean_names(list(source), "the dict")
    values = [_one_column(name, v) for name, v in zip(names, source.values(), strict=True)]
    lengths = {name: len(v) for name, v in zip(names, values, strict=True)}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{n!r} has {size}" for n, size in list(lengths.items())[:6])
        raise WhenceError(
            f"The columns differ in length: {shown}{', ...' if len(lengths) > 6 else ''}.",
            code="wrong_length", value=lengths, hint="Give every column the same number of rows.",
        )
    return _join([_raw(name, v) for name, v in zip(names, values, strict=True)], remarks)


def _one_column(name: str, values: Any) -> Any:
    """``values`` if it is a column: an array, a series, or a list made of any other iterable."""
    if isinstance(values, np.ndarray):
        if values.ndim != 1:
            raise WhenceError(
                f"Column {name!r} is an array of shape {values.shape}; a column has one dimension.",
                code="wrong_shape", value=values.shape, allowed="(rows,)",
            )
        return values
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise WhenceError(
            f"Column {name!r} is a {type(values).__name__}, not a list or an array of values.",
            code="unsupported_source", value=type(values).__name__, allowed="a list or a one-dimensional array",
        )
    if hasattr(values, "dtype") or type(values).__module__.startswith("pyarrow"):
        return values
    return list(values)


def _raw(name: str, values: Any) -> tuple[Raw, tuple[Remark, ...]]:
    if isinstance(values, np.ndarray):
        return raw_of_array(name, values)
    if isinstance(values, list):
        return raw_of_objects(name, values)
    import narwhals.stable.v2 as nw

    try:
        series = nw.from_native(values, series_only=True)
    except TypeError:
        return raw_of_array(name, np.asarray(values))
    return _raw_of_series(name, series)


def columns_of_records(records: Sequence[Mapping[Any, Any]]) -> dict[Any, list[Any]]:
    """Columns of a list of records; a key that a record lacks is missing there."""
    keys = list(dict.fromkeys(key for record in records for key in record))
    return {key: [record.get(key) for record in records] for key in keys}


def from_array(source: np.ndarray, names: Sequence[str] | None) -> Columns:
    """Columns of a two-dimensional or structured array; without names they are ``x1``, ``x2``, ..."""
    if source.dtype.names:
        return from_dict({name: source[name] for name in source.dtype.names})
    if source.ndim != 2:
        raise WhenceError(
            f"The array has shape {source.shape}; a table has two dimensions.",
            code="wrong_shape", value=source.shape, allowed="(rows, columns)",
            hint="For one column use array.reshape(-1, 1) or a dict with its name.",
        )
    width = source.shape[1]
    if names is not None and len(names) != width:
        raise WhenceError(
            f"names= has {len(names)} names, but the array has {width} columns.",
            code="wrong_length", value=len(names), allowed=str(width),
        )
    called, remarks = clean_names(list(names or (f"x{i + 1}" for i in range(width))), "names=")
    return _join([raw_of_array(name, source[:, i]) for i, name in enumerate(called)], remarks)


def from_frame(source: Any) -> Columns:
    """Columns of a pandas, polars or pyarrow frame, through narwhals."""
    import narwhals.stable.v2 as nw

    if hasattr(source, "collect_schema") and hasattr(source, "collect"):
        source = source.collect()  # a lazy polars frame
    # pyarrow calls its arrays columns, the others their names.
    own = getattr(source, "column_names", None)
    if own is None:
        own = getattr(source, "columns", None)
    if own is None or callable(own) or isinstance(source, type):
        raise _not_a_table(source)
    names, remarks = clean_names(list(own), "the frame")
    try:
        frame = nw.from_native(_renamed(source, [f"c{i}" for i in range(len(names))]), eager_only=True)
    except TypeError:
        raise _not_a_table(source) from None
    remarks += _index_remark(source)
    return _join([_raw_of_series(n, frame[f"c{i}"]) for i, n in enumerate(names)], remarks)


def _renamed(source: Any, names: list[str]) -> Any:
    """The frame under plain names: its own may repeat or be no text, which narwhals does not take."""
    if hasattr(source, "set_axis"):  # pandas
        return source.set_axis(names, axis=1)
    if hasattr(source, "rename_columns"):  # pyarrow
        return source.rename_columns(names)
    if hasattr(source, "rename"):  # polars, whose names are distinct text
        return source.rename(dict(zip(list(source.columns), names, strict=True)))
    raise _not_a_table(source)


def _not_a_table(source: Any) -> WhenceError:
    return WhenceError(
        f"A {type(source).__name__} cannot be read as a table.",
        code="unsupported_source", value=type(source).__name__,
        allowed=("a path", "pandas, polars or pyarrow frame", "dict of arrays", "list of records",
                 "two-dimensional array"),
    )


def _index_remark(source: Any) -> tuple[Remark, ...]:
    index = getattr(source, "index", None)
    if index is None or type(index).__name__ == "RangeIndex" or not hasattr(index, "names"):
        return ()
    called = ", ".join(str(n) for n in index.names if n is not None)
    if not called and getattr(index.dtype, "kind", "O") in "iu":
        return ()  # row numbers, as filtering leaves them
    text = f"The index of the frame{f' ({called})' if called else ''} is not a column and was left out."
    return (Remark("index_left_out", text + " reset_index() makes it one."),)


def _raw_of_series(name: str, series: Any) -> tuple[Raw, tuple[Remark, ...]]:
    import narwhals.stable.v2 as nw

    dtype = series.dtype
    if dtype.is_numeric() and dtype != nw.Decimal:
        values = series.cast(nw.Float64).fill_null(float("nan")).to_numpy()
        return Raw(name, "number", np.asarray(values, dtype=np.float64)), ()
    if isinstance(dtype, nw.Datetime):
        return _datetimes(name, series, dtype.time_zone)
    if dtype in (nw.Categorical, nw.Enum):
        return _levels(name, series, ordered=dtype == nw.Enum), ()
    if dtype in (nw.List, nw.Array, nw.Struct):
        values = series.to_list()
        row = next((i for i, v in enumerate(values) if v is not None), 0)
        raise unsupported(name, row + 1, values[row] if values else [])
    if dtype == nw.Time:
        return raw_of_objects(name, [None if v is None else str(v) for v in series.to_list()])
    raw, remarks = raw_of_objects(name, series.to_list())
    if dtype == nw.Duration:
        remarks = (Remark("durations_as_seconds", f"Column {name!r} holds spans of time, read as seconds.", (name,)),)
    return raw, remarks


def _datetimes(name: str, series: Any, zone: str | None) -> tuple[Raw, tuple[Remark, ...]]:
    remarks: tuple[Remark, ...] = ()
    if zone is not None:
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        if zone != "UTC":
            text = f"Column {name!r} has times of {zone}; they were turned into UTC."
            remarks = (Remark("times_in_utc", text, (name,), {"zone": zone}),)
    return Raw(name, "datetime", np.asarray(series.to_numpy()).astype("datetime64[us]")), remarks


def _levels(name: str, series: Any, *, ordered: bool) -> Raw:
    """A categorical column: its categories in their order, whatever their type."""
    levels = series.cat.get_categories().to_list()
    place = {level: i for i, level in enumerate(levels)}
    codes = np.array([place.get(v, -1) for v in series.to_list()], dtype=np.int32)
    plain = tuple(v.item() if isinstance(v, np.generic) else v for v in levels)
    return Raw(name, "levels", codes, plain, ordered)


def _join(parts: Iterable[tuple[Raw, tuple[Remark, ...]]], remarks: tuple[Remark, ...]) -> Columns:
    parts = list(parts)
    return [raw for raw, _ in parts], remarks + tuple(r for _, extra in parts for r in extra)
