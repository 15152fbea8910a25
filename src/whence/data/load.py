"""Reading data: a file or a frame in, a ``Table`` out, with every row and every missing value kept."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from whence.core.errors import WhenceError, unknown_name
from whence.core.result import Remark
from whence.data.parse import MARKERS, number_of, parse_column, text_remarks
from whence.data.table import KINDS, ROLES, Column, Table
from whence.data.variables import KindChoice, Raw, encode, encode_ordered, facts, infer_kind, raw_of

TEXT_ENDINGS = (".csv", ".tsv", ".txt", ".dat", ".tab")
DATABASE_ENDINGS = (".parquet", ".pq", ".ndjson", ".jsonl")
ENDINGS = (*TEXT_ENDINGS, *(e + ".gz" for e in TEXT_ENDINGS), *DATABASE_ENDINGS, ".json", ".feather", ".arrow")

# Text files up to this size are read record by record in Python, which gives exact places of what is
# wrong; larger ones go through the database. A packed byte counts as five.
SMALL_FILE = 32 << 20
SMALL_WIDE_FILE = 128 << 20  # more columns than this cost the database more than they cost Python
WIDE = 1000


def read(
    source: Any,
    *,
    kinds: KindChoice | None = None,
    names: Sequence[str] | None = None,
    missing: Sequence[str] = (),
    **roles: str,
) -> Table:
    """Read a data set.

    source: a path (.csv, .tsv, .txt, also .gz; .parquet, .json, .ndjson, .feather, .arrow), a pandas,
    polars or pyarrow frame, a dict of arrays, a list of records, a two-dimensional array, or a ``Table``.
    kinds: column to kind, where the rule of ``data/variables.py`` should not decide; a list of levels,
    lowest first, makes an ordinal column. names: column names of an array (default x1, x2, ...) or of a
    text file without a header line. missing: more markers of a missing value, besides an empty field,
    NA, N/A, NaN, null, None and a single dot in text files. roles: ``unit=``, ``time=``, ``cluster=``,
    ``weights=``, ``treatment=``, ``outcome=`` name columns.

    Every row is kept, in order; nothing is imputed. What the user should know is in ``Table.remarks``.
    Raises ``WhenceError`` with the place of whatever cannot be read.
    """
    for role in roles:
        if role not in ROLES:
            raise unknown_name("role", role, sorted(ROLES), code="unknown_role")
    kinds = _checked_kinds(kinds or {})
    markers = _checked_markers(missing)
    if isinstance(source, Table):
        if names is not None:
            raise WhenceError("A Table already has names.", code="unexpected_names", value=list(names))
        table = _with_kinds(source, kinds, markers)
    elif isinstance(source, (str, os.PathLike)):
        table = _read_path(Path(source), kinds, names, markers)
    else:
        from whence.data.frames import from_memory

        raws, remarks = from_memory(source, names)
        table = build(raws, remarks, kinds, markers, "memory")
    return _with_roles(table, roles)


def _checked_kinds(kinds: KindChoice) -> KindChoice:
    if not isinstance(kinds, Mapping):
        raise WhenceError(
            f"kinds= is a {type(kinds).__name__}; it should map column names to kinds.",
            code="bad_kinds", value=type(kinds).__name__, allowed="a dict of column to kind",
        )
    for kind in kinds.values():
        if not isinstance(kind, (list, tuple)) and kind not in KINDS:
            raise unknown_name("kind", kind, KINDS, code="unknown_kind")
    return kinds


def _checked_markers(missing: Sequence[str]) -> frozenset[str]:
    if isinstance(missing, str):
        missing = (missing,)
    return frozenset(str(m).strip() for m in missing)


def _read_path(path: Path, kinds: KindChoice, names: Sequence[str] | None, markers: frozenset[str]) -> Table:
    ending = _check_path(path)
    if ending.startswith(TEXT_ENDINGS):
        return _read_text(path, kinds, names, markers, gzipped=ending.endswith(".gz"))
    if names is not None:
        raise WhenceError(
            f"names= is for text files without a header line; {path.name} has its own names.",
            code="unexpected_names", value=list(names), hint="Leave names= out.",
        )
    if ending in DATABASE_ENDINGS:
        from whence.data.largefile import read_typed

        return read_typed(path, "parquet" if ending in (".parquet", ".pq") else "ndjson", kinds, markers)
    from whence.data.documents import from_arrow_file, from_json_file

    raws, remarks = (from_json_file if ending == ".json" else from_arrow_file)(path)
    return build(raws, remarks, kinds, markers, str(path))


def _check_path(path: Path) -> str:
    """The ending that says how to read ``path``, or the error that says why not."""
    shown = str(path)
    if "://" in shown or shown.startswith(("http:/", "https:/", "s3:/")):
        raise WhenceError(
            f"{shown} is an address; whence reads local files.", code="file_not_found", value=shown,
            hint="Download it first.",
        )
    if path.is_dir():
        raise WhenceError(f"{shown} is a directory, not a file.", code="is_a_directory", value=shown,
                          hint="Name a file in it.")
    if not path.exists():
        raise _not_found(path)
    lower = path.name.lower()
    ending = next((e for e in sorted(ENDINGS, key=len, reverse=True) if lower.endswith(e)), None)
    if ending is None:
        raise WhenceError(
            f"The ending of {shown} does not say how to read it.", code="unknown_ending", value=path.suffix,
            allowed=ENDINGS, hint="Rename it, or read it with pandas or polars and pass the frame.",
        )
    if not os.access(path, os.R_OK):
        raise WhenceError(f"{shown} may not be read by this user.", code="not_permitted", value=shown)
    if path.stat().st_size == 0:
        raise WhenceError(f"{shown} is empty.", code="empty_file", value=shown, hint="Is it the right file?")
    return ending


def _not_found(path: Path) -> WhenceError:
    import difflib

    folder = path.parent
    there = sorted(p.name for p in folder.iterdir() if p.is_file())[:5000] if folder.is_dir() else []
    close = difflib.get_close_matches(path.name, there, n=3)
    hint = "Did you mean " + " or ".join(repr(c) for c in close) + "?" if close else None
    if not folder.is_dir():
        hint = f"There is no directory {folder} either."
    return WhenceError(f"There is no file {path}.", code="file_not_found", value=str(path), hint=hint)


def _read_text(
    path: Path, kinds: KindChoice, names: Sequence[str] | None, markers: frozenset[str], *, gzipped: bool
) -> Table:
    from whence.data.textfile import layout, read_records

    form = layout(path, gzipped=gzipped, names=names)
    size = path.stat().st_size * (5 if gzipped else 1)
    if size > (SMALL_WIDE_FILE if len(form.names) > WIDE else SMALL_FILE):
        from whence.data.largefile import read_large_text

        return read_large_text(form, kinds, markers)
    rows, remarks = read_records(form)
    all_markers = MARKERS | markers
    raws = [parse_column(n, texts, all_markers) for n, texts in zip(form.names, zip(*rows, strict=True), strict=True)]
    return build(raws, form.remarks + remarks, kinds, markers, str(path))


def build(
    raws: Sequence[Raw], remarks: tuple[Remark, ...], kinds: KindChoice, markers: frozenset[str], source: str
) -> Table:
    """The table of columns in memory: markers applied, values checked, kinds chosen.

    Raises ``WhenceError`` with ``no_columns``, ``no_rows``, ``unknown_column``, ``infinite_value`` or
    ``kind_mismatch``.
    """
    if not raws:
        raise WhenceError(f"{source} has no columns.", code="no_columns", value=source)
    if not len(raws[0].values):
        from whence.data.textfile import no_rows

        raise no_rows(source)
    check_known(kinds, [r.name for r in raws])
    raws = [_marked(r, markers) for r in raws] if markers else raws
    _check_finite(raws)
    columns = {raw.name: _column(raw, kinds.get(raw.name)) for raw in raws}
    notes = [*remarks, *(_rounded(raws))]
    mixed = {name for r in remarks if r.code == "mixed_types" for name in r.about}
    for raw in raws:
        if raw.storage == "text" and columns[raw.name].kind in ("text", "categorical") and raw.name not in mixed:
            notes += text_remarks(raw.name, raw.values)
    return Table(MappingProxyType(columns), len(raws[0].values), source=source, remarks=tuple(notes))


def check_known(kinds: KindChoice, names: Sequence[str]) -> None:
    for name in kinds:
        if name not in names:
            raise unknown_name("column", name, names, code="unknown_column")


def _column(raw: Raw, wanted: str | Sequence[Any] | None) -> Column:
    if isinstance(wanted, (list, tuple)):
        return encode_ordered(raw, wanted)
    if wanted is not None:
        return encode(raw, str(wanted))
    if raw.storage == "text":
        from whence.data.parse import parse_dates

        dates = parse_dates(raw.values)
        if dates is not None:
            raw = Raw(raw.name, "datetime", dates)
    return encode(raw, infer_kind(facts(raw)))


def _marked(raw: Raw, markers: frozenset[str]) -> Raw:
    """The column with the user's markers made missing."""
    if raw.storage == "text":
        values = raw.values.copy()
        values[[v is not None and v.strip() in markers for v in values]] = None
        return Raw(raw.name, "text", values)
    if raw.storage == "number":
        numbers = [n for n in map(number_of, markers) if n is not None]
        return Raw(raw.name, "number", np.where(np.isin(raw.values, numbers), np.nan, raw.values))
    if raw.storage == "levels":
        gone = [i for i, level in enumerate(raw.levels or ()) if str(level).strip() in markers]
        codes = np.where(np.isin(raw.values, gone), -1, raw.values).astype(np.int32)
        return Raw(raw.name, "levels", codes, raw.levels, raw.ordered)
    return raw


def _check_finite(raws: Sequence[Raw]) -> None:
    bad = {}
    for raw in raws:
        if raw.storage == "number":
            rows = np.flatnonzero(np.isinf(raw.values))
            if len(rows):
                bad[raw.name] = {"count": len(rows), "rows": (rows[:20] + 1).tolist()}
    if bad:
        raise infinite_values(bad)


def infinite_values(bad: Mapping[str, Mapping[str, Any]]) -> WhenceError:
    """The error that names the columns with infinite values, how many, and their first rows."""
    shown = "; ".join(
        f"{name!r} has {b['count']}" + (f" (first in row {b['rows'][0]})" if b.get("rows") else "")
        for name, b in list(bad.items())[:6]
    )
    return WhenceError(
        f"Infinite values: column {shown}.", code="infinite_value", value=dict(bad), allowed="finite numbers",
        hint="Mark them as missing with missing=['inf', '-inf'], or mend the data.",
    )


def _rounded(raws: Sequence[Raw]) -> list[Remark]:
    """Whole numbers too large to be held exactly."""
    out = []
    for raw in raws:
        if raw.storage == "number":
            present = raw.values[~np.isnan(raw.values)]
            if len(present) and np.abs(present).max() > 2**53 and (present == np.rint(present)).all():
                out.append(rounded_remark(raw.name))
    return out


def rounded_remark(name: str) -> Remark:
    text = (
        f"Column {name!r} holds whole numbers beyond 2^53, which are rounded when stored; "
        "if they are labels, give them as text."
    )
    return Remark("rounded_integers", text, (name,))


def _with_kinds(table: Table, kinds: KindChoice, markers: frozenset[str]) -> Table:
    check_known(kinds, table.names)
    if not kinds and not markers:
        return table
    changed = table.names if markers else tuple(kinds)
    columns = {name: table.column(name) for name in table.names}
    for name in changed:
        raw = _marked(raw_of(columns[name]), markers)
        columns[name] = _column(raw, kinds.get(name, columns[name].kind))
    return Table(
        MappingProxyType(columns), table.n_rows, table.roles, table.source, remarks=table.remarks
    )


def _with_roles(table: Table, roles: Mapping[str, str]) -> Table:
    if not roles:
        return table
    for name in roles.values():
        if name not in table:
            raise unknown_name("column", name, table.names, code="unknown_column")
    merged = MappingProxyType({**table.roles, **roles})
    return Table(table.columns, table.n_rows, merged, table.source, table.backing, table.remarks)
