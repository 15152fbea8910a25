"""On what does it depend that values are missing?

Mohan, K., Pearl, J. and Tian, J. (2013). Graphical models for inference with missing data. Advances in Neural
Information Processing Systems 26. Tu, R., Zhang, C., Ackermann, P., Mohan, K., Kjellström, H. and Zhang, K. (2019).
Causal discovery in the presence of missing data. Artificial Intelligence and Statistics, PMLR 89:1762-1770.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from whence.core.progress import SILENT
from whence.core.result import Remark
from whence.data.table import CODED, NUMERIC, Column, Table
from whence.discovery.discrete import DiscreteTests
from whence.discovery.gaps import GapTests
from whence.discovery.independence import Tests
from whence.discovery.orientation import reaches
from whence.discovery.skeleton import skeleton

MOST_TESTS = 1_000_000  # pairs of columns beyond which nobody is asked to wait for this


@dataclass(frozen=True)
class Missingness:
    """causes: for each column whose gaps depend on others, those, in name order. p_value: the largest of the tests that
    did not separate them, by (column, cause)."""

    causes: Mapping[str, tuple[str, ...]]
    p_value: Mapping[tuple[str, str], float]


def causes_of_missing(table: Table, names: tuple[str, ...], alpha: float) -> Missingness | None:
    """The columns that the missingness of each column depends on, given any others among these columns.

    Each indicator of missing values is tested against each other column on the rows that have it, given growing sets of
    the columns still suspected (Tu et al. 2019, step 2 of algorithm 1), at level alpha divided by the number of
    columns, so that a column without causes is given some with probability at most alpha. A column cannot be tested
    against its own gaps, nor against those of columns missing in just the same rows. None for data on which this would
    take too long, and for numbers and categories together.
    """
    groups = _patterns(table, names)
    kinds = {table.kind(n) for n in names}
    if not groups or len(groups) * len(names) > MOST_TESTS or not (kinds <= NUMERIC or kinds <= CODED):
        return None
    marks = [_mark(k, names) for k in range(len(groups))]
    tests = _tests(table, names, [~_seen(table, g[0]) for g in groups], marks, kinds <= NUMERIC)
    if tests is None:
        return None
    d = len(names) + len(marks)
    may = np.zeros((d, d), dtype=bool)
    for k, group in enumerate(groups):
        may[[i for i, n in enumerate(names) if n not in group], len(names) + k] = True
    found = skeleton(tests, (*names, *marks), may, np.zeros_like(may), alpha / max(len(names) - 1, 1), None, SILENT)
    causes: dict[str, tuple[str, ...]] = {}
    p_value: dict[tuple[str, str], float] = {}
    for mark, group in zip(marks, groups, strict=True):
        told = [(n, found.evidence.of(n, mark)) for n in names if n not in group]
        held = {n: row.p_value for n, row in told if row.present and row.p_value is not None}
        for name in group if held else ():
            causes[name] = tuple(held)
            p_value |= {(name, n): p for n, p in held.items()}
    return Missingness(dict(sorted(causes.items())), p_value)


def _seen(table: Table, name: str) -> np.ndarray:
    return ~table.column(name).missing


def _mark(k: int, names: tuple[str, ...]) -> str:
    """A name for an indicator: after all columns in name order."""
    return f"{max(names)}\N{REPLACEMENT CHARACTER}{k:06d}"


def _patterns(table: Table, names: tuple[str, ...]) -> list[list[str]]:
    """Columns with gaps, those missing in the same rows together."""
    groups: dict[bytes, list[str]] = {}
    for name in names:
        missing = table.column(name).missing
        if missing.any():
            groups.setdefault(np.packbits(missing).tobytes(), []).append(name)
    return list(groups.values())


def _tests(
    table: Table, names: tuple[str, ...], missing: list[np.ndarray], marks: list[str], numeric: bool
) -> Tests | None:
    """Tests about the columns and then the indicators."""
    if numeric:
        return GapTests.of(np.column_stack([table.matrix(names), *missing]))
    columns = {n: table.column(n) for n in names}
    columns |= {
        m: Column(m, "binary", gone.astype(np.int32), (False, True)) for m, gone in zip(marks, missing, strict=True)
    }
    return DiscreteTests.of(Table(columns, len(table)), (*names, *marks), "chi2")


_ITSELF = "Whether a value decides itself that it is missing cannot be seen in any data, and was not asked."


def about_missingness(found: Missingness | None, corrected: bool, mixed: bool) -> list[Remark]:
    """Which columns' gaps depend on what, what was done about it, and what could not be asked or corrected.

    found: None when nobody asked, as ``causes_of_missing`` tells it. mixed: numbers and categories together.
    """
    if found is None:
        why = "numbers stand beside categories" if mixed else "there are too many columns or levels"
        text = (
            f"What the missing values depend on was not asked, as {why}. If they depend on what the columns hold, "
            "edges may be there that should not be, and missing='mvpc' does not apply."
        )
        return [Remark("missing_not_examined", text)]
    if not found.causes:
        if not corrected:
            return []
        text = f"No column was found on which it depends that values are missing, so no test was corrected. {_ITSELF}"
        return [Remark("missing_nothing_to_correct", text)]
    name, others = next(iter(found.causes.items()))
    more = f", and so it is for {len(found.causes) - 1} more columns" if len(found.causes) > 1 else ""
    text = f"Whether {name} is missing depends on {', '.join(others)}{more}. "
    if corrected:
        text += f"The tests were corrected for this, which is right when what decides is among the columns. {_ITSELF}"
    else:
        text += (
            "Leaving rows out test by test can then join variables that have nothing to do with each other: where what "
            "decides is an effect of both. missing='mvpc' corrects for it on columns of numbers."
        )
    evidence = {"causes": {n: list(c) for n, c in found.causes.items()},
                "p_value": [[*pair, p] for pair, p in sorted(found.p_value.items())][:50]}
    about = tuple(sorted({*found.causes, *(c for others in found.causes.values() for c in others)}))
    code = "missing_not_at_random" if not corrected else "missing_corrected"
    return [Remark(code, text, about, evidence), *(_circles(found) if corrected else ())]


def _circles(found: Missingness) -> list[Remark]:
    """A remark on the columns whose gaps depend on each other in a circle: the correction cannot start there."""
    names = sorted({*found.causes, *(c for others in found.causes.values() for c in others)})
    arrows = np.array([[a in found.causes.get(b, ()) for b in names] for a in names])
    around = [name for name, back in zip(names, reaches(arrows).diagonal(), strict=True) if back]
    if not around:
        return []
    text = (
        f"Whether {', '.join(around)} are missing depends on each other's values, in a circle. The correction has no "
        "column to start from there: among these columns each test counts the rows that have them all, as if these "
        "stood for the others."
    )
    return [Remark("missing_circle", text, tuple(around))]
