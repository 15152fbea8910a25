"""JSON documents and Arrow files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from whence.core.errors import WhenceError
from whence.data.frames import Columns, columns_of_records, from_dict, from_frame

MAX_JSON = 256 << 20


def from_json_file(path: Path) -> Columns:
    """Columns of a JSON document: a list of records, or an object of columns.

    Raises ``WhenceError`` (``bad_json``) with the line, ``not_utf8`` or ``too_large``.
    """
    if path.stat().st_size > MAX_JSON:
        raise WhenceError(
            f"{path} is a JSON document of {path.stat().st_size >> 20} MB; documents must fit in memory at once.",
            code="too_large", value=path.stat().st_size, allowed=f"at most {MAX_JSON >> 20} MB",
            hint="Write it as .ndjson (one record a line) or .parquet.",
        )
    try:
        document = json.loads(path.read_bytes().decode("utf-8-sig"), object_pairs_hook=_record)
    except UnicodeDecodeError:
        from whence.data.textfile import not_utf8

        raise not_utf8(path, gzipped=False) from None
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            hint = "If it holds one record a line, name it .ndjson."
        else:
            hint = "Is the file complete?"
        raise WhenceError(
            f"{path} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}.",
            code="bad_json", value={"line": error.lineno, "column": error.colno}, hint=hint,
        ) from None
    except RecursionError:
        raise _not_records(path, "it is nested too deeply") from None
    return from_dict(_columns(document, path))


def _record(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise WhenceError(
            f"A record of the JSON document repeats the names {', '.join(map(repr, repeated[:5]))}.",
            code="duplicate_column", value=repeated, hint="Give every field its own name.",
        )
    return record


def _columns(document: Any, path: Path) -> Mapping[Any, Any]:
    if isinstance(document, list):
        strange = next((i for i, row in enumerate(document, start=1) if not isinstance(row, dict)), None)
        if strange is not None:
            raise _not_records(path, f"entry {strange} is a {type(document[strange - 1]).__name__}, not a record")
        if not document:
            raise WhenceError(f"{path} holds an empty list.", code="no_rows", value=str(path))
        return columns_of_records(document)
    if isinstance(document, dict) and document and all(isinstance(v, list) for v in document.values()):
        return document
    raise _not_records(path, f"its top is a {type(document).__name__}")


def _not_records(path: Path, why: str) -> WhenceError:
    return WhenceError(
        f"{path} is not a table: {why}.", code="bad_json", value=str(path),
        allowed=('[{"a": 1, "b": 2}, ...]', '{"a": [1, ...], "b": [2, ...]}'),
        hint="Give a list of records, or an object that maps each column to its list of values.",
    )


def from_arrow_file(path: Path) -> Columns:
    """Columns of a Feather or Arrow file. Needs pyarrow: ``WhenceError`` (``missing_package``) without it."""
    try:
        import pyarrow as pa
        from pyarrow import feather, ipc
    except ImportError:
        raise WhenceError(
            f"Reading {path.name} needs the package pyarrow, which is not installed.",
            code="missing_package", value="pyarrow", hint="Install it with: pip install pyarrow",
        ) from None
    try:
        try:
            table = feather.read_table(path)
        except pa.ArrowInvalid:
            with pa.OSFile(str(path)) as file:
                table = ipc.open_stream(file).read_all()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise WhenceError(
            f"{path} is not a readable Arrow file: {str(error).splitlines()[0]}.",
            code="unreadable_file", value=str(path), hint="Is the file complete, and is it what its ending says?",
        ) from None
    return from_frame(table)
