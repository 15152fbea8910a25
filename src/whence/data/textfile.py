"""Delimited text files: the head (delimiter, header), whole small files, and the places of what is wrong.

Small files are read here record by record, which gives exact places; large ones go through the database
(``database.py``) and are checked against the counts of ``scan``.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from whence.core.errors import WhenceError
from whence.core.result import Remark
from whence.data.names import clean_names
from whence.data.parse import MARKERS, number_of

DELIMITERS = (",", ";", "\t", "|")
HEAD = 1 << 16


@dataclass(frozen=True)
class Layout:
    """How a delimited text file is laid out. header: whether the first record holds the names."""

    path: Path
    gzipped: bool
    delimiter: str
    names: tuple[str, ...]
    header: bool
    spaced_quotes: bool
    remarks: tuple[Remark, ...]

    def open(self) -> IO[bytes]:
        return open_binary(self.path, self.gzipped)

    def records(self, text: IO[str]) -> Any:
        return _reader(text, self.delimiter, self.spaced_quotes)


def open_binary(path: Path, gzipped: bool) -> Any:
    return gzip.open(path, "rb") if gzipped else path.open("rb")


def _reader(text: IO[str] | Sequence[str], delimiter: str, spaced_quotes: bool) -> Any:
    csv.field_size_limit(1 << 30)
    return csv.reader(text, delimiter=delimiter, strict=True, skipinitialspace=spaced_quotes)


def layout(path: Path, *, gzipped: bool, names: Sequence[str] | None) -> Layout:
    """The layout, from the head of the file.

    names: given when the file has no header line. Raises ``WhenceError`` with ``empty_file``,
    ``no_rows``, ``not_utf8``, ``binary_file``, ``no_header``, ``names_and_header`` or ``duplicate_column``.
    """
    head, whole = _head(path, gzipped)
    if not head.strip():
        raise WhenceError(f"{path} is empty.", code="empty_file", value=str(path), hint="Is it the right file?")
    delimiter = _delimiter(head, whole, prefer="\t" if ".tsv" in path.name.lower() else ",")
    spaced_quotes = f'{delimiter} "' in head
    records = _some_records(head, whole, delimiter, spaced_quotes)
    if not records:
        raise _unfinished_quote(path, 1)
    first, rest = records[0], records[1:]
    if names is None:
        _check_header(path, first)
        columns, remarks = clean_names(first, str(path))
    else:
        _check_no_header(path, first, rest, names)
        columns, remarks = clean_names(names, "names=")
    return Layout(path, gzipped, delimiter, columns, names is None, spaced_quotes, remarks)


def _head(path: Path, gzipped: bool) -> tuple[str, bool]:
    """Some first lines, at least two if there are, and whether that is the whole file."""
    with open_binary(path, gzipped) as file:
        block = _read(file, HEAD, path)
        while block and len(block.splitlines()) < 3 and (more := _read(file, len(block), path)):
            block += more
        whole = not _read(file, 1, path)
    if block[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise WhenceError(
            f"{path} is not UTF-8 text: its first bytes are the mark of UTF-16.",
            code="not_utf8", value=str(path), hint=f"Convert it: iconv -f UTF-16 -t UTF-8 {path.name} > new.csv",
        )
    check_bytes(path, gzipped, block, whole)
    return block.decode("utf-8-sig", errors="ignore"), whole


def _read(file: IO[bytes], size: int, path: Path) -> bytes:
    try:
        return file.read(size)
    except (OSError, EOFError) as error:  # gzip: not gzipped at all, or cut short
        raise WhenceError(
            f"{path} could not be unpacked: {error}.", code="unreadable_file", value=str(path),
            hint="Is the download complete, and is it really a gzip file?",
        ) from None


def check_bytes(path: Path, gzipped: bool, block: bytes, whole: bool = True) -> None:
    """Refuse NUL bytes and text that is not UTF-8. A character cut by the end of a partial block is fine."""
    if b"\x00" in block:
        raise WhenceError(
            f"{path} is not a text file: it has a zero byte at offset {block.index(0)}.",
            code="binary_file", value=str(path), hint="Does its ending say what it is?",
        )
    try:
        block.decode("utf-8")
    except UnicodeDecodeError as error:
        if whole or error.start < len(block) - 4:
            raise not_utf8(path, gzipped) from None


def not_utf8(path: Path, gzipped: bool) -> WhenceError:
    """The error that names the first byte that is not UTF-8."""
    offset = 0
    with open_binary(path, gzipped) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                at = offset + error.start
                return WhenceError(
                    f"{path} is not UTF-8 text: byte 0x{line[error.start]:02x} at offset {at}, line {number}.",
                    code="not_utf8", value={"offset": at, "line": number},
                    hint=f"If it is Windows text: iconv -f WINDOWS-1252 -t UTF-8 {path.name} > new.csv",
                )
            offset += len(line)
    return WhenceError(f"{path} is not UTF-8 text.", code="not_utf8", value=str(path))


def _some_records(head: str, whole: bool, delimiter: str, spaced_quotes: bool) -> list[list[str]]:
    """Complete records of the head that are not blank, as far as they can be read."""
    records: list[list[str]] = []
    try:
        records.extend(_reader(io.StringIO(head, newline=""), delimiter, spaced_quotes))
    except csv.Error:
        pass  # its place is told when the whole file is read
    else:
        if not whole and len(records) > 1:
            records.pop()  # cut by the end of the head
    return [r for r in records if r]


def head_records(form: Layout) -> list[list[str]]:
    """The records below the header that the head of the file holds."""
    head, whole = _head(form.path, form.gzipped)
    return _some_records(head, whole, form.delimiter, form.spaced_quotes)[form.header :]


def _delimiter(head: str, whole: bool, prefer: str) -> str:
    """The delimiter under which the first record has most fields and most records agree with it.

    One column (no delimiter found) gives ``prefer``.
    """
    best, best_score = prefer, (0.0, 0, False)
    for delimiter in DELIMITERS:
        records = _some_records(head, whole, delimiter, f'{delimiter} "' in head)[:200]
        if records and len(records[0]) > 1:
            width = len(records[0])
            agree = sum(len(r) == width for r in records) / len(records)
            score = (agree, width, delimiter == prefer)
            if score > best_score:
                best, best_score = delimiter, score
    return best


def _check_header(path: Path, first: Sequence[str]) -> None:
    numbers = [number_of(field) for field in first if field.strip()]
    if not numbers or any(n is None for n in numbers):
        return
    run = all(b - a == 1 for a, b in itertools.pairwise(n for n in numbers if n is not None))
    if run and float(numbers[0] or 0.0).is_integer() and (len(numbers) > 1 or numbers[0] in (0.0, 1.0)):
        return  # 0, 1, 2, ... are the names that many tools give
    raise WhenceError(
        f"The first line of {path} holds only numbers ({', '.join(first[:4])}{', ...' if len(first) > 4 else ''}), "
        "so it does not seem to hold the column names.",
        code="no_header", value=list(first[:20]), hint="Add a header line, or give the names with names=[...].",
    )


def _check_no_header(
    path: Path, first: Sequence[str], rest: Sequence[Sequence[str]], names: Sequence[str]
) -> None:
    if len(names) != len(first):
        raise WhenceError(
            f"names= has {len(names)} names, but the first line of {path} has {len(first)} fields.",
            code="wrong_length", value=len(names), allowed=str(len(first)),
        )
    for i, field in enumerate(first):
        column = [r[i] for r in rest if len(r) > i and r[i].strip() not in MARKERS]
        heading = field.strip() not in MARKERS and number_of(field) is None
        if column and heading and all(number_of(v) is not None for v in column):
            raise WhenceError(
                f"names= says that {path} has no header line, but its first line looks like one: "
                f"{field!r} stands above numbers.",
                code="names_and_header", value=list(first[:20]), hint="Leave names= out.",
            )


def read_records(layout: Layout) -> tuple[list[list[str]], tuple[Remark, ...]]:
    """Every record below the header of a small file, each with one field per column, and remarks.

    Raises ``WhenceError`` with ``ragged_rows`` (line numbers and numbers of fields), ``bad_quotes``,
    ``not_utf8`` or ``no_rows``.
    """
    with layout.open() as file:
        block = _read(file, -1, layout.path)
    check_bytes(layout.path, layout.gzipped, block)
    text = io.StringIO(block.decode("utf-8-sig"), newline="")
    rows: list[list[str]] = []
    return rows, check_records(layout, text, rows)[1]


def check_records(
    layout: Layout, text: IO[str], keep: list[list[str]] | None = None
) -> tuple[int, tuple[Remark, ...]]:
    """Go through every record; errors as in ``read_records``. Rows are counted, and kept in ``keep`` if given."""
    width = len(layout.names)
    ragged: list[tuple[int, int]] = []
    blank: list[int] = []
    count = n_ragged = n_blank = trailing = 0
    for line, record in _numbered(layout, text):
        if len(record) != width:
            if record:
                n_ragged += 1
                if len(ragged) < 20:
                    ragged.append((line, len(record)))
                continue
            if width > 1:
                trailing += 1
                n_blank += 1
                if len(blank) < 20:
                    blank.append(line)
                continue
            record = [""]  # one column: a blank line is a row with its only value missing
        trailing = 0
        count += 1
        if keep is not None:
            keep.append(record)
    if ragged:
        raise ragged_rows(layout, ragged, n_ragged, count + n_ragged)
    if not count:
        raise no_rows(str(layout.path))
    inside = n_blank - trailing
    return count, _blank_lines(blank[:inside], inside) if inside else ()


def _numbered(layout: Layout, text: IO[str]) -> Iterator[tuple[int, list[str]]]:
    """Records below the header with the number of the line each starts on."""
    reader = layout.records(text)
    skip, start = layout.header, 1
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise _unfinished_quote(layout.path, start) from None
            raise WhenceError(
                f"Line {reader.line_num} of {layout.path} cannot be read: {error}.",
                code="bad_quotes", value=reader.line_num,
                hint='Inside a quoted field a quote is written twice: "a 5"" pipe".',
            ) from None
        line, start = start, reader.line_num + 1
        if skip:
            skip = not record  # blank lines above the header
            continue
        yield line, record


def _unfinished_quote(path: Path, line: int) -> WhenceError:
    return WhenceError(
        f"A quoted field of {path} that opens in the record on line {line} is never closed.",
        code="bad_quotes", value=line, hint="Close the quote, or double it if it is part of the text.",
    )


def ragged_rows(layout: Layout, ragged: list[tuple[int, int]], total: int, rows: int) -> WhenceError:
    width = len(layout.names)
    shown = ", ".join(f"line {line} has {fields}" for line, fields in ragged[:5])
    hint = "Quote fields that contain the delimiter, and give every row one field per column."
    if total == rows and all(fields == width + 1 for _, fields in ragged):
        hint = "Every row has one field more than the header: name the first column too."
    return WhenceError(
        f"{total} row{'s' * (total > 1)} of {layout.path} "
        f"{'do' if total > 1 else 'does'} not have the {width} fields of the header "
        f"(delimiter {layout.delimiter!r}): {shown}{', ...' if total > 5 else ''}.",
        code="ragged_rows", value=[{"line": line, "fields": fields} for line, fields in ragged],
        allowed=f"{width} fields", hint=hint,
    )


def no_rows(where: str) -> WhenceError:
    return WhenceError(
        f"{where} has column names but no rows.", code="no_rows", value=where, hint="Was it written to the end?"
    )


def _blank_lines(lines: list[int], total: int) -> tuple[Remark, ...]:
    shown = ", ".join(map(str, lines[:5])) + (", ..." if total > 5 else "")
    text = f"{total} blank line{'s' * (total > 1)} in the file carry no data and were passed over (line {shown})."
    return (Remark("blank_lines", text, (), {"lines": lines, "total": total}),)
