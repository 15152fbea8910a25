"""Which pairs are joined: the order-independent search of PC-stable.

Colombo, D. and Maathuis, M. H. (2014). Order-independent constraint-based causal structure learning. Journal
of Machine Learning Research 15:3921-3962, algorithm 4.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from whence.core.progress import Progress
from whence.core.result import Remark
from whence.discovery.evidence import PairTable, named_pairs, pair_index
from whence.discovery.independence import Level, Lists, Tests

_THIN = 5  # rows per degree of freedom of a test on categories, below which its power is in doubt


@dataclass(frozen=True, eq=False)
class Skeleton:
    """names: sorted. adjacent: bool (d, d). evidence: of every pair. depth: largest conditioning set tried.
    remarks: where the search was cut, tests that were impossible, required edges without support."""

    names: tuple[str, ...]
    adjacent: np.ndarray
    evidence: PairTable
    depth: int
    remarks: tuple[Remark, ...]


def skeleton(
    tests: Tests, names: tuple[str, ...], may: np.ndarray, required: np.ndarray, alpha: float,
    max_conditioning: int | None, progress: Progress,
) -> Skeleton:
    """Removes the edge of every pair that some set of candidate parents separates.

    names: sorted. may: bool (d, d), whether i --> j is allowed; a pair with neither direction is never
    joined, and only candidates that may be a node's parents enter its conditioning sets. required: bool
    (d, d), arrows that stay whatever the tests say. Sets grow by one per level; within a level the
    candidates are those at its start, so the order of the nodes does not matter.
    """
    d = len(names)
    keep = required | required.T
    adjacent = (may | may.T) | keep
    free = bool((adjacent | np.eye(d, dtype=bool)).all()) and not keep.any()
    open_pairs = all_pairs(d)
    record = _Record(d, upper(~adjacent | keep))
    if not free:
        open_pairs = open_pairs[adjacent[open_pairs[:, 0], open_pairs[:, 1]]]
    limit = tests.largest if max_conditioning is None else min(tests.largest, max_conditioning)
    size, remarks = 0, []
    while True:
        lists, open_pairs, work = _candidates(adjacent, may, open_pairs, size)
        if not len(open_pairs):
            break
        cut = _cut(size, limit, work.sum(), tests, max_conditioning)
        if cut is not None:
            remarks += cut
            break
        found = record.level(tests, lists, open_pairs, work, size, alpha, progress)
        gone = open_pairs[found]
        if not free:
            gone = gone[~keep[gone[:, 0], gone[:, 1]]]
        adjacent[gone[:, 0], gone[:, 1]] = adjacent[gone[:, 1], gone[:, 0]] = False
        open_pairs = open_pairs[~found]
        size += 1
    evidence = record.table(names, tests, upper(adjacent))
    return Skeleton(names, adjacent, evidence, max(size - 1, 0),
                    (*remarks, *record.impossible(names), *_unsupported(evidence, keep, alpha), *_sparse(evidence)))


def _candidates(
    adjacent: np.ndarray, may: np.ndarray, pairs: np.ndarray, size: int
) -> tuple[Lists, np.ndarray, np.ndarray]:
    """The candidates of each node at this level, the pairs with a set of this size, and tests per pair."""
    if size == 0:
        return Lists.none(len(adjacent)), pairs, np.broadcast_to(1.0, len(pairs))
    lists = Lists.of(adjacent & may)
    width = np.diff(lists.starts)[pairs] - may[pairs[:, ::-1], pairs]
    some = (width >= size).any(axis=1)
    return lists, pairs[some], ways(width[some], size).sum(axis=1)


class _Record:
    """The evidence of all pairs while the search runs."""

    def __init__(self, d: int, by_knowledge: np.ndarray) -> None:
        pairs = len(by_knowledge)
        self.d, self.by_knowledge = d, by_knowledge
        self.p_value, self.statistic = np.full(pairs, np.nan), np.full(pairs, np.nan)
        self.df: np.ndarray = np.broadcast_to(np.nan, pairs)
        self.n: np.ndarray = np.broadcast_to(np.int64(-1), pairs)
        self.size, self.start = np.zeros(pairs, dtype=np.int16), np.zeros(pairs, dtype=np.int64)
        self.sets: list[np.ndarray] = []
        self.stored = 0
        self.undefined = np.zeros(pairs, dtype=np.int64)

    def level(
        self, tests: Tests, lists: Lists, pairs: np.ndarray, work: np.ndarray, size: int, alpha: float,
        progress: Progress,
    ) -> np.ndarray:
        """Runs one level in blocks, notes the evidence and says which pairs were separated."""
        separated = np.zeros(len(pairs), dtype=bool)
        progress.begin(f"testing pairs given {size} other{'' if size == 1 else 's'}", len(pairs))
        try:
            for block in blocks(work, tests.block):
                found = tests.level(lists, pairs[block], size, alpha)
                separated[block] = found.separated
                self._note(found, pairs[block], size)
                progress.step(block.stop - block.start)
        finally:
            progress.end()
        return separated

    def _note(self, found: Level, pairs: np.ndarray, size: int) -> None:
        at = np.asarray(pair_index(self.d, pairs[:, 0].astype(np.int64), pairs[:, 1]))
        failed = np.flatnonzero(found.tests[:, 1])
        self.undefined[at[failed]] += found.tests[failed, 1]
        new = found.separated | (np.fmax(self.p_value[at], -1.0) < found.p_value)
        if not new.all():
            at, found = at[new], found.only(new)
        self.p_value[at], self.statistic[at] = found.p_value, found.statistic
        self.df, self.n = _put(self.df, at, found.df), _put(self.n, at, found.n)
        self.sets.append(found.sets.ravel())
        if size:
            self.size[at], self.start[at] = size, self.stored + size * np.arange(len(at))
            self.stored += self.sets[-1].size

    def table(self, names: tuple[str, ...], tests: Tests, present: np.ndarray) -> PairTable:
        given = np.concatenate([np.empty(0, dtype=np.int32), *self.sets])
        return PairTable(
            names, tests.kinds, present, self.by_knowledge, self.p_value, self.statistic, self.df, self.n,
            self.size, self.start, given, tests.test,
        )

    def impossible(self, names: tuple[str, ...]) -> list[Remark]:
        """Tests that could not be made leave the edge in place; this says for which pairs."""
        pairs = np.flatnonzero(self.undefined)
        if not len(pairs):
            return []
        never = pairs[np.isnan(self.p_value[pairs])]
        about = tuple(sorted({name for pair in named_pairs(names, pairs) for name in pair}))
        text = (
            f"{int(self.undefined.sum()):,} tests of {len(pairs):,} pairs were impossible: variables determine "
            "each other, are never seen together, or leave too few rows. An impossible test removes no edge."
        )
        evidence = {
            "tests": int(self.undefined.sum()),
            "pairs": named_pairs(names, pairs[:50]),
            "never_tested": named_pairs(names, never[:50]),
        }
        return [Remark("impossible_tests", text, about, evidence)]


def _put(whole: np.ndarray, at: np.ndarray, values: np.ndarray) -> np.ndarray:
    """``whole`` with ``values`` written at ``at``. One number for all stays one number: it needs no memory."""
    if whole.strides == (0,) and values.strides == (0,) and len(values):
        same = whole[0] == values[0] or (whole[0] != whole[0] and values[0] != values[0])
        if same:
            return whole
        if len(at) == len(whole):
            return np.broadcast_to(values[0], len(whole))
    if not len(values):
        return whole
    if not whole.flags.writeable:
        whole = np.array(whole)
    whole[at] = values
    return whole


def all_pairs(d: int) -> np.ndarray:
    """int32 (d (d - 1) / 2, 2): the pairs i < j in row order."""
    out = np.empty((d * (d - 1) // 2, 2), dtype=np.int32)
    start = 0
    for i in range(d - 1):
        stop = start + d - 1 - i
        out[start:stop, 0] = i
        out[start:stop, 1] = np.arange(i + 1, d, dtype=np.int32)
        start = stop
    return out


def upper(matrix: np.ndarray) -> np.ndarray:
    """The entries i < j of a square matrix, in row order."""
    return np.concatenate([matrix[:0, 0], *(row[i + 1 :] for i, row in enumerate(matrix))])


def ways(width: np.ndarray, size: int) -> np.ndarray:
    """Number of subsets of the given size of sets that large, as float."""
    out = np.where(width >= size, 1.0, 0.0)
    for k in range(size):
        out *= np.maximum(width - k, 0) / (k + 1)
    return out


def blocks(work: np.ndarray, limit: int) -> Iterator[slice]:
    """Consecutive pairs with about ``limit`` tests together."""
    group = (np.cumsum(work) // limit).astype(np.int64)
    ends = [*np.flatnonzero(np.diff(group)) + 1, len(work)]
    start = 0
    for end in ends:
        yield slice(start, int(end))
        start = int(end)


def _cut(size: int, limit: int, work: float, tests: Tests, asked: int | None) -> list[Remark] | None:
    """None to go on with this level; else the remarks of stopping before it."""
    if size > limit:
        if asked is not None and limit == asked:
            return []
        text = f"Sets of {size} variables were not tried: the rows are too few for them."
        return [Remark("too_few_rows_for_sets", text, (), {"size": size})]
    if asked is None and work > tests.budget:
        text = (
            f"Sets of {size} or more variables were not tried: {work:.2g} tests would be needed. Edges that "
            "only such sets separate are still there; max_conditioning overrides this."
        )
        return [Remark("search_cut", text, (), {"size": size, "tests": work})]
    return None


def _unsupported(evidence: PairTable, keep: np.ndarray, alpha: float) -> list[Remark]:
    """Required edges that a test would have removed."""
    if not keep.any():
        return []
    weak = np.flatnonzero(upper(keep) & (evidence.p_value > alpha))
    out = []
    for p, (a, b) in zip(weak, named_pairs(evidence.names, weak), strict=True):
        text = f"{a} and {b} are joined because knowledge requires it; a test finds no dependence."
        out.append(Remark("required_edge_unsupported", text, (a, b), {"p_value": float(evidence.p_value[p])}))
    return out


def _sparse(evidence: PairTable) -> list[Remark]:
    """Pairs of categories that were separated by a test with hardly any rows."""
    if np.isnan(evidence.df[:1]).all() and evidence.df.strides == (0,):
        return []  # no test has degrees of freedom
    thin = np.flatnonzero(~evidence.present & ~evidence.by_knowledge & (evidence.n < _THIN * evidence.df))
    if not len(thin):
        return []
    pairs = named_pairs(evidence.names, thin)
    text = (
        f"{len(pairs):,} pairs, such as {pairs[0][0]} and {pairs[0][1]}, were separated by tests with fewer than "
        f"{_THIN} rows per degree of freedom, which notice only strong relations."
    )
    return [Remark("sparse_tests", text, tuple(sorted({n for pair in pairs for n in pair})), {"pairs": pairs[:50]})]
