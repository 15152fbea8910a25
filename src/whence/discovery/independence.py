"""Many independence tests at once, as the skeleton and collider searches need them.

Two ways: ``GaussianTests`` reads one correlation matrix and runs in the native kernel; ``EachTest`` asks one
test after another, on data of any kind and with rows missing test by test.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from whence import kernels
from whence.core.registry import find_card, load_function
from whence.data.table import Table
from whence.graphs.bits import nonzero
from whence.stats.citest.choose import IndependenceTest
from whence.stats.citest.choose import test as fitting_test
from whence.stats.citest.fisher_z import critical_correlation

NO_TEST = 2.0  # what the kernel says when no correlation could be computed


@dataclass(frozen=True)
class Lists:
    """Candidate parents of every node, ascending: of node i ``nodes[starts[i] : starts[i + 1]]``."""

    starts: np.ndarray
    nodes: np.ndarray

    @staticmethod
    def of(matrix: np.ndarray) -> Lists:
        """From a bool (d, d) matrix: entry [z, x] says that z is a candidate of x."""
        owner, node = nonzero(np.ascontiguousarray(matrix.T))
        starts = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(matrix)))])
        return Lists(starts.astype(np.int64), node.astype(np.int32))

    @staticmethod
    def none(d: int) -> Lists:
        """No candidates: all that sets of size 0 need."""
        return Lists(np.zeros(d + 1, dtype=np.int64), np.zeros(0, dtype=np.int32))

    def row(self, i: int) -> list[int]:
        return self.nodes[self.starts[i] : self.starts[i + 1]].tolist()


@dataclass(frozen=True)
class Level:
    """Tests of m pairs given sets of one size.

    separated: bool (m,). p_value (NaN: no test possible), statistic, df (NaN: none): float64 (m,), n: int64
    (m,), sets: int32 (m, size); of the test that separated the pair, or of the one with the largest p-value.
    tests: int64 (m, 2), how many were made and how many were impossible.
    """

    separated: np.ndarray
    p_value: np.ndarray
    statistic: np.ndarray
    df: np.ndarray
    n: np.ndarray
    sets: np.ndarray
    tests: np.ndarray

    def only(self, chosen: np.ndarray) -> Level:
        """The part of the pairs that a bool (m,) chooses; one number for all stays one number."""
        k = int(np.count_nonzero(chosen))
        df, n = (np.broadcast_to(v[0], k) if v.strides == (0,) and k else v[chosen] for v in (self.df, self.n))
        return Level(self.separated[chosen], self.p_value[chosen], self.statistic[chosen], df, n, self.sets[chosen],
                     self.tests[chosen])


@dataclass(frozen=True)
class Middles:
    """Evidence on t triples: separating int64 (t, 2), how many sets with and without the middle node
    separate its ends; p_value float64 (t, 2), the largest p-value with and without it, NaN for no test."""

    separating: np.ndarray
    p_value: np.ndarray


class Tests(Protocol):
    """What the searches ask of the data.

    test: name of the test's card, None when the kinds of the variables decide test by test. kinds: of the
    columns, nodes in name order. largest: the largest conditioning set that the rows allow. budget: how many
    tests of one level are reasonable. block: tests between reports. An answer must not depend on the number of
    threads, nor on which other tests were asked before.
    """

    @property
    def test(self) -> str | None: ...
    @property
    def kinds(self) -> tuple[str, ...]: ...
    @property
    def largest(self) -> int: ...
    @property
    def budget(self) -> float: ...
    @property
    def block(self) -> int: ...

    def level(self, lists: Lists, pairs: np.ndarray, size: int, alpha: float) -> Level:
        """Tests pairs int32 (m, 2) given every set of ``size`` candidates of either end, in lexicographic
        order, until one separates them."""
        ...

    def middles(
        self, lists: Lists, pairs: np.ndarray, starts: np.ndarray, middles: np.ndarray, largest: int, alpha: float
    ) -> Middles:
        """Tests pairs given every set of at most ``largest`` candidates of either end; the middle nodes of
        pair p are ``middles[starts[p] : starts[p + 1]]``."""
        ...


@functools.cache
def threads() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, eq=False)
class GaussianTests:
    """Fisher's z on a correlation matrix (d, d) of n rows, nodes in name order."""

    corr: np.ndarray
    n: int
    budget: float = 5e8
    block: int = 1_000_000
    test: str = "fisher_z"

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("continuous",) * len(self.corr)

    @property
    def largest(self) -> int:
        return self.n - 4

    def level(self, lists: Lists, pairs: np.ndarray, size: int, alpha: float) -> Level:
        m = len(pairs)
        if size == 0:
            return self._level_of(self.corr[pairs[:, 0], pairs[:, 1]], alpha)
        separated, r = np.zeros(m, dtype=np.uint8), np.empty(m)
        sets, tests = np.zeros((m, size), dtype=np.int32), np.zeros((m, 2), dtype=np.int64)
        kernels.gaussian_level(
            self.corr, lists.starts, lists.nodes, pairs, size, critical_correlation(alpha, self.n, size),
            threads(), separated, r, sets, tests,
        )
        r[r == NO_TEST] = np.nan
        p, z = self._p_values(r, size)
        return Level(separated.astype(bool), p, z, *self._constants(m), sets, tests)

    def _level_of(self, r: np.ndarray, alpha: float) -> Level:
        """The level of pairs with these correlations, given nothing."""
        m = len(r)
        np.clip(r, -1.0, 1.0, out=r)
        separated = np.abs(r) <= critical_correlation(alpha, self.n, 0)
        p, z = self._p_values(r, 0)
        made = np.broadcast_to(np.array([1, 0]), (m, 2))
        return Level(separated, p, z, *self._constants(m), np.zeros((m, 0), dtype=np.int32), made)

    def _p_values(self, r: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        """p-values and Fisher's z of partial correlations given ``size`` nodes. Works in the memory of ``r``."""
        from scipy.special import ndtr

        limit = 1 - 1e-15
        z = np.arctanh(np.clip(r, -limit, limit, out=r), out=r)
        z *= np.sqrt(self.n - size - 3)
        p = ndtr(-np.abs(z))
        p *= 2
        return p, z

    def _constants(self, m: int) -> tuple[np.ndarray, np.ndarray]:
        """Degrees of freedom, none, and rows, the same for all; without memory of their own."""
        return np.broadcast_to(np.nan, m), np.broadcast_to(np.int64(self.n), m)

    def middles(
        self, lists: Lists, pairs: np.ndarray, starts: np.ndarray, middles: np.ndarray, largest: int, alpha: float
    ) -> Middles:
        from scipy.special import ndtr

        sizes = np.arange(min(largest, self.largest) + 1)
        critical = np.array([critical_correlation(alpha, self.n, int(k)) for k in sizes])
        separating = np.zeros((len(middles), 2), dtype=np.int64)
        smallest = np.full((len(middles), 2), np.inf)
        kernels.gaussian_triples(
            self.corr, lists.starts, lists.nodes, pairs, starts, middles, critical,
            np.sqrt(self.n - sizes - 3.0), threads(), separating, smallest,
        )
        return Middles(separating, np.where(np.isinf(smallest), np.nan, 2 * ndtr(-smallest)))


@dataclass(frozen=True, eq=False)
class EachTest:
    """One call per test, on the rows where its variables are present.

    names: sorted columns of the table. test: the card of the test to use, None for the one that fits the kinds
    of the variables. known: answers so far, by positions (x, y, *given).
    """

    table: Table
    names: tuple[str, ...]
    test: str | None = None
    budget: float = 1e6
    block: int = 500
    known: dict[tuple[int, ...], IndependenceTest] = field(default_factory=dict, repr=False)

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(self.table.kind(name) for name in self.names)

    @property
    def largest(self) -> int:
        return len(self.table) - 4

    @functools.cached_property
    def _ask_by_name(self) -> Callable[..., IndependenceTest]:
        return fitting_test if self.test is None else load_function(find_card("independence_test", self.test))

    def _ask(self, x: int, y: int, given: tuple[int, ...]) -> IndependenceTest:
        key = (min(x, y), max(x, y), *sorted(given))
        if key not in self.known:
            a, b, *others = (self.names[k] for k in key)
            self.known[key] = self._ask_by_name(self.table, a, b, others)
        return self.known[key]

    def level(self, lists: Lists, pairs: np.ndarray, size: int, alpha: float) -> Level:
        m = len(pairs)
        separated, numbers = np.zeros(m, dtype=bool), np.full((3, m), np.nan)
        n, sets = np.full(m, -1, dtype=np.int64), np.zeros((m, size), dtype=np.int32)
        tests = np.zeros((m, 2), dtype=np.int64)
        for k, (x, y) in enumerate(pairs.tolist()):
            best = -1.0
            for given in _sets(lists, x, y, size):
                answer = self._ask(x, y, given)
                tests[k, int(answer.p_value is None)] += 1
                if answer.p_value is None or answer.p_value <= best:
                    continue
                best = answer.p_value
                numbers[:, k], n[k] = (best, answer.statistic, answer.df), answer.n  # None becomes NaN
                sets[k] = given
                if best > alpha:
                    separated[k] = True
                    break
        return Level(separated, numbers[0], numbers[1], numbers[2], n, sets, tests)

    def middles(
        self, lists: Lists, pairs: np.ndarray, starts: np.ndarray, middles: np.ndarray, largest: int, alpha: float
    ) -> Middles:
        separating = np.zeros((len(middles), 2), dtype=np.int64)
        largest_p = np.full((len(middles), 2), np.nan)
        for k, (x, y) in enumerate(pairs.tolist()):
            span = range(starts[k], starts[k + 1])
            for given in itertools.chain.from_iterable(_sets(lists, x, y, s) for s in range(largest + 1)):
                p = self._ask(x, y, given).p_value
                if p is None:
                    continue
                for q in span:
                    without = int(middles[q] not in given)
                    separating[q, without] += p > alpha
                    largest_p[q, without] = np.fmax(largest_p[q, without], p)
        return Middles(separating, largest_p)


def _sets(lists: Lists, x: int, y: int, size: int) -> Iterator[tuple[int, ...]]:
    """Sets of candidates of x in lexicographic order, then those of y that are not among them."""
    first = [z for z in lists.row(x) if z != y]
    known = set(first)
    yield from itertools.combinations(first, size)
    for given in itertools.combinations([z for z in lists.row(y) if z != x], size):
        if not known.issuperset(given):
            yield given
