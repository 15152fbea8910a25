"""A profile on the screen: one line per column, then what stands out."""

from __future__ import annotations

from typing import Any

from whence.cli import screen
from whence.data.profile import ColumnProfile, Profile
from whence.report import numbers

MOST = 100  # columns and remarks shown; --json has them all


def show(described: Profile) -> None:
    """Size, the table of columns, the remarks."""
    total = len(described.columns)
    screen.heading(described.source)
    screen.say(f"{numbers.count(described.n_rows, 'row')}, {numbers.count(total, 'column')}")
    screen.say()
    screen.table(
        ("column", "kind", "missing", "distinct", "values"),
        [_row(column, described.n_rows) for column in described.columns[:MOST]], right=("missing", "distinct"),
    )
    if total > MOST:
        screen.say(f"... and {numbers.count(total - MOST, 'more column', 'more columns')}; --json has them all.")
    if described.remarks:
        screen.heading("What stands out")
        for remark in described.remarks[:MOST]:
            screen.say(f"- {remark.text}")
        if len(described.remarks) > MOST:
            screen.say(f"... and {len(described.remarks) - MOST:,} more; --json has them all.")


def _row(column: ColumnProfile, n_rows: int) -> tuple[str, ...]:
    missing = numbers.percent(column.n_missing / n_rows) if column.n_missing else ""
    about = "about " if column.estimated else ""
    return column.name, column.kind, missing, f"{about}{column.n_distinct:,}", _values(column)


def _values(column: ColumnProfile) -> str:
    """The range and the mean of numbers, the range of dates, the most common levels."""
    if column.top:
        shown = ", ".join(f"{_short(value)} ({count:,})" for value, count in column.top)
        return shown + (", ..." if column.n_distinct > len(column.top) else "")
    if column.low is None:
        return ""
    span = f"{_short(column.low)} to {_short(column.high)}"
    return span if column.mean is None else f"{span}, mean {numbers.figures(column.mean, 4)}"


def _short(value: Any) -> str:
    text = numbers.figures(value, 4) if isinstance(value, float) else str(value)
    return text if len(text) <= 30 else text[:29] + "\u2026"
