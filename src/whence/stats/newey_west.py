"""Rows in time: autocovariances with falling weights, within each unit (Newey and West 1987)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from whence.stats.covariance import Dependence, merge, small_sample


@dataclass(frozen=True)
class Serial:
    """unit: int (n,), codes of the series. position: int (n,), the row's place in time, distinct within a unit. lags:
    the last lag with a weight; lag l has 1 - l / (lags + 1), the Bartlett kernel."""

    unit: np.ndarray
    position: np.ndarray
    lags: int
    column: str

    name = "hac"

    @property
    def df(self) -> float:
        return self._small[1]

    @property
    def words(self) -> str:
        series = len(np.unique(self.unit))
        among = f" within each of {series:,} units" if series > 1 else ""
        return (f"robust to unequal variances and to {self.lags} lag{'s' * (self.lags != 1)} in {self.column}{among} "
                f"(Newey-West), t with {self.df:.0f} degrees of freedom")

    @cached_property
    def _order(self) -> np.ndarray:
        return np.lexsort((self.position, self.unit))

    def _pairs(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Rows of one unit up to ``lags`` apart, by how many rows lie between: earlier, later, weight."""
        unit, at = self.unit[self._order], self.position[self._order]
        # Positions differ within a unit, so rows s places apart are at least s periods apart.
        for step in range(1, min(self.lags, len(unit) - 1) + 1):
            apart = at[step:] - at[:-step]
            near = np.flatnonzero((unit[step:] == unit[:-step]) & (apart <= self.lags))
            if not len(near):
                return
            yield self._order[near], self._order[near + step], 1 - apart[near] / (self.lags + 1)

    @cached_property
    def _small(self) -> tuple[float, float]:
        n = len(self.unit)
        rows, squares = np.ones(n), float(n)
        for early, late, weight in self._pairs():
            rows += np.bincount(early, weight, n) + np.bincount(late, weight, n)
            squares += 2 * float(weight @ weight)
        return small_sample(n, float(rows.sum()), squares, float(rows @ rows))

    def products(self, values: np.ndarray) -> np.ndarray:
        total = values.T @ values
        for early, late, weight in self._pairs():
            lagged = (values[early] * weight[:, None]).T @ values[late]
            total += lagged + lagged.T
        return total * self._small[0]

    def take(self, keep: np.ndarray) -> Serial:
        return replace(self, unit=self.unit[keep], position=self.position[keep])

    def merged(self, other: Dependence, rows: np.ndarray, mine: np.ndarray, theirs: np.ndarray) -> Serial | None:
        if not isinstance(other, Serial) or (other.lags, other.column) != (self.lags, self.column):
            return None
        return Serial(merge(rows, mine, theirs, self.unit, other.unit),
                      merge(rows, mine, theirs, self.position, other.position), self.lags, self.column)


def automatic_lags(periods: int) -> int:
    """1.3 times the root of the number of periods, with the critical values of ``small_sample`` (Lazarus, Lewis, Stock
    and Watson 2018, equation 3): longer than the older rules, whose intervals are too short."""
    return max(1, min(int(np.ceil(1.3 * np.sqrt(periods))), periods - 1))
