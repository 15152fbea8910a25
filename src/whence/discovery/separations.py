"""The joined pairs of a skeleton while further tests take edges away, with the evidence of every pair."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from whence.discovery.evidence import PairTable, pair_index
from whence.discovery.independence import Level
from whence.discovery.skeleton import Skeleton, upper


class Separations:
    """names: sorted. adjacent: bool (d, d). A required pair is joined whatever a test says."""

    def __init__(self, skeleton: Skeleton, required: np.ndarray) -> None:
        self.names, self.adjacent, self.depth = skeleton.names, skeleton.adjacent.copy(), skeleton.depth
        self._evidence, self._required = skeleton.evidence, required | required.T
        self._later: dict[tuple[int, int], Level] = {}

    def held(self, x: int, y: int) -> bool:
        """Whether knowledge holds the edge."""
        return bool(self._required[x, y])

    def remove(self, x: int, y: int, found: Level) -> None:
        """Takes the edge of x < y away; found: the one test that separates them."""
        self.adjacent[x, y] = self.adjacent[y, x] = False
        self._later[x, y] = found

    def later(self, x: int, y: int) -> bool:
        """Whether x < y were joined after the search among neighbours."""
        return (x, y) in self._later

    def p_value(self, x: int, y: int) -> float:
        """Of the test that separated x < y."""
        if (x, y) in self._later:
            return float(self._later[x, y].p_value[0])
        return float(self._evidence.p_value[pair_index(len(self.names), x, y)])

    def given(self, x: int, y: int) -> list[int]:
        """The set that separates two nodes without an edge."""
        x, y = min(x, y), max(x, y)
        if (x, y) in self._later:
            return self._later[x, y].sets[0].tolist()
        e, p = self._evidence, pair_index(len(self.names), x, y)
        return e.given[e.start[p] : e.start[p] + e.size[p]].tolist()

    def separator(self, x: int, y: int) -> int:
        """The same as a bit set."""
        out = 0
        for k in self.given(x, y):
            out |= 1 << k
        return out

    def evidence(self) -> PairTable:
        """Of all pairs, the edges taken away since included."""
        e = replace(self._evidence, present=upper(self.adjacent))
        if not self._later:
            return e
        p_value, statistic, df = e.p_value.copy(), e.statistic.copy(), np.array(e.df)
        n, size, start = np.array(e.n), e.size.copy(), e.start.copy()
        given, stored = [e.given], len(e.given)
        for (x, y), found in self._later.items():
            p = pair_index(len(self.names), x, y)
            p_value[p], statistic[p], df[p], n[p] = found.p_value[0], found.statistic[0], found.df[0], found.n[0]
            size[p], start[p] = found.sets.shape[1], stored
            given.append(found.sets[0])
            stored += found.sets.shape[1]
        return replace(e, p_value=p_value, statistic=statistic, df=df, n=n, size=size, start=start,
                       given=np.concatenate(given))

    def skeleton(self) -> Skeleton:
        """As it is now."""
        return Skeleton(self.names, self.adjacent, self.evidence(), self.depth, ())
