"""Independence tests on categories, many at once: counts in the native kernel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence import kernels
from whence.data.table import Table
from whence.discovery.independence import Level, Lists, Middles, threads
from whence.kernels.numpy_ref import MISSING

MOST_ROWS = 2**31 - 2
_LOOK = 4096  # rows that show whether rows repeat


@dataclass(frozen=True, eq=False)
class DiscreteTests:
    """Pearson's chi-square or G2 within strata, nodes in name order, on the rows where a test's variables are present.

    codes: uint16 (d, n), 65535 for missing. weight: int32 (n,), how many rows of data each row stands for.
    levels: int64 (d,). test: ``"chi2"`` or ``"g2"``. kinds: of the columns. rows: of data.
    """

    codes: np.ndarray
    weight: np.ndarray
    levels: np.ndarray
    kinds: tuple[str, ...]
    rows: int
    test: str = "chi2"
    budget: float = 2e7
    block: int = 20_000

    @staticmethod
    def of(table: Table, names: tuple[str, ...], test: str) -> DiscreteTests | None:
        """The tests about categorical columns, or None when they have too many levels or rows for the kernel."""
        levels = np.array([len(table.levels(n) or ()) for n in names], dtype=np.int64)
        if (levels >= MISSING).any() or (levels < 1).any() or len(table) > MOST_ROWS:
            return None
        # A missing code of -1 wraps to 65535.
        codes = np.array([table.codes(n).astype(np.uint16) for n in names])
        codes, weight = _merged(codes)
        return DiscreteTests(codes, weight, levels, tuple(table.kind(n) for n in names), len(table), test)

    @property
    def largest(self) -> int:
        return self.rows - 4

    def level(self, lists: Lists, pairs: np.ndarray, size: int, alpha: float) -> Level:
        m = len(pairs)
        removed, numbers = np.zeros(m, dtype=np.uint8), np.full((m, 3), np.nan)
        n, sets = np.full(m, -1, dtype=np.int64), np.zeros((m, size), dtype=np.int32)
        tests = np.zeros((m, 2), dtype=np.int64)
        kernels.discrete_level(
            self.codes, self.weight, self.levels, self.test == "g2", lists.starts, lists.nodes, pairs, size, alpha,
            threads(), removed, numbers, n, sets, tests,
        )
        return Level(removed.astype(bool), numbers[:, 0], numbers[:, 1], numbers[:, 2], n, sets, tests)

    def middles(
        self, lists: Lists, pairs: np.ndarray, starts: np.ndarray, middles: np.ndarray, largest: int, alpha: float
    ) -> Middles:
        separating, p_value = np.zeros((len(middles), 2), dtype=np.int64), np.full((len(middles), 2), np.nan)
        kernels.discrete_triples(
            self.codes, self.weight, self.levels, self.test == "g2", lists.starts, lists.nodes, pairs, starts, middles,
            min(largest, self.largest), alpha, threads(), separating, p_value,
        )
        return Middles(separating, p_value)


def _merged(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Equal rows of data as one, with how many there are; only when that saves work."""
    rows = np.ascontiguousarray(codes.T)
    kind = np.dtype((np.void, rows.shape[1] * rows.itemsize))
    keys = rows.view(kind).ravel()
    every = np.ones(len(keys), dtype=np.int32)
    look = keys[: _LOOK]
    if len(np.unique(look)) > 0.8 * len(look):
        return codes, every
    _, first, count = np.unique(keys, return_index=True, return_counts=True)
    order = np.argsort(first)  # as they came, so that neighbours stay neighbours
    return np.ascontiguousarray(rows[first[order]].T), count[order].astype(np.int32)
