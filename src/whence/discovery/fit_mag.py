"""The maximal ancestral graph that follows marks and verdicts on colliders as far as any graph can.

Marks that rules have derived from tests that contradict each other may belong to no graph. Here a graph is built that
has the same edges and breaks little: sinks are taken away one at a time, as in Dor and Tarsi (1992) for DAGs, each time
the node whose removal costs least. An edge into a sink has an arrowhead there; at its other end it gets the mark that
is wanted, but never an arrowhead that would make a node a spouse of its own descendant.
"""

from __future__ import annotations

import itertools

import numpy as np

from whence.discovery.ancestral_knowledge import Held
from whence.discovery.orientation import Triples
from whence.graphs.bits import Bits, closure, ones, rows
from whence.graphs.graph import ARROW, CIRCLE, TAIL
from whence.graphs.inducing import inducing_pairs, inducing_path
from whence.graphs.zhang import class_of_mag, separator_in, zhang

_TAIL_WORTH = 2_000_000  # of a wanted tail, in the weight of verdicts: a factor of e^2 between p-values


def fit_mag(wanted: np.ndarray, triples: Triples, held: Held) -> np.ndarray:
    """The marks (d, d) of a MAG without --- on the edges of ``wanted``.

    wanted: int8 (d, d), circles where nothing is known. triples: the verdicts, with their weights. held: hard; its
    tails must be those of an acyclic graph and agree with ``never``. An edge is added only where knowledge leaves a
    pair that nothing separates.
    """
    ends = np.where(wanted != 0, held.marks, 0).astype(np.int8)
    while True:
        build = _Build(wanted, triples, ends, held)
        marks = build.marks
        bits = _bits(marks)
        inseparable = list(inducing_pairs(bits))
        loose = [edge for a, b in inseparable if (edge := build.loose(inducing_path(bits, a, b))) is not None]
        if not inseparable:
            return marks
        if not loose:
            return _completed(marks, bits, inseparable)
        parent, child = loose[0]
        ends[child, parent], ends[parent, child] = TAIL, ARROW


class _Build:
    """One graph, built from its sinks up."""

    def __init__(self, wanted: np.ndarray, triples: Triples, ends: np.ndarray, held: Held) -> None:
        d = len(wanted)
        self.wanted, self.ends = wanted, ends
        self.marks = np.zeros((d, d), dtype=np.int8)
        self.adjacent = rows(wanted != 0)
        self.tails = rows((wanted == TAIL).T)  # per node, those with a tail at it
        self.must = rows((ends == TAIL).T)  # per node, the children it must have
        above = rows(ends == TAIL)  # per node, the parents it must have
        self.above = [closure(above, 1 << k) for k in range(d)]
        self.never = list(held.never)
        self.left = (1 << d) - 1
        self.forced: set[tuple[int, int]] = set()  # spouses that could not be anything else
        self.rank: dict[int, int] = {}
        self.middle: list[list[tuple[int, int]]] = [[] for _ in range(d)]
        for (a, b, c), collider, weight in zip(triples.nodes.tolist(), triples.collider.tolist(),
                                               triples.weight.tolist(), strict=True):
            if not collider:
                self.middle[b].append((1 << a | 1 << c, weight))
        cost = {k: self._cost(k) for k in range(d)}
        while self.left:
            x = min((k for k in ones(self.left) if not self.must[k] & self.left), key=lambda k: (cost[k], k))
            self.left ^= 1 << x
            self.rank[x] = len(self.rank)
            self._take(x)
            for v in ones(self.adjacent[x] & self.left):
                cost[v] = self._cost(v)

    def _cost(self, x: int) -> int:
        """What is lost when x is the next sink: tails wanted there, and verdicts that it is no collider."""
        lost = _TAIL_WORTH * (self.tails[x] & self.left).bit_count()
        return lost + sum(weight for sides, weight in self.middle[x] if not sides & ~self.left)

    def _take(self, x: int) -> None:
        around = self.adjacent[x] & self.left
        spouses = 0
        for v in ones(around & ~self.above[x]):
            if self.ends[x, v] == ARROW or self.never[x] >> v & 1:
                spouses |= 1 << v
                self.forced.add((x, v))
            elif self.ends[x, v] != TAIL and self.wanted[x, v] == ARROW:
                spouses |= 1 << v
        while True:  # a parent below a spouse would make that spouse an ancestor
            barred = spouses | self.never[x]
            more = [v for v in ones(around & ~spouses & ~self.above[x]) if self.above[v] & barred]
            if not more:
                break
            for v in more:
                spouses |= 1 << v
                self.forced.add((x, v))
        for v in ones(around):
            self.marks[v, x] = ARROW
            self.marks[x, v] = ARROW if spouses >> v & 1 else TAIL
            if not spouses >> v & 1:
                self.never[v] |= self.never[x] | spouses

    def loose(self, path: tuple[int, ...]) -> tuple[int, int] | None:
        """The first <-> on a path that need not be one, as (parent, child) of the arrow it may become."""
        for a, b in itertools.pairwise(path):
            if self.marks[a, b] == ARROW and self.marks[b, a] == ARROW:
                child, parent = sorted((a, b), key=self.rank.__getitem__)
                if (child, parent) not in self.forced:
                    return parent, child
        return None


def _bits(marks: np.ndarray) -> Bits:
    names = tuple(f"{k:09d}" for k in range(len(marks)))
    return Bits.of(names, marks, (marks == ARROW) & (marks.T == ARROW))


def _completed(marks: np.ndarray, bits: Bits, inseparable: list[tuple[int, int]]) -> np.ndarray:
    """With an edge for every pair that nothing separates (Richardson and Spirtes 2002, theorem 5.1)."""
    out = marks.copy()
    for a, b in inseparable:
        out[a, b] = TAIL if bits.ancestors[a] >> b & 1 else ARROW
        out[b, a] = TAIL if bits.ancestors[b] >> a & 1 else ARROW
    return out


def class_within(mag: np.ndarray, held: Held) -> np.ndarray:
    """The marks of the PAG of a MAG, sharpened by the ends that knowledge holds, as far as the MAG has them."""
    marks = class_of_mag(mag)
    known = (marks == CIRCLE) & (held.marks != 0) & (held.marks == mag)
    if not known.any():
        return marks
    return zhang(np.where(known, held.marks, marks), separator_in(mag), selection=False)
