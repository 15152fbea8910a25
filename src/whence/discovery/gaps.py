"""Fisher's z on numbers with missing values, many tests at once: each on the rows that have its variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from whence.discovery.independence import Level, Lists, Middles, threads
from whence.kernels import gaps


@dataclass(frozen=True, eq=False)
class GapTests:
    """Test-wise deletion, with or without the correction for what decides that values are missing.

    values: float64 (d, n), nodes in name order, standardised, 0 where missing. present: uint64 (d, ceil(n / 64)), one
    bit per row. causes: per node those its missingness depends on; none of any is plain test-wise deletion.

    With causes C, and the causes of theirs, the covariances of a test's variables V are put together from the linear
    regression of V on C in the complete rows, where by assumption missingness no longer matters, and the covariance of
    C in all rows that have C. This is what the permuted virtual data of Tu et al. (2019, section 4.2) tend to as they
    grow in number. The statistic counts as many rows as would make its variance that of a test without gaps, by the
    delta method for normal variables.
    """

    values: np.ndarray
    present: np.ndarray
    causes: Lists = field(repr=False)
    budget: float = 2e7
    block: int = 20_000
    test: str = "fisher_z"

    @staticmethod
    def of(values: np.ndarray) -> GapTests:
        """From (n, d) numbers with NaN where missing, no column constant."""
        n, d = values.shape
        seen = ~np.isnan(values)
        filled = np.where(seen, values, 0.0)
        filled = np.where(seen, filled - filled.sum(axis=0) / seen.sum(axis=0), 0.0)
        # Scaling first keeps sums of squares of very large or very small values finite.
        filled /= np.abs(filled).max(axis=0)
        filled /= np.sqrt((filled**2).sum(axis=0) / seen.sum(axis=0))
        bits = np.zeros((d, 8 * ((n + 63) // 64)), dtype=np.uint8)
        bits[:, : (n + 7) // 8] = np.packbits(seen.T, axis=1, bitorder="little")
        return GapTests(np.ascontiguousarray(filled.T), bits.view(np.uint64), Lists.none(d))

    def corrected(self, names: Sequence[str], causes: Mapping[str, Sequence[str]]) -> GapTests:
        """The same tests with these causes of missingness."""
        at = {name: i for i, name in enumerate(names)}
        of = np.zeros((len(at), len(at)), dtype=bool)
        for name, others in causes.items():
            of[[at[other] for other in others], at[name]] = True
        return replace(self, causes=Lists.of(of))

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("continuous",) * len(self.values)

    @property
    def largest(self) -> int:
        return self.values.shape[1] - 4

    def level(self, lists: Lists, pairs: np.ndarray, size: int, alpha: float) -> Level:
        m = len(pairs)
        removed, numbers = np.zeros(m, dtype=np.uint8), np.full((m, 2), np.nan)
        n, sets = np.full(m, -1, dtype=np.int64), np.zeros((m, size), dtype=np.int32)
        tests = np.zeros((m, 2), dtype=np.int64)
        gaps.gaps_level(
            self.values, self.present, self.causes.starts, self.causes.nodes, lists.starts, lists.nodes, pairs, size,
            alpha, threads(), removed, numbers, n, sets, tests,
        )
        return Level(removed.astype(bool), numbers[:, 0], numbers[:, 1], np.broadcast_to(np.nan, m), n, sets, tests)

    def middles(
        self, lists: Lists, pairs: np.ndarray, starts: np.ndarray, middles: np.ndarray, largest: int, alpha: float
    ) -> Middles:
        separating, p_value = np.zeros((len(middles), 2), dtype=np.int64), np.full((len(middles), 2), np.nan)
        gaps.gaps_triples(
            self.values, self.present, self.causes.starts, self.causes.nodes, lists.starts, lists.nodes, pairs, starts,
            middles, min(largest, self.largest), alpha, threads(), separating, p_value,
        )
        return Middles(separating, p_value)
