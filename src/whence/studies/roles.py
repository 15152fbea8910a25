"""Which columns can be controls when no graph says so, and why the others cannot.

Role safety, not cleverness: a column that may be measured after the treatment, an identifier, a copy of the
treatment or the outcome, or one that would cost too many rows is left out, and each exclusion is said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from whence.core.result import Remark
from whence.data.table import CODED, NUMERIC, Table
from whence.studies.words import Description

MOST_MISSING = 0.2  # a control missing on more rows than this costs too much
NEAR_COPY = 0.98  # absolute correlation above which a column is a copy of the treatment or the outcome
_YEAR = re.compile(r"\b(?:18|19|20)\d\d\b")
_LATER = re.compile(r"(?:^|[_\W])(?:after|afterwards|follow[-_ ]?up|endline|outcome|resulting|final|subsequent(?:ly)?)"
                    r"(?:$|[_\W])|\bpost[- ]?(?:treatment|intervention|program\w*|policy|reform|period|campaign|test|"
                    r"trial|"
                    r"study|training|randomi[sz]ation|implementation|event)\b", re.IGNORECASE)
_LATER_NAME = re.compile(r"(?:^|_)(?:post|after|followup|endline|final)(?:$|_)", re.IGNORECASE)
_EARLIER = re.compile(r"(?:^|_|\b)(?:baseline|pre|prior|previous|initial|lagged)(?:_|\b)", re.IGNORECASE)
_IDENTIFIER = re.compile(r"(?:^|_)(?:id|uuid|seqn|key|index|identifier|rownames?)$|^(?:unnamed.*|)$", re.IGNORECASE)


def choose_controls(
    table: Table, treatment: str, outcome: str, described: Mapping[str, Description]
) -> tuple[tuple[str, ...], list[Remark]]:
    """Controls in name order and a remark for every column left out. No graph is assumed."""
    kept, left_out = [], []
    for name in sorted(set(table.names) - {treatment, outcome}):
        reason = why_not(table, name, treatment, outcome, described)
        if reason is None:
            kept.append(name)
        else:
            left_out.append(Remark("excluded", f"{name} is not adjusted for: {reason}.", (name,)))
    return tuple(kept), left_out


def unusable(table: Table, name: str) -> str | None:
    """Why a column cannot enter an analysis as a number or a category, or None."""
    column = table.column(name)
    if column.kind in ("text", "datetime"):
        return f"it holds {'free text' if column.kind == 'text' else 'dates'}"
    present = column.values[~column.missing]
    if len(present) == 0:
        return "it is missing on every row"
    if (present == present[0]).all():
        return "it has the same value on every row"
    return None


def is_identifier(table: Table, name: str) -> bool:
    """Whether a column only names rows: named like one, or as many categories as would fit no model."""
    column = table.column(name)
    present = column.values[~column.missing]
    distinct = len(set(present.tolist())) if column.kind == "text" else len(np.unique(present))
    if column.kind in CODED:
        return distinct > max(20, len(present) // 10)
    if not _IDENTIFIER.search(name) or distinct != len(present):
        return False
    return column.kind not in NUMERIC or bool((present == np.round(present)).all())  # an index of prices is a measure


def why_not(
    table: Table, name: str, treatment: str, outcome: str, described: Mapping[str, Description]
) -> str | None:
    """Why ``name`` should not be a control, in words, or None when it may be one."""
    if reason := unusable(table, name):
        return reason
    if is_identifier(table, name):
        return "it identifies rows"
    missing = float(table.column(name).missing.mean())
    if missing > MOST_MISSING:
        return f"it is missing on {missing:.0%} of the rows"
    if reason := measured_later(name, treatment, described):
        return reason
    for other, role in ((treatment, "treatment"), (outcome, "outcome")):
        if _near_copy(table, name, other):
            return f"it is nearly a copy of the {role} {other}"
    return None


def measured_later(name: str, treatment: str, described: Mapping[str, Description]) -> str | None:
    """Words or years that place the column after the treatment began."""
    text = described[name].text if name in described else ""
    told_before = _EARLIER.search(name) or _EARLIER.match(text)
    if not told_before and (match := _LATER_NAME.search(name) or _LATER.search(name) or _LATER.search(text)):
        return f"the word {match[0].strip('_ ,;:.()').lower()!r} suggests that it is measured after the treatment"
    year, treated = _latest_year(name, described), _latest_year(treatment, described)
    if year is not None and treated is not None and year >= treated:
        return f"it is dated {year}, not before the treatment ({treated})"
    return None


def dated_before(name: str, treatment: str, described: Mapping[str, Description]) -> bool:
    """Whether the descriptions date a column before the treatment, so that it cannot be an effect of it."""
    year, treated = _latest_year(name, described), _latest_year(treatment, described)
    return year is not None and treated is not None and year < treated


def _latest_year(name: str, described: Mapping[str, Description]) -> int | None:
    years = [int(y) for y in _YEAR.findall(described[name].text)] if name in described else []
    return max(years, default=None)


def _near_copy(table: Table, name: str, other: str) -> bool:
    a, b = table.column(name), table.column(other)
    if "categorical" in (a.kind, b.kind):
        return False
    x, y = a.numeric(), b.numeric()
    both = ~(np.isnan(x) | np.isnan(y))
    if both.sum() < 3 or np.ptp(x[both]) == 0 or np.ptp(y[both]) == 0:
        return False
    return bool(abs(np.corrcoef(x[both], y[both])[0, 1]) > NEAR_COPY)
