"""What a table holds and what to know before using it; each remark with its evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from whence.core.progress import SILENT, Progress
from whence.core.result import Remark, fields_to_plain
from whence.data.load import read
from whence.data.summary import Summary as ColumnProfile
from whence.data.summary import summaries
from whence.data.table import Table


@dataclass(frozen=True)
class Profile:
    """columns: one summary each. remarks: what to know, the weightiest first."""

    source: str
    n_rows: int
    columns: tuple[ColumnProfile, ...]
    remarks: tuple[Remark, ...]

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def _repr_html_(self) -> str:
        from whence.data.profilehtml import to_html

        return to_html(self)


def profile(source: Any, *, progress: Progress = SILENT) -> Profile:
    """Look at a table (or anything ``read`` takes): kinds, ranges, missing values, and what stands out.

    Tests run on a fixed sample of about ``remarks.SAMPLE`` rows and on a bounded number of columns; the remarks
    say when that cut something off. Each family of tests (missingness, non-Gaussianity, nonlinearity) finds
    something that is not there with probability of at most 5 % (Holm's correction within the family).
    Raises ``WhenceError`` as ``read`` does.
    """
    from whence.data import remarks

    table = source if isinstance(source, Table) else read(source)
    progress.begin("profiling", len(remarks.STEPS) + 1)
    try:
        columns = summaries(table)
        progress.step()
        found = list(table.remarks)
        for step in remarks.steps(table, columns):
            found += step()
            progress.step()
    finally:
        progress.end()
    return Profile(table.source, table.n_rows, columns, tuple(found))
