"""Controls that leave nothing to compare, narrowed to what was fixed before the treatment.

A table often holds other outcomes and parts of the outcome beside the traits that people brought along. Where all of
them together all but determine the treatment, the instrument or the outcome, adjusting for all answers nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from whence.core.result import Refused, Remark
from whence.data.table import Table
from whence.stats.features import codes_of, features
from whence.studies.evidence.hints import TRAIT, hint, said_of
from whence.studies.words import Description

MOST_ROWS = 20_000  # of longer tables every k-th row is looked at
DETERMINED = 0.9  # share of a treatment or an instrument that controls may explain
COPIED = 0.999  # and of the outcome
FEWEST = 30


def narrowed(
    table: Table, treatment: str, outcome: str, instruments: Sequence[str], names: tuple[str, ...],
    described: Mapping[str, Description], before: Collection[str] = (),
) -> tuple[tuple[str, ...], list[Remark]]:
    """The controls to use, and a remark where they are fewer than ``names``. before: said to precede the treatment."""
    target = determined(table, treatment, outcome, instruments, names)
    traits = tuple(n for n in names if n in before or hint(said_of(n, described), TRAIT)[0])
    if target is None or not traits or len(traits) == len(names):
        return names, []
    left = [n for n in names if n not in traits]
    return traits, [Remark(
        "controls_narrowed", f"All {len(names)} columns together all but determine {target}, so that nothing would be "
        f"left to compare. Adjusted for is what people bring along by its name or description; {len(left)} other "
        "columns may be other outcomes or parts of them. Name the controls to decide it.", tuple(left),
        {"determined": target})]


def determined(
    table: Table, treatment: str, outcome: str, instruments: Sequence[str], names: tuple[str, ...]
) -> str | None:
    """The first of treatment, instruments and outcome that the columns all but determine, or None."""
    rows = np.flatnonzero(table.complete([treatment, outcome, *instruments]))
    rows = rows[:: max(1, -(-len(rows) // MOST_ROWS))]
    if not names or len(rows) < FEWEST:
        return None
    made = features(table, names, rows)
    if isinstance(made, Refused):
        return treatment
    x = np.column_stack([np.ones(len(rows)), made.matrix])
    spread = x.std(0)
    x = np.column_stack([np.ones(len(rows)), (x[:, spread > 0] - x[:, spread > 0].mean(0)) / spread[spread > 0]])
    free = len(rows) - np.linalg.matrix_rank(x)
    for name, most in ((treatment, DETERMINED), *((z, DETERMINED) for z in instruments), (outcome, COPIED)):
        y = _numbers(table, name, rows)
        whole = float(((y - y.mean()) ** 2).sum())
        left = float(((y - x @ np.linalg.lstsq(x, y, rcond=None)[0]) ** 2).sum())
        if whole > 0 and (free <= 0 or 1 - (left / free) / (whole / (len(rows) - 1)) > most):
            return name
    return None


def _numbers(table: Table, name: str, rows: np.ndarray) -> np.ndarray:
    column = table.column(name)
    if column.kind in ("categorical", "text"):
        return (codes_of(column, rows) == 0).astype(float)
    return column.numeric()[rows].astype(float)
