"""Which edges sets of neighbours cannot remove, though some set does: the search through Possible-D-Sep sets.

With unmeasured causes, two nodes without an edge may be separated by no set of neighbours of either (a D-sep link).
The nodes that do separate them are ancestors of either and lie on paths of colliders. What the orientation rules say
already about a graph that still has such edges too many is true (Colombo et al. 2012, theorem 3.4), so most edges can
be ruled out before any test is made.

For a D-sep link between x and y let D(x) be the nodes v with a path from x to v on which every node is an ancestor of
x or y and every inner node is a collider; D(x) separates them, and so does D(y) (Spirtes et al. 2000, theorem 6.2).
Neither lies among the neighbours, or the search among neighbours would have found it. Hence

- a path x *-> u <-* ... leads out of the neighbours of x. The arrowhead at u means that u is no ancestor of x, so it is
  one of y; likewise y *-> v <-* ... with v an ancestor of x;
- x is no ancestor of y, or v would be one although y *-> v; nor is y one of x. So x <-> u and y <-> v;
- a separating set has a node of every directed path from u to y and from v to x: at least two nodes.

An edge is tested only if all of this is possible, and goes only if sets on both sides separate it: one side without
a separating set shows that the edge is real. On true separations the outcome is that of the full search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from whence.core.progress import Progress
from whence.core.result import Remark
from whence.discovery.independence import Level, Lists, Tests
from whence.discovery.separations import Separations
from whence.discovery.skeleton import ways
from whence.graphs.bits import closure, ones, rows
from whence.graphs.graph import ARROW, TAIL

_FEWEST = 2  # nodes in a set that removes a D-sep link


@dataclass(frozen=True)
class Candidate:
    """A pair x < y that may be a D-sep link, and per side the bit set that then holds a separating set."""

    x: int
    y: int
    sides: tuple[int, int]


def candidates(marks: np.ndarray, longest: int | None = None) -> list[Candidate]:
    """The edges of a graph with true marks that may join two separable nodes, in name order.

    marks: int8 (d, d), circles where nothing is known. longest: edges on the paths, None for any number.
    """
    reach = _Reach(marks)
    found = []
    for x, y in np.argwhere(np.triu(marks != 0)).tolist():
        sides = reach.sides(x, y, longest)
        if sides is not None:
            found.append(Candidate(x, y, sides))
    return found


class _Reach:
    """Bit sets per node: adjacent nodes; those with an arrowhead at it; those whose mark at it is no tail; those on
    edges without a tail; and the nodes that may be its ancestors."""

    def __init__(self, marks: np.ndarray) -> None:
        there = marks != 0
        self.adjacent = rows(there)
        self.into = rows((marks == ARROW).T)
        self.untailed = rows((there & (marks != TAIL)).T)
        self.headed = rows(there & (marks != TAIL) & (marks.T != TAIL))
        back = rows((there & (marks.T != ARROW) & (marks != TAIL)).T)
        self.above = [closure(back, 1 << k) for k in range(len(marks))]

    def sides(self, x: int, y: int, longest: int | None) -> tuple[int, int] | None:
        if not self.headed[x] >> y & 1:
            return None
        out = []
        for a, b in ((x, y), (y, x)):
            starts = self.headed[a] & self.above[b] & ~(1 << b)
            inside = self.above[a] | self.above[b]
            near = self.adjacent[a] & inside & ~(1 << b)
            far = self._along_colliders(a, starts, inside, longest) & ~(1 << a | 1 << b) if starts else 0
            if not far & ~self.adjacent[a]:
                return None
            out.append(near | far)
        return out[0], out[1]

    def _along_colliders(self, x: int, starts: int, inside: int, longest: int | None) -> int:
        """The nodes on paths from x by ``starts`` whose inner nodes are colliders, or may be in a triangle.

        The steps are (from, to); per node, ``waiting`` holds the nodes it was newly entered from.
        """
        waiting, seen, found = dict.fromkeys(ones(starts), 1 << x), {}, starts
        steps = 1
        while waiting and steps != longest:
            following: dict[int, int] = {}
            for node, sources in waiting.items():
                seen[node] = seen.get(node, 0) | sources
                for source in ones(sources & self.untailed[node]):
                    triangle = self.adjacent[source] & self.untailed[node]
                    collider = self.into[node] if self.into[node] >> source & 1 else 0
                    for step in ones((triangle | collider) & inside & ~(1 << source | 1 << x)):
                        following[step] = following.get(step, 0) | 1 << node
            waiting = {node: new for node, sources in following.items() if (new := sources & ~seen.get(node, 0))}
            for node in waiting:
                found |= 1 << node
            steps += 1
        return found


def remove_links(
    state: Separations, marks: np.ndarray, tests: Tests, alpha: float, max_conditioning: int | None,
    longest: int | None, progress: Progress,
) -> list[Remark]:
    """Takes the D-sep links out of ``state``; the remarks of a search that was cut.

    marks: what is known of the graph of ``state``. The candidates are those before any is removed, so the order of the
    nodes does not matter.
    """
    found = [c for c in candidates(marks, longest) if not state.held(c.x, c.y)]
    limit = tests.largest if max_conditioning is None else min(tests.largest, max_conditioning)
    budget = np.inf if max_conditioning is not None else tests.budget
    cut = []
    progress.begin("looking for edges that no set of neighbours removes", len(found))
    try:
        for c in found:
            first, second = sorted(zip(c.sides, (c.x, c.y), strict=True), key=lambda s: (s[0].bit_count(), s[1]))
            separating, whole = _search(tests, c, *first, limit, budget, alpha)
            if separating is not None:
                other, whole = _search(tests, c, *second, limit, budget, alpha)
                if other is not None:
                    state.remove(c.x, c.y, separating)
            if not whole:
                cut.append([state.names[c.x], state.names[c.y]])
            progress.step()
    finally:
        progress.end()
    return [_cut(cut)] if cut else []


def _search(
    tests: Tests, pair: Candidate, side: int, owner: int, limit: int, budget: float, alpha: float
) -> tuple[Level | None, bool]:
    """The test given the first set within ``side`` that separates the pair, None for none; whether all were tried."""
    lists = single_list(len(tests.kinds), owner, ones(side))
    ends = np.array([[pair.x, pair.y]], dtype=np.int32)
    width, work = side.bit_count(), 0.0
    for size in range(_FEWEST, width + 1):
        work += float(ways(np.array(width), size))
        if size > limit or work > budget:
            return None, size > limit and limit < tests.largest
        found = tests.level(lists, ends, size, alpha)
        if found.separated[0]:
            return found, True
    return None, True


def single_list(d: int, owner: int, members: Sequence[int]) -> Lists:
    """The candidates of one node; the others have none."""
    starts = np.zeros(d + 1, dtype=np.int64)
    starts[owner + 1 :] = len(members)
    return Lists(starts, np.array(members, dtype=np.int32))


def _cut(pairs: list[list[str]]) -> Remark:
    text = (
        f"{len(pairs):,} edges, such as {pairs[0][0]} and {pairs[0][1]}, may stand for no direct relation: not all "
        "sets of variables that could show this were tried."
    )
    return Remark("search_cut", text, tuple(sorted({n for pair in pairs for n in pair})), {"pairs": pairs[:50]})
