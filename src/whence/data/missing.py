"""Missing values: how many, which go together, and whether what is seen says where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from whence.data.table import CODED, NUMERIC, Table

MAX_PATTERN_COLUMNS = 2000
MAX_TARGETS = 50
MAX_PREDICTORS = 60


@dataclass(frozen=True)
class Pattern:
    """Rows whose missing columns are exactly ``missing``."""

    missing: tuple[str, ...]
    rows: int


@dataclass(frozen=True)
class Dependence:
    """Whether missingness in ``column`` goes with the values of ``other``.

    statistic, df: Pearson chi-square of missing or not against ``other`` (its levels, or five groups of its
    numbers with equal shares). p_value is corrected for all pairs tried (Holm, 1979).
    effect: Cramer's V.
    """

    column: str
    other: str
    statistic: float
    df: int
    p_value: float
    effect: float


def patterns(masks: np.ndarray, names: Sequence[str], limit: int = 5) -> tuple[Pattern, ...]:
    """The most common joint patterns. masks: boolean (n, d), True where missing."""
    _, first, size = np.unique(np.packbits(masks, axis=1), axis=0, return_index=True, return_counts=True)
    order = sorted(range(len(size)), key=lambda i: (-int(size[i]), int(first[i])))[:limit]
    found = [np.flatnonzero(masks[first[i]]) for i in order]
    return tuple(
        Pattern(tuple(names[int(j)] for j in gone), int(size[i])) for i, gone in zip(order, found, strict=True)
    )


def dependences(table: Table, others: Sequence[str], alpha: float) -> tuple[list[Dependence], int]:
    """Pairs in which missingness depends on one of the columns ``others``, and the number of pairs tried.

    At most ``MAX_TARGETS`` columns with most missing and the first ``MAX_PREDICTORS`` others by name are tried.

    Under the null hypothesis, missing completely at random, a pair is found with probability at most
    ``alpha`` over all pairs together. Tables with an expected count below 5 are not tested, so that the
    chi-square distribution holds.
    """
    from scipy.special import chdtrc

    masks = {n: table.column(n).missing for n in table.names}
    share = {n: m.mean() for n, m in masks.items()}
    targets = sorted((n for n in table.names if 0 < share[n] < 1), key=lambda n: (-share[n], n))[:MAX_TARGETS]
    grouped = {n: groups(table, n) for n in sorted(others)[:MAX_PREDICTORS]} if targets else {}
    tried: list[Dependence] = []
    for target in targets:
        for other, codes in grouped.items():
            if other != target and codes is not None:
                found = _chi_square(masks[target], codes)
                if found is not None:
                    statistic, df, n = found
                    p = float(chdtrc(df, statistic))
                    tried.append(Dependence(target, other, statistic, df, p, float(np.sqrt(statistic / n))))
    return holm(tried, alpha), len(tried)


def holm(tried: list[Dependence], alpha: float) -> list[Dependence]:
    """Those still below ``alpha`` after the correction of Holm (1979), with corrected p values."""
    ordered = sorted(tried, key=lambda d: (d.p_value, d.column, d.other))
    kept, corrected = [], 0.0
    for rank, d in enumerate(ordered):
        corrected = max(corrected, min(1.0, d.p_value * (len(ordered) - rank)))
        if corrected > alpha:
            break
        kept.append(Dependence(d.column, d.other, d.statistic, d.df, corrected, d.effect))
    return kept


def groups(table: Table, name: str, count: int = 5) -> np.ndarray | None:
    """Codes of a column for a table of counts (-1 missing): its levels, or ``count`` equal parts of its numbers."""
    column = table.column(name)
    if column.kind in CODED:
        return column.values if 2 <= len(column.levels or ()) <= 20 else None
    if column.kind not in NUMERIC:
        return None
    present = ~column.missing
    if not present.any():
        return None
    cuts = np.unique(np.quantile(column.values[present], np.arange(1, count) / count))
    codes = np.searchsorted(cuts, np.where(present, column.values, 0.0), side="right").astype(np.int32)
    codes[~present] = -1
    return codes


def _chi_square(gone: np.ndarray, codes: np.ndarray) -> tuple[float, int, int] | None:
    """Statistic, degrees of freedom and rows, or None when a count expected is below 5."""
    seen = codes >= 0
    table = np.bincount(codes[seen] * 2 + gone[seen]).astype(float)
    table = np.append(table, np.zeros(len(table) % 2)).reshape(-1, 2)
    table = table[table.sum(axis=1) > 0]
    if len(table) < 2 or (table.sum(axis=0) == 0).any():
        return None
    n = table.sum()
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    if expected.min() < 5:
        return None
    return float(((table - expected) ** 2 / expected).sum()), len(table) - 1, int(n)
