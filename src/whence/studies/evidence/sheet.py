"""The table as detectors see it: numbers for treatment and columns on the rows that can speak, read once."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from whence.data.table import NUMERIC, Table
from whence.stats.features import codes_of
from whence.studies.roles import is_identifier, measured_later, unusable
from whence.studies.words import Description

MOST_ROWS = 20_000  # of a longer table every k-th row is looked at where the order of rows does not matter
MOST_LEVELS = 12
MOST_MISSING = 0.5
HEAD = 100  # rows from which many values are seen at once
FEWEST_EXPECTED = 8.0  # rows that chance would put where there are none, for a link by logic


@dataclass(frozen=True)
class Sheet:
    """table: as read. treatment: its column, or None. rows: int (n,), rows with treatment and outcome, thinned.

    whole: all of them. described: what the text says of columns.
    """

    table: Table
    treatment: str | None
    outcome: str
    described: Mapping[str, Description]
    whole: np.ndarray
    rows: np.ndarray
    cache: dict[str, np.ndarray | None] = field(default_factory=dict, repr=False, compare=False)

    @property
    def n(self) -> int:
        return len(self.rows)

    @functools.cached_property
    def t(self) -> np.ndarray:
        """The treatment on ``rows``, float (n,): its numbers, 0 and 1 for two words, level codes for more words."""
        assert self.treatment is not None
        values = self.numbers(self.treatment)
        if values is None:
            return codes_of(self.table.column(self.treatment), self.rows).astype(float)
        return values

    @property
    def filled_treatment(self) -> np.ndarray:
        """``t`` with its mean for missing values."""
        return np.where(np.isnan(self.t), np.nanmean(self.t), self.t)

    @functools.cached_property
    def binary(self) -> bool:
        return few_values(self.t, 2) and not few_values(self.t, 1)

    @functools.cached_property
    def others(self) -> tuple[str, ...]:
        """Columns that can be looked at besides treatment and outcome, by name."""
        return tuple(n for n in sorted(self.table.names)
                     if n not in (self.treatment, self.outcome) and unusable(self.table, n) is None
                     and not is_identifier(self.table, n) and not self._numbers_rows(n)
                     and self.table.column(n).missing.mean() <= MOST_MISSING)

    def whole_numbers(self, name: str) -> bool:
        """Whether a column holds whole numbers only (missing values aside)."""
        column = self.table.column(name)
        if column.kind not in NUMERIC:
            return column.kind == "ordinal"
        values = column.values[~column.missing]
        return bool((values == np.floor(values)).all())

    def _numbers_rows(self, name: str) -> bool:
        """Whether a column counts the rows: whole numbers one after the other, each once."""
        column = self.table.column(name)
        if column.kind not in NUMERIC or column.missing.any():
            return False
        values = column.values
        run = values.min() in (0, 1) and values.max() - values.min() + 1 == len(values)
        return bool(run and (values == np.floor(values)).all() and len(np.unique(values)) == len(values))

    @functools.cached_property
    def others_and_words(self) -> tuple[str, ...]:
        """As ``others``, with words and identifiers that may name units, and without asking that little is missing."""
        return tuple(n for n in sorted(self.table.names) if n not in (self.treatment, self.outcome)
                     and (self.table.kind(n) == "text" or unusable(self.table, n) is None))

    @functools.cached_property
    def others_and_dates(self) -> tuple[str, ...]:
        """As ``others_and_words``, with dates."""
        dates = [n for n in self.table.names if self.table.kind(n) == "datetime"]
        return tuple(sorted({*self.others_and_words, *dates}))

    def numbers(self, name: str) -> np.ndarray | None:
        """A column on ``rows`` as float (n,) with NaN for missing; None for words of more than two levels and dates."""
        if name not in self.cache:
            column = self.table.column(name)
            worded = column.kind in ("text", "datetime") or (
                column.kind == "categorical" and not all(isinstance(v, (int, float)) for v in column.levels or ()))
            self.cache[name] = None if worded else column.numeric()[self.rows].astype(float)
        return self.cache[name]

    @functools.cached_property
    def covariates(self) -> tuple[str, ...]:
        """Columns that may come before the treatment: not said to be later, no recoding of it or of the outcome."""
        kept = []
        for name in self.others:
            if self.treatment is not None and measured_later(name, self.treatment, self.described):
                continue
            if not self._recoded(name) and not self._linked(name):
                kept.append(name)
        return tuple(kept)

    def _linked(self, name: str) -> bool:
        """Whether a column is tied to the treatment by logic: an offer, what follows it, another level of it."""
        values = self.numbers(name)
        return self.treatment is not None and values is not None and nesting(values, self.t) != 0

    def _recoded(self, name: str) -> bool:
        """Whether a column says the same as the treatment or the outcome, or decides the treatment."""
        values = self.numbers(name)
        if values is None:
            return False
        whole = ~np.isnan(values)
        for other in (self.t if self.treatment is not None else None, self.numbers(self.outcome)):
            if other is None:
                continue
            both = whole & ~np.isnan(other)
            a, b = values[both], other[both]
            spread = a.std() * b.std() if len(a) >= 3 else 0.0
            if spread == 0:
                continue
            together = abs(float((a - a.mean()) @ (b - b.mean()))) / len(a)
            if together > 0.97 * spread or (few_values(a, MOST_LEVELS) and decides(a, b)):
                return True
        return False

    def matrix(self, names: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
        """Columns of ``names`` on ``rows``, (n, k) with means for missing values, and the source of each."""
        made, sources = [], []
        for name in names:
            values = self.numbers(name)
            if values is not None:
                whole = ~np.isnan(values)
                if whole.any():
                    made.append(values if whole.all() else np.where(whole, values, values[whole].mean()))
                    sources.append(name)
                continue
            codes = codes_of(self.table.column(name), self.rows)
            counts = np.bincount(codes[codes >= 0]) if (codes >= 0).any() else np.zeros(0, dtype=int)
            common = np.flatnonzero(counts >= max(5, len(codes) // 100))[:MOST_LEVELS]
            for level in common[1:] if len(common) == (counts > 0).sum() else common:
                made.append((codes == level).astype(float))
                sources.append(name)
        return (np.column_stack(made) if made else np.empty((self.n, 0))), tuple(sources)


OFFER, TAKE_UP, EXCLUSIVE = 1, -1, 2


def nesting(z: np.ndarray, t: np.ndarray) -> int:
    """How two columns of two values are linked: ``OFFER`` where t is 1 only where z is, ``TAKE_UP`` where z is 1 only
    where t is, ``EXCLUSIVE`` where they are never 1 together; 0 for none, or where chance could do it."""
    if not (few_values(z[:HEAD], 2) and few_values(t[:HEAD], 2)):
        return 0
    whole = ~(np.isnan(z) | np.isnan(t))
    top_z, top_t = _upper_of_two(z[whole]), _upper_of_two(t[whole])
    if top_z is None or top_t is None:
        return 0
    a, b = z[whole] == top_z, t[whole] == top_t
    n, p, q = len(a), float(a.mean()), float(b.mean())
    cells = ((OFFER, b & ~a, (1 - p) * q), (TAKE_UP, a & ~b, p * (1 - q)), (EXCLUSIVE, a & b, p * q))
    for link, cell, expected in cells:
        if n * expected > FEWEST_EXPECTED and not cell.any():
            return link
    return 0


def few_values(values: np.ndarray, most: int) -> bool:
    """Whether there are at most ``most`` different ones, missing values aside; the first rows usually tell."""
    if len({v for v in values[:HEAD].tolist() if v == v}) > most:
        return False
    return len(values) <= HEAD or len(np.unique(values[~np.isnan(values)])) <= most


def _upper_of_two(values: np.ndarray) -> float | None:
    """The larger of exactly two values, or None."""
    if not len(values):
        return None
    low, high = values.min(), values.max()
    return float(high) if low < high and ((values == low) | (values == high)).all() else None


def decides(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether each value of ``a`` goes with one value of ``b``."""
    codes = np.unique(a, return_inverse=True)[1].ravel()
    low, high = np.full(codes.max() + 1, np.inf), np.full(codes.max() + 1, -np.inf)
    np.minimum.at(low, codes, b)
    np.maximum.at(high, codes, b)
    return bool((low == high).all())


def make_sheet(table: Table, treatment: str | None, outcome: str, described: Mapping[str, Description]) -> Sheet:
    named = [n for n in (treatment, outcome) if n is not None]
    complete = np.flatnonzero(table.complete(named))
    whole = complete if len(complete) >= 20 else np.arange(table.n_rows)
    step = max(1, -(-len(whole) // MOST_ROWS))
    return Sheet(table, treatment, outcome, described, whole, whole[::step])
