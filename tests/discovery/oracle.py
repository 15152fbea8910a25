"""Independence tests that know the true graph: p-value 1 for a separation in it, 0 otherwise."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator

import numpy as np

from whence.discovery.independence import Level, Lists, Middles
from whence.graphs.bits import closure, ones
from whence.graphs.classes import DAG
from whence.graphs.graph import Graph


def independences(dag: Graph) -> tuple[bool, ...]:
    """Every separation among the measured nodes: what a search on true tests sees of a graph, and all its PAG shows."""
    tests = OracleTests(dag)
    d = len(tests.names)
    return d, *(
        tests.separated(x, y, given)
        for x, y in itertools.combinations(range(d), 2)
        for given in range(1 << d) if not given & (1 << x | 1 << y)
    )


def one_of_each(dags: Iterable[DAG]) -> Iterator[DAG]:
    """The first graph of each set of separations. On the others every search on true tests does the same, step by step,
    and the PAG is the same by definition, names aside."""
    seen = set()
    for dag in dags:
        said = independences(dag)
        if said not in seen:
            seen.add(said)
            yield dag


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
        inside = closure(self.parents, 1 << x | 1 << y | given)
        near = [0] * len(self.parents)  # the moral graph of the ancestors
        for k in ones(inside):
            family = self.parents[k] | 1 << k
            for i in ones(family):
                near[i] |= family & ~given
        return not closure(near, 1 << x) >> y & 1

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
