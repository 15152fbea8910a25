"""Large text, Parquet and JSON-lines files into a backed table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

from whence.core.errors import WhenceError
from whence.core.result import Remark
from whence.data import textfile
from whence.data.database import Backing, Database, LazyColumns, literal, literals, unreadable
from whence.data.names import clean_names
from whence.data.parse import MARKERS, number_of
from whence.data.scan import explain, scan, verify
from whence.data.storedkinds import choose
from whence.data.table import Table
from whence.data.variables import KindChoice, Storage

# Up to this many cells a table is held in memory and the database is let go.
EAGER_CELLS = 10_000_000

_NUMBERS = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|U?INTEGER|FLOAT|DOUBLE|REAL|DECIMAL.*|\"NULL\"|NULL")
_TEXTS = re.compile(r"VARCHAR|ENUM.*|UUID|TIME|TIME WITH TIME ZONE|JSON")


def read_large_text(form: textfile.Layout, kinds: KindChoice, markers: frozenset[str]) -> Table:
    """A text file through the database, with every record accounted for."""
    seen = scan(form)
    database = Database(on_disk=True)
    numbers = set() if seen.underscored else _numbers_in_head(form, MARKERS | markers)
    _load_text(database, form, numbers, MARKERS | markers)
    ((rows,),) = database.rows("SELECT count(*) FROM data")
    remarks = form.remarks + verify(form, seen, rows)
    if not rows:
        raise textfile.no_rows(str(form.path))
    storages: list[Storage] = ["number" if i in numbers else "text" for i in range(len(form.names))]
    return _table(database, form.names, storages, remarks, kinds, rows, str(form.path), parse=True)


def _numbers_in_head(form: textfile.Layout, markers: frozenset[str]) -> set[int]:
    """Positions of the columns whose values in the head are all numbers; the load proves them or not."""
    head = textfile.head_records(form)
    found = set()
    for i in range(len(form.names)):
        values = [r[i] for r in head if len(r) > i and r[i].strip() not in markers]
        if values and all(number_of(v) is not None for v in values):
            found.add(i)
    return found


def _load_text(database: Database, form: textfile.Layout, numbers: set[int], markers: frozenset[str]) -> None:
    """Load the file; a column that turns out to hold words is taken out of ``numbers`` and it starts over."""
    import duckdb

    for attempt in range(6):
        try:
            database.rows(_load_sql(form, numbers, markers))
        except duckdb.ConversionException as error:
            column = re.search(r'column "c(\d+)"', str(error))
            if attempt < 4 and column and int(column[1]) in numbers:
                numbers.remove(int(column[1]))
            else:
                numbers.clear()
        except (duckdb.InvalidInputException, duckdb.IOException):
            explain(form, None)  # raises what is wrong, with its place
        else:
            return
    raise WhenceError(f"{form.path} could not be read.", code="unreadable_file", value=str(form.path))


def _load_sql(form: textfile.Layout, numbers: set[int], markers: frozenset[str]) -> str:
    """Every option of the reader is given: nothing about the file is left to its guess."""
    width = range(len(form.names))
    types = ", ".join(f"'c{i}': '{'DOUBLE' if i in numbers else 'VARCHAR'}'" for i in width)
    marked = [n for n in map(number_of, markers) if n is not None and n == n]
    values = []
    for i in width:
        if i in numbers:
            gone = f"isnan(c{i})" + (f" OR c{i} IN ({literals(marked)})" if marked else "")
            values.append(f"CASE WHEN {gone} THEN NULL ELSE c{i} END AS c{i}")
        else:
            values.append(f"CASE WHEN trim(c{i}) IN ({literals(sorted(markers))}) THEN NULL ELSE c{i} END AS c{i}")
    return (
        f"CREATE OR REPLACE TABLE data AS SELECT {', '.join(values)} FROM read_csv({literal(str(form.path))}, "
        f"auto_detect=false, delim={literal(form.delimiter)}, quote='\"', escape='\"', comment='', "
        f"header={str(form.header).lower()}, skip=0, columns={{{types}}}, strict_mode=true, null_padding=false, "
        f"ignore_errors=false, nullstr=[{literals(sorted(markers))}], allow_quoted_nulls=true, "
        f"compression='{'gzip' if form.gzipped else 'none'}', max_line_size={1 << 24})"
    )


def read_typed(path: Path, form: str, kinds: KindChoice, markers: frozenset[str]) -> Table:
    """A Parquet (``form="parquet"``) or JSON-lines (``"ndjson"``) file, whose columns have types."""
    import duckdb

    source = f"read_parquet({literal(str(path))})"
    if form == "ndjson":
        source = (
            f"read_json({literal(str(path))}, format='newline_delimited', records=true, sample_size=-1, "
            "ignore_errors=false, convert_strings_to_integers=false, map_inference_threshold=-1, "
            f"maximum_object_size={1 << 26})"
        )
    database = Database(on_disk=True)
    try:
        described = database.rows(f"DESCRIBE SELECT * FROM {source}")
        own = [row[0] for row in described]
        if form == "parquet":  # the names in the file: SQL renames those that differ only in case
            inside = [row[0] for row in database.rows(f"SELECT name FROM parquet_schema({literal(str(path))})")]
            own = inside[1:] if len(inside) == len(own) + 1 else own
        names, remarks = clean_names(own, str(path))
        types = [row[1] for row in described]
        plans = [_plan(path, n, f"c{i}", types[i], markers) for i, n in enumerate(names)]
        values = ", ".join(f"{sql} AS c{i}" for i, (_, sql, _) in enumerate(plans))
        places = ", ".join(f"c{i}" for i in range(len(names)))
        database.rows(f"CREATE TABLE data AS SELECT {values} FROM (SELECT * FROM {source}) AS source({places})")
        ((rows,),) = database.rows("SELECT count(*) FROM data")
    except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException):
        raise  # a query of ours is wrong, not the file
    except duckdb.Error as error:
        raise unreadable(path, error) from None
    if not rows:
        raise textfile.no_rows(str(path))
    remarks += tuple(r for _, _, extra in plans for r in extra)
    return _table(database, names, [s for s, _, _ in plans], remarks, kinds, rows, str(path), parse=False)


def _plan(
    path: Path, name: str, c: str, sql_type: str, markers: frozenset[str]
) -> tuple[Storage, str, tuple[Remark, ...]]:
    """How a column of a typed file is held: storage, SQL, remarks."""
    if _NUMBERS.fullmatch(sql_type):
        number = f"CAST({c} AS DOUBLE)"
        marked = [n for n in map(number_of, markers) if n is not None and n == n]
        gone = f"isnan({number})" + (f" OR {number} IN ({literals(marked)})" if marked else "")
        return "number", f"CASE WHEN {gone} THEN NULL ELSE {number} END", ()
    if sql_type == "BOOLEAN":
        return "levels", c, ()
    if sql_type == "DATE" or sql_type.startswith("TIMESTAMP"):
        return "datetime", f"CAST({c} AS TIMESTAMP)", ()
    if sql_type == "INTERVAL":
        text = f"Column {name!r} holds spans of time and was read as seconds."
        return "number", f"CAST(epoch({c}) AS DOUBLE)", (Remark("durations_as_seconds", text, (name,)),)
    if _TEXTS.fullmatch(sql_type):
        text = f"({c} ->> '$')" if sql_type == "JSON" else f"CAST({c} AS VARCHAR)"
        if markers:
            text = f"CASE WHEN trim({text}) IN ({literals(sorted(markers))}) THEN NULL ELSE {text} END"
        mixed = f"Column {name!r} mixes types and was kept as text."
        return "text", text, (Remark("mixed_types", mixed, (name,)),) if sql_type == "JSON" else ()
    raise WhenceError(
        f"Column {name!r} of {path} has the type {sql_type}.",
        code="unsupported_values", value={"column": name, "type": sql_type},
        allowed=("numbers", "text", "True and False", "dates"),
        hint="Give every cell a single value; spread lists and records over several columns.",
    )


def _table(
    database: Database, names: Sequence[str], storages: list[Storage], remarks: tuple[Remark, ...],
    kinds: KindChoice, rows: int, source: str, *, parse: bool,
) -> Table:
    stored, more = choose(database, names, storages, kinds, parse=parse)
    backing = Backing(database, MappingProxyType(stored), rows)
    remarks += more
    if rows * len(names) > EAGER_CELLS:
        return Table(LazyColumns(backing), rows, source=source, backing=backing, remarks=remarks)
    held = backing.fetch(names)
    database.close()
    return Table(MappingProxyType(held), rows, source=source, remarks=remarks)
