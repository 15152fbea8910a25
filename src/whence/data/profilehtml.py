"""A profile as a small self-contained piece of HTML, for notebooks and reports."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whence.data.profile import Profile
    from whence.data.summary import Summary

MAX_COLUMNS = 200


def to_html(profile: Profile) -> str:
    """Columns as a table and the remarks as a list."""
    heads = ("column", "kind", "missing", "distinct", "range or levels", "mean", "sd")
    head = "".join(f"<th>{h}</th>" for h in heads)
    body = "".join(_row(c, profile.n_rows) for c in profile.columns[:MAX_COLUMNS])
    rest = len(profile.columns) - MAX_COLUMNS
    more = f"<p>and {rest:,} more columns</p>" if rest > 0 else ""
    remarks = "".join(f"<li>{escape(r.text)}</li>" for r in profile.remarks)
    size = f"{profile.n_rows:,} rows × {len(profile.columns):,} columns"
    return (
        f"<div><p><b>{escape(profile.source)}</b>: {size}</p><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>{more}{f'<ul>{remarks}</ul>' if remarks else ''}</div>"
    )


def _row(c: Summary, rows: int) -> str:
    missing = f"{c.n_missing:,} ({c.n_missing / rows:.1%})" if c.n_missing else "0"
    distinct = f"{'about ' if c.estimated else ''}{c.n_distinct:,}"
    cells = (escape(c.name), c.kind, missing, distinct, escape(spread(c)), number(c.mean), number(c.sd))
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def spread(c: Summary) -> str:
    """The range of a column, or its most common levels."""
    if c.top:
        shown = ", ".join(f"{level} ({count:,})" for level, count in c.top)
        return shown + (", ..." if c.n_distinct > len(c.top) else "")
    if c.low is None:
        return ""
    return f"{number(c.low)} to {number(c.high)}" if isinstance(c.low, float) else f"{c.low} to {c.high}"


def number(value: Any) -> str:
    return "" if value is None else f"{value:.6g}"
