"""From a skeleton to a valid class of DAGs: collider verdicts, and the DAG that fits them best."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass

import numpy as np

from whence.core.progress import Progress
from whence.discovery.evidence import STATUSES, PairTable, TripleTable, pair_index
from whence.discovery.independence import Lists, Middles, Tests
from whence.discovery.skeleton import Skeleton, blocks, ways
from whence.graphs.bits import nonzero
from whence.graphs.graph import ARROW, TAIL

_FLOOR = 1e-300  # p-values below this are compared as if they were this


@dataclass(frozen=True, eq=False)
class Triples:
    """Unshielded triples a - b - c with a < c, in storage order of (a, c, b).

    nodes: int32 (t, 3). found: the tests' evidence. collider: bool (t,), the verdict. weight: int64 (t,), how
    strongly it is held. ambiguous: bool (t,), the tests do not agree. open: bool (t,), the rule gives no verdict.
    forced: bool (t,), knowledge decides. largest: size of the largest conditioning sets tried.
    """

    nodes: np.ndarray
    found: Middles
    collider: np.ndarray
    weight: np.ndarray
    ambiguous: np.ndarray
    open: np.ndarray
    forced: np.ndarray
    largest: int


def judge_triples(
    skeleton: Skeleton, tests: Tests, may: np.ndarray, alpha: float, progress: Progress, rule: str = "max_p"
) -> Triples:
    """Whether b is a common effect of a and c, from all sets of candidate parents of a or of c.

    Sets up to the size the skeleton search reached are tried; the verdict does not depend on the order of the
    nodes. By ``rule``, b is a collider when

    - ``"max_p"``: the set that best separates a and c leaves it out. The weight of the verdict is the distance
      between the logarithms of the largest p-value with b and without b (Ramsey 2016).
    - ``"majority"``: fewer than half of the separating sets contain it; exactly half is no verdict (Colombo
      and Maathuis 2014, section 4.2). The weight is how far the share is from one half.
    - ``"conservative"``: no separating set contains it; some but not all is no verdict (Ramsey, Zhang and
      Spirtes 2006). All verdicts weigh the same.

    Where a rule gives no verdict the largest p-value is followed, with a weight below that of every verdict: a
    class of DAGs has to say something.
    """
    nodes = unshielded(skeleton.adjacent)
    found, largest = _all_sets(skeleton, tests, may, nodes, alpha, progress)
    inside, outside = found.separating.T
    every, mixed = inside + outside, np.minimum(inside, outside) > 0
    logs = np.log(np.fmax(np.nan_to_num(found.p_value, nan=0.0), _FLOOR))
    collider, ambiguous = logs[:, 1] > logs[:, 0], mixed | (every == 0)
    # A verdict on which nothing speaks still counts a little, so that the answer stays determined.
    weight = np.rint(1e6 * np.abs(logs[:, 1] - logs[:, 0])).astype(np.int64) + 1
    none = np.zeros(len(nodes), dtype=bool)
    if rule != "max_p":
        ambiguous = 2 * inside == every if rule == "majority" else ambiguous
        collider, none = np.where(ambiguous, collider, 2 * inside < every), ambiguous
        strength = np.abs(outside - inside) / np.maximum(every, 1) if rule == "majority" else 1.0
        weight = np.where(ambiguous, 1 + weight // 10**6, np.rint(1e6 * strength).astype(np.int64))
    a, b, c = nodes.T
    into, out = may[a, b] & may[c, b], ~may[b, a] & ~may[b, c]
    forced = ~into | out
    return Triples(nodes, found, np.where(forced, into, collider), np.where(forced, 0, weight), ambiguous, none, forced,
                   largest)


def _all_sets(
    skeleton: Skeleton, tests: Tests, may: np.ndarray, nodes: np.ndarray, alpha: float, progress: Progress
) -> tuple[Middles, int]:
    """The tests' evidence on the triples, block by block of their ends, and the largest size of set tried."""
    lists = Lists.of(skeleton.adjacent & may)
    new = np.ones(len(nodes), dtype=bool)  # the first triple of each pair of ends
    new[1:] = (nodes[1:, [0, 2]] != nodes[:-1, [0, 2]]).any(axis=1)
    ends = np.ascontiguousarray(nodes[new][:, [0, 2]])
    starts = np.append(np.flatnonzero(new), len(nodes)).astype(np.int64)
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
    middle, end = nonzero(adjacent)
    after = np.bincount(middle, minlength=len(adjacent)).cumsum()[middle] - np.arange(len(middle)) - 1
    first = np.repeat(np.arange(len(middle)), after)  # the place of a, once for every later neighbour c of b
    later = np.arange(len(first)) - np.repeat(after.cumsum() - after, after)
    a, b, c = end[first], middle[first], end[first + 1 + later]
    apart = ~adjacent[a, c]
    out = np.column_stack([a[apart], b[apart], c[apart]]).astype(np.int32)
    return out[np.lexsort((out[:, 1], out[:, 2], out[:, 0]))]


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
    """A DAG with the skeleton's edges. marks: int8 (d, d). collider: bool (t,), what it makes of the triples.
    overruled: bool (t,), verdicts it does not follow."""

    marks: np.ndarray
    collider: np.ndarray
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
    turn = np.empty(d, dtype=np.int64)  # when each node was taken away
    for k in range(d):
        x = state.next_sink()
        turn[x] = k
        state.remove(x)
    marks = np.zeros((d, d), dtype=np.int8)
    i, j = nonzero(adjacent)
    marks[i, j] = np.where(turn[j] < turn[i], ARROW, TAIL)
    a, b, c = triples.nodes.T
    made = (marks[a, b] == ARROW) & (marks[c, b] == ARROW) if t else np.zeros(0, dtype=bool)
    return Fit(marks, made, (made != triples.collider) & ~triples.forced & ~triples.open)


class _Sinks:
    """What removing each remaining node next, as a sink, would break."""

    def __init__(self, adjacent: np.ndarray, triples: Triples, may: np.ndarray) -> None:
        d, nodes = len(adjacent), triples.nodes
        self.remaining = [True] * d
        self.nodes, self.collider = nodes.tolist(), triples.collider.tolist()
        self.weight = triples.weight.tolist()
        order, ends = np.argsort(nodes.ravel(), kind="stable") // 3, np.bincount(nodes.ravel(), minlength=d).cumsum()
        places, stops = order.tolist(), [0, *ends.tolist()]
        self.at = [places[start:stop] for start, stop in itertools.pairwise(stops)]
        held = [nodes[triples.collider, 0], nodes[triples.collider, 2], nodes[~triples.collider, 1]]
        paid = [triples.weight[triples.collider]] * 2 + [triples.weight[~triples.collider]]
        cost = np.zeros(d, dtype=np.int64)
        np.add.at(cost, np.concatenate(held), np.concatenate(paid))
        self.cost = cost.tolist()
        must = adjacent & may & ~may.T  # x --> v is the only way
        self.blocked = must.sum(axis=1).tolist()
        self.above: list[list[int]] = [[] for _ in range(d)]
        for x, v in np.argwhere(must).tolist() if must.any() else ():
            self.above[v].append(x)
        self.open = [True] * len(self.nodes)
        self.heap = [(self.cost[v], v) for v in range(d) if not self.blocked[v]]
        heapq.heapify(self.heap)

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
                a, b, c = self.nodes[k]
                # A collider at b is lost when an end goes first; a non-collider when b goes first.
                for v in (a, c) if self.collider[k] else (b,):
                    self.cost[v] -= self.weight[k]
                    changed.add(v)
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
        edges = np.argwhere(must & reaches(must).T & ~required) if must.any() else np.empty((0, 2), dtype=np.int64)
        if not len(edges):
            return adjacent, gone
        at = pair_index(len(adjacent), edges.min(axis=1), edges.max(axis=1))
        i, j = sorted(map(int, edges[np.argmax(np.nan_to_num(evidence.p_value[at], nan=-1.0))]))
        adjacent[i, j] = adjacent[j, i] = False
        gone.append((i, j))


def reaches(arrows: np.ndarray) -> np.ndarray:
    """bool (d, d): entry [i, j] says whether a directed path leads from i to j."""
    reach = arrows.copy()
    while True:
        wider = reach | (reach.astype(np.float32) @ reach.astype(np.float32) > 0)
        if (wider == reach).all():
            return reach
        reach = wider


def triple_evidence(names: tuple[str, ...], triples: Triples, fit: Fit) -> TripleTable:
    """What decided each triple, in name order."""
    status = np.full(len(triples.nodes), STATUSES.index("clear"), dtype=np.int8)
    status[triples.ambiguous] = STATUSES.index("ambiguous")
    status[fit.overruled] = STATUSES.index("overruled")
    status[triples.forced] = STATUSES.index("knowledge")
    return TripleTable(names, triples.nodes, fit.collider, status, triples.found.p_value, triples.found.separating)
