"""From a skeleton to a valid class of DAGs: collider verdicts, and the DAG that fits them best."""

from __future__ import annotations

import functools
import heapq
from dataclasses import dataclass

import numpy as np

from whence.core.progress import Progress
from whence.discovery.evidence import PairTable, Status, TripleEvidence, pair_index
from whence.discovery.independence import Lists, Middles, Tests
from whence.discovery.skeleton import Skeleton, blocks, ways
from whence.graphs.graph import ARROW, TAIL

_FLOOR = 1e-300  # p-values below this are compared as if they were this


@dataclass(frozen=True, eq=False)
class Triples:
    """Unshielded triples a - b - c with a < c, in storage order of (a, c, b).

    nodes: int32 (t, 3). found: the tests' evidence. collider: bool (t,), the verdict. weight: int64 (t,), how
    strongly it is held, 0 where nothing speaks. forced: bool (t,), knowledge decides. largest: size of the
    largest conditioning sets tried.
    """

    nodes: np.ndarray
    found: Middles
    collider: np.ndarray
    weight: np.ndarray
    forced: np.ndarray
    largest: int


def judge_triples(
    skeleton: Skeleton, tests: Tests, may: np.ndarray, alpha: float, progress: Progress
) -> Triples:
    """The max-p rule: b is a collider when the set that best separates a and c leaves it out.

    Every set of candidate parents of a or of c is tried, up to the size the skeleton search reached. The
    verdict does not depend on the order of the nodes. The weight is the distance between the logarithms of the
    largest p-value with b and without b.

    Source: Ramsey, J. (2016). Improving accuracy and scalability of the PC algorithm by maximizing p-value.
    arXiv:1610.00378.
    """
    nodes = unshielded(skeleton.adjacent)
    found, largest = _all_sets(skeleton, tests, may, nodes, alpha, progress)
    logs = np.log(np.fmax(np.nan_to_num(found.p_value, nan=0.0), _FLOOR))
    collider = logs[:, 1] > logs[:, 0]
    weight = np.rint(1e6 * np.abs(logs[:, 1] - logs[:, 0])).astype(np.int64)
    a, b, c = nodes.T
    into, out = may[a, b] & may[c, b], ~may[b, a] & ~may[b, c]
    forced = ~into | out
    return Triples(nodes, found, np.where(forced, into, collider), np.where(forced, 0, weight), forced, largest)


def _all_sets(
    skeleton: Skeleton, tests: Tests, may: np.ndarray, nodes: np.ndarray, alpha: float, progress: Progress
) -> tuple[Middles, int]:
    """The tests' evidence on the triples, block by block of their ends, and the largest size of set tried."""
    lists = Lists.of(skeleton.adjacent & may)
    ends, starts = np.unique(nodes[:, [0, 2]], axis=0, return_index=True)
    starts = np.append(starts, len(nodes)).astype(np.int64)
    middles = np.ascontiguousarray(nodes[:, 1])
    largest, work = _affordable(lists, ends, skeleton.depth, tests.budget)
    separating, p_value = [np.empty((0, 2), dtype=np.int64)], [np.empty((0, 2))]
    progress.begin("looking for common effects", len(ends))
    try:
        for block in blocks(work, tests.block):
            own = starts[block.start : block.stop + 1]
            inside = middles[own[0] : own[-1]]
            found = tests.middles(lists, ends[block], own - own[0], inside, largest, alpha)
            separating.append(found.separating)
            p_value.append(found.p_value)
            progress.step(block.stop - block.start)
    finally:
        progress.end()
    return Middles(np.concatenate(separating), np.concatenate(p_value)), largest


def unshielded(adjacent: np.ndarray) -> np.ndarray:
    """int32 (t, 3) rows (a, b, c), a < c not adjacent, b adjacent to both, sorted by (a, c, b)."""
    rows = [np.empty((0, 3), dtype=np.int32)]
    for b in np.flatnonzero(adjacent.sum(axis=1) > 1):
        around = np.flatnonzero(adjacent[b])
        i, j = _pairs(len(around))
        a, c = around[i], around[j]
        apart = ~adjacent[a, c]
        rows.append(np.stack([a[apart], np.full(np.count_nonzero(apart), b), c[apart]], axis=1).astype(np.int32))
    out = np.concatenate(rows)
    return out[np.lexsort((out[:, 1], out[:, 2], out[:, 0]))]


@functools.lru_cache(maxsize=64)
def _pairs(k: int) -> tuple[np.ndarray, np.ndarray]:
    """The pairs i < j below k, in row order."""
    i, j = np.triu_indices(k, 1)
    return i, j


def _affordable(lists: Lists, ends: np.ndarray, depth: int, budget: float) -> tuple[int, np.ndarray]:
    """The largest size of set, at most ``depth``, that keeps the tests within the budget, and tests per pair."""
    width = np.diff(lists.starts)[ends]
    work = ways(width, 0).sum(axis=1)
    for size in range(1, depth + 1):
        more = ways(width, size).sum(axis=1)
        if size > 1 and work.sum() + more.sum() > budget:
            return size - 1, work
        work = work + more
    return depth, work


@dataclass(frozen=True, eq=False)
class Fit:
    """A DAG with the skeleton's edges. marks: int8 (d, d). overruled: bool (t,), verdicts it does not follow."""

    marks: np.ndarray
    overruled: np.ndarray


def fit_dag(adjacent: np.ndarray, triples: Triples, may: np.ndarray) -> Fit:
    """The DAG with these edges that follows the verdicts on the triples, breaking as little as it must.

    Sinks are taken away one at a time, as in Dor and Tarsi (1992): each time the node whose removal breaks
    the least weight of verdicts, ties by name, among those that knowledge lets be a sink. When some DAG follows
    all verdicts, every step costs nothing and such a DAG is found; the class it belongs to is then unique.
    ``may`` must leave a way: see ``break_cycles``.
    """
    d, t = len(adjacent), len(triples.nodes)
    state = _Sinks(adjacent, triples, may)
    marks = np.zeros((d, d), dtype=np.int8)
    for _ in range(d):
        x = state.next_sink()
        around = np.flatnonzero(adjacent[x] & state.remaining)
        marks[around, x], marks[x, around] = ARROW, TAIL
        state.remove(x)
    a, b, c = triples.nodes.T
    made = (marks[a, b] == ARROW) & (marks[c, b] == ARROW) if t else np.zeros(0, dtype=bool)
    return Fit(marks, (made != triples.collider) & ~triples.forced)


class _Sinks:
    """What removing each remaining node next, as a sink, would break."""

    def __init__(self, adjacent: np.ndarray, triples: Triples, may: np.ndarray) -> None:
        d = len(adjacent)
        self.remaining = np.ones(d, dtype=bool)
        self.nodes, self.collider = triples.nodes.tolist(), triples.collider.tolist()
        # A verdict on which nothing speaks still counts a little, so that the answer stays determined.
        self.weight = np.where(triples.forced, 0, triples.weight + 1).tolist()
        self.at: list[list[int]] = [[] for _ in range(d)]
        self.cost = [0] * d
        for k, abc in enumerate(self.nodes):
            for v in abc:
                self.at[v].append(k)
            self._count(k, 1)
        must = adjacent & may & ~may.T  # x --> v is the only way
        self.blocked = must.sum(axis=1).tolist()
        self.above = [np.flatnonzero(must[:, v]).tolist() for v in range(d)]
        self.open = [True] * len(self.nodes)
        self.heap = [(self.cost[v], v) for v in range(d) if not self.blocked[v]]
        heapq.heapify(self.heap)

    def _count(self, k: int, sign: int) -> None:
        a, b, c = self.nodes[k]
        # A collider at b is lost when an end goes first; a non-collider when b goes first.
        for v in (a, c) if self.collider[k] else (b,):
            self.cost[v] += sign * self.weight[k]

    def next_sink(self) -> int:
        while True:
            cost, x = heapq.heappop(self.heap)
            if self.remaining[x] and not self.blocked[x] and cost == self.cost[x]:
                return x

    def remove(self, x: int) -> None:
        self.remaining[x] = False
        changed = set()
        for k in self.at[x]:
            if self.open[k]:  # whichever node of a triple goes first settles it
                self.open[k] = False
                self._count(k, -1)
                changed.update(self.nodes[k])
        for v in self.above[x]:
            self.blocked[v] -= 1
            changed.add(v)
        for v in changed:
            if self.remaining[v] and not self.blocked[v]:
                heapq.heappush(self.heap, (self.cost[v], v))


def break_cycles(
    adjacent: np.ndarray, may: np.ndarray, required: np.ndarray, evidence: PairTable
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """``adjacent`` without the edges whose directions, forced by knowledge, make cycles; and those edges.

    The edge of largest p-value on a cycle goes first, ties by name; a required arrow stays.
    """
    adjacent, gone = adjacent.copy(), []
    while True:
        must = adjacent & may & ~may.T
        edges = np.argwhere(must & _reaches(must).T & ~required) if must.any() else np.empty((0, 2), dtype=np.int64)
        if not len(edges):
            return adjacent, gone
        at = pair_index(len(adjacent), edges.min(axis=1), edges.max(axis=1))
        i, j = sorted(map(int, edges[np.argmax(np.nan_to_num(evidence.p_value[at], nan=-1.0))]))
        adjacent[i, j] = adjacent[j, i] = False
        gone.append((i, j))


def _reaches(arrows: np.ndarray) -> np.ndarray:
    """bool (d, d): entry [i, j] says whether a directed path leads from i to j."""
    reach = arrows.copy()
    while True:
        wider = reach | (reach.astype(np.float32) @ reach.astype(np.float32) > 0)
        if (wider == reach).all():
            return reach
        reach = wider


def triple_evidence(names: tuple[str, ...], triples: Triples, fit: Fit) -> tuple[TripleEvidence, ...]:
    """One ``TripleEvidence`` per triple, in name order."""
    out = []
    for k, (a, b, c) in enumerate(triples.nodes.tolist()):
        p_with, p_without = (None if np.isnan(p) else float(p) for p in triples.found.p_value[k])
        with_b, without_b = map(int, triples.found.separating[k])
        status: Status = "clear"
        if triples.forced[k]:
            status = "knowledge"
        elif fit.overruled[k]:
            status = "overruled"
        elif (with_b and without_b) or not (with_b or without_b):
            status = "ambiguous"
        collider = bool(triples.collider[k] ^ fit.overruled[k])
        out.append(TripleEvidence(names[a], names[b], names[c], collider, status, p_with, p_without, with_b, without_b))
    return tuple(out)
