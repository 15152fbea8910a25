"""Independence tests that know the true graph: p-value 1 for a separation in it, 0 otherwise."""

from __future__ import annotations

import functools
import itertools

import numpy as np

from whence.discovery.independence import Level, Lists, Middles
from whence.graphs.graph import Graph


class OracleTests:
    """d-separation among the measured nodes of a DAG, in name order, by moralising ancestors."""

    test = "fisher_z"
    budget = 1e15
    block = 1_000_000

    def __init__(self, dag: Graph) -> None:
        at = {name: k for k, name in enumerate(sorted(dag.observed))}
        hidden = {name: len(at) + k for k, name in enumerate(sorted(dag.latents))}
        where = at | hidden
        self.names = tuple(sorted(dag.observed))
        self.parents = [0] * len(where)
        for a, _, b in dag.edges():
            self.parents[where[b]] |= 1 << where[a]
        self.asked = 0
        self.separated = functools.cache(self._separated)

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("continuous",) * len(self.names)

    @property
    def largest(self) -> int:
        return len(self.names)

    def _separated(self, x: int, y: int, given: int) -> bool:
        self.asked += 1
        inside, new = 0, 1 << x | 1 << y | given
        while new:
            inside |= new
            above = 0
            for k, parents in enumerate(self.parents):
                if new >> k & 1:
                    above |= parents
            new = above & ~inside
        near = [0] * len(self.parents)
        for k, parents in enumerate(self.parents):
            if inside >> k & 1:
                family = [i for i in range(len(self.parents)) if (parents | 1 << k) >> i & 1]
                for i in family:
                    near[i] |= parents | 1 << k
        seen, waiting = 1 << x, [x]
        while waiting:
            for j in range(len(near)):
                if near[waiting[-1]] >> j & 1 and not (seen | given) >> j & 1:
                    seen |= 1 << j
                    waiting.insert(0, j)
            waiting.pop()
        return not seen >> y & 1

    def _ask(self, x: int, y: int, given: tuple[int, ...]) -> bool:
        return self.separated(min(x, y), max(x, y), sum(1 << k for k in given))

    def level(self, lists: Lists, pairs: np.ndarray, size: int, alpha: float) -> Level:
        m = len(pairs)
        found, sets = np.zeros(m, dtype=bool), np.zeros((m, size), dtype=np.int32)
        for k, (x, y) in enumerate(pairs.tolist()):
            for given in _sets(lists, x, y, size):
                if self._ask(x, y, given):
                    found[k], sets[k] = True, given
                    break
        return Level(found, found * 1.0, np.zeros(m), np.full(m, np.nan), np.full(m, 10**6), sets,
                     np.ones((m, 2), dtype=np.int64) * [1, 0])

    def middles(self, lists: Lists, pairs: np.ndarray, starts: np.ndarray, middles: np.ndarray, largest: int,
                alpha: float) -> Middles:
        separating, p_value = np.zeros((len(middles), 2), dtype=np.int64), np.full((len(middles), 2), np.nan)
        for k, (x, y) in enumerate(pairs.tolist()):
            for given in itertools.chain.from_iterable(_sets(lists, x, y, s) for s in range(largest + 1)):
                apart = self._ask(x, y, given)
                for q in range(starts[k], starts[k + 1]):
                    without = int(middles[q] not in given)
                    separating[q, without] += apart
                    p_value[q, without] = np.fmax(p_value[q, without], float(apart))
        return Middles(separating, p_value)


def _sets(lists: Lists, x: int, y: int, size: int):
    for end, other in ((x, y), (y, x)):
        yield from itertools.combinations([z for z in lists.row(end) if z != other], size)
