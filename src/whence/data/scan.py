"""A quick pass over the bytes of a large text file: is it UTF-8, and how many fields and records has it?

The counts are made apart from the database that reads the file, so that a row it leaves out is noticed.
"""

from __future__ import annotations

import codecs
import io
import re
from dataclasses import dataclass

from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.result import Remark
from whence.data.textfile import Layout, check_bytes, check_records, not_utf8

BLOCK = 1 << 22
_UNDERSCORED = re.compile(rb"\d_\d")


@dataclass(frozen=True)
class Scan:
    """Counts outside quotes. records: lines, with the header. delimiters: of all records.

    underscored: some digits have an underscore between them, which the database would take for a number.
    """

    records: int
    delimiters: int
    underscored: bool


def scan(form: Layout, progress: Progress = SILENT) -> Scan:
    """The counts of a file. Raises ``WhenceError`` with ``not_utf8`` or ``binary_file``."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    delimiter = form.delimiter.encode()
    newline = b"\r" if _only_returns(form) else b"\n"
    records = delimiters = 0
    quoted = underscored = False
    last = newline
    with form.open() as file:
        while block := file.read(BLOCK):
            if b"\x00" in block:
                check_bytes(form.path, form.gzipped, block)
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                raise not_utf8(form.path, form.gzipped) from None
            pieces = block.split(b'"')
            plain = block if len(pieces) == 1 and not quoted else b"".join(pieces[quoted::2])
            quoted ^= (len(pieces) - 1) % 2 == 1
            records += plain.count(newline)
            delimiters += plain.count(delimiter)
            if not underscored and b"_" in block:
                underscored = _UNDERSCORED.search(block) is not None
            last = block[-1:]
    if decoder.getstate()[0]:
        raise not_utf8(form.path, form.gzipped)
    return Scan(records + (last != newline), delimiters, underscored)


def _only_returns(form: Layout) -> bool:
    with form.open() as file:
        head = file.read(1 << 16)
    return b"\n" not in head and b"\r" in head


def verify(form: Layout, seen: Scan, rows: int) -> tuple[Remark, ...]:
    """Check that ``rows``, as the database read them, are all rows of the file.

    When the counts differ the file is gone through record by record: what is wrong is raised with its
    place, blank lines are remarked.
    """
    width = len(form.names)
    if seen.records == rows + form.header and seen.delimiters == (width - 1) * seen.records:
        return ()
    return explain(form, rows)


def explain(form: Layout, rows: int | None) -> tuple[Remark, ...]:
    """Go through every record and raise what is wrong with the first ones; otherwise the remarks.

    rows: as counted by the database, or None when it failed.
    """
    with form.open() as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        count, remarks = check_records(form, text)
    if count != rows:
        found = "could not be read by the database" if rows is None else f"was read as {rows}"
        raise WhenceError(
            f"{form.path} has {count} rows but {found}.", code="unreadable_file", value=str(form.path),
            hint="Are its line ends or quotes mixed? Writing it once more with one tool mends that.",
        )
    return remarks
