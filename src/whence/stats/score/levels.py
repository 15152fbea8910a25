"""Codes of columns with levels, for discrete scores."""

from __future__ import annotations

import numpy as np

from whence.core.errors import WhenceError
from whence.core.result import Remark
from whence.data.table import Table

MOST_LEVELS = 255


def complete_rows(table: Table, names: tuple[str, ...]) -> tuple[np.ndarray, tuple[Remark, ...]]:
    """bool (n,) rows with a value in every column, and a remark on the others. Raises ``WhenceError``
    (``no_complete_rows``)."""
    rows = table.complete(names)
    lost = int((~rows).sum())
    if lost == len(table):
        raise WhenceError("No row has a value in every column.", code="no_complete_rows", value=len(table),
                          hint="Leave out the columns with most gaps.")
    text = f"{lost:,} of {len(table):,} rows miss a value and were not used."
    return rows, (Remark("missing_rows", text, (), {"rows": lost}),) if lost else ()


def level_codes(table: Table, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, tuple[Remark, ...]]:
    """uint8 (d, n) codes of the complete rows, int32 (d,) numbers of levels that occur in them, and remarks.

    Raises ``WhenceError``: ``too_many_levels`` for a column with more than 255; ``no_complete_rows``.
    """
    rows, remarks = complete_rows(table, names)
    n = int(rows.sum())
    codes = np.empty((len(names), n), dtype=np.uint8)
    cards = np.empty(len(names), dtype=np.int32)
    for i, name in enumerate(names):
        occurring, coded = np.unique(table.column(name).values[rows], return_inverse=True)
        level_limit(name, len(occurring))
        codes[i], cards[i] = coded, len(occurring)
    return codes, cards, remarks


def level_limit(name: str, levels: int) -> None:
    """Raises ``WhenceError`` (``too_many_levels``) for more than 255 levels."""
    if levels > MOST_LEVELS:
        raise WhenceError(
            f"Column {name!r} has {levels} levels.", code="too_many_levels", value=name,
            allowed=f"at most {MOST_LEVELS}", hint="Merge levels, or leave the column out.",
        )
