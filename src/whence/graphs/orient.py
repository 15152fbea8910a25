"""Orientation of partially directed graphs, on mark matrices: Meek's rules, extension, the class of a DAG.

Nothing here knows names; ``transform`` and ``classes`` do. Marks other than --> and --- count as
adjacencies only.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

import numpy as np

from whence.graphs.bits import nonzero, ones, rows_of

ARROW, TAIL = 2, 3


class _Sets:
    """Parents, children, neighbours by --- and adjacent nodes as bit sets, one per row of a mark matrix."""

    def __init__(self, marks: np.ndarray) -> None:
        d = len(marks)
        i, j = nonzero(marks)
        there, back = marks[i, j], marks[j, i]
        arrow, tail = there == ARROW, there == TAIL
        into, level = tail & (back == ARROW), tail & (back == TAIL)
        out = arrow & (back == TAIL)
        self.parents = rows_of(d, i[into], j[into])
        self.children = rows_of(d, i[out], j[out])
        self.neighbours = rows_of(d, i[level], j[level])
        self.adjacent = rows_of(d, i, j)

    def orient(self, b: int, c: int) -> None:
        """b --- c becomes b --> c."""
        self.neighbours[b] &= ~(1 << c)
        self.neighbours[c] &= ~(1 << b)
        self.children[b] |= 1 << c
        self.parents[c] |= 1 << b


def _rule(s: _Sets, b: int, c: int) -> int:
    """The number of a rule of Meek (1995, figure 1) that turns b --- c into b --> c, or 0."""
    far = ~(s.adjacent[c] | 1 << c)
    if s.parents[b] & far:  # R1: a --> b --- c, a and c not adjacent
        return 1
    if s.children[b] & s.parents[c]:  # R2: b --> a --> c
        return 2
    sides = s.neighbours[b] & s.parents[c]
    for a in ones(sides):  # R3: b --- a --> c, b --- d --> c, a and d not adjacent
        if sides & ~(s.adjacent[a] | 1 << a):
            return 3
    for a in ones(s.parents[c] & s.adjacent[b]):  # R4: b --- d --> a --> c, d and c not adjacent
        if s.parents[a] & s.neighbours[b] & far:
            return 4
    return 0


def _touched(s: _Sets, b: int, c: int) -> set[tuple[int, int]]:
    """The undirected edges to which a rule may newly apply once b --> c is there."""
    ends = s.neighbours[c] & (~s.adjacent[b] | s.parents[b])  # c --- x by R1 and R2
    if s.parents[c] & ~(s.adjacent[b] | 1 << b) or s.parents[b] & ~(s.adjacent[c] | 1 << c):
        ends |= s.neighbours[c] & s.adjacent[b]  # by R3, and by R4 with b --> c as its second arrow
    found = {(c, x) for x in ones(ends)}
    found |= {(b, x) for x in ones(s.neighbours[b] & s.children[c])}  # R2
    beyond = s.children[c] & ~(s.adjacent[b] | 1 << b)
    for x in ones(beyond):  # R4 with b --> c as its first arrow
        found |= {(a, x) for a in ones(s.neighbours[b] & s.neighbours[x] & s.adjacent[c])}
    return {(min(pair), max(pair)) for pair in found}


def meek(marks: np.ndarray, orient: Iterable[tuple[int, int]] = ()) -> np.ndarray:
    """``marks`` closed under Meek's rules R1 to R4, after turning the pairs (b, c) of ``orient`` into b --> c.

    marks: int8 (d, d). The pairs must be undirected edges of ``marks``, which must be closed already when
    some are given (only edges near them are looked at). Edges are turned in rounds, so the answer does not
    depend on the order of the nodes; an edge that the rules turn both ways at once, which happens only when
    no DAG fits, stays undirected. R4 is needed only with background knowledge and harmless without.

    Source: Meek (1995), "Causal inference and causal explanation with background knowledge".
    """
    s = _Sets(marks)
    out = np.array(marks, dtype=np.int8)
    turned = list(orient)
    if turned:
        pending: set[tuple[int, int]] = set()
    else:
        pending = {(b, c) for b, others in enumerate(s.neighbours) for c in ones(others >> b << b)}
    while turned or pending:
        for b, c in pending:
            forward, backward = _rule(s, b, c), _rule(s, c, b)
            if bool(forward) != bool(backward):
                turned.append((b, c) if forward else (c, b))
        for b, c in turned:
            s.orient(b, c)
            out[b, c], out[c, b] = ARROW, TAIL
        pending = set().union(*(_touched(s, b, c) for b, c in turned))
        turned = []
    return out


def first_unclosed(marks: np.ndarray) -> tuple[int, int, int] | None:
    """The first undirected edge that a rule turns, ``(b, c, rule)`` for b --> c, or None when closed."""
    s = _Sets(marks)
    for i, others in enumerate(s.neighbours):
        for j in ones(others >> i << i):
            for b, c in ((i, j), (j, i)):
                rule = _rule(s, b, c)
                if rule:
                    return b, c, rule
    return None


def extension(marks: np.ndarray) -> tuple[np.ndarray | None, list[int]]:
    """A DAG with the same adjacencies, arrows and v-structures, or None and the nodes where it fails.

    marks: int8 (d, d) with --> and --- only. Of several sinks the first in storage order is taken.
    Source: Dor and Tarsi (1992), "A simple algorithm to construct a consistent extension of a partially
    oriented graph".
    """
    s = _Sets(marks)
    out = np.array(marks, dtype=np.int8)
    left = (1 << len(marks)) - 1
    candidates = list(range(len(marks)))
    while candidates:
        x = heapq.heappop(candidates)
        around = s.adjacent[x] & left
        # A sink whose undirected neighbours are adjacent to everything else around it.
        if not left >> x & 1 or s.children[x] & left:
            continue
        if any(around & ~(s.adjacent[y] | 1 << y) for y in ones(s.neighbours[x] & left)):
            continue
        for y in ones(s.neighbours[x] & left):
            out[y, x], out[x, y] = ARROW, TAIL
        left &= ~(1 << x)
        for y in ones(around):
            heapq.heappush(candidates, y)
    return (None, ones(left)) if left else (out, [])


def pattern(marks: np.ndarray) -> np.ndarray:
    """A DAG's adjacencies undirected, except the arrows of v-structures a --> c <-- b, a and b not adjacent."""
    s = _Sets(marks)
    out = (marks != 0) * np.int8(TAIL)
    for c, parents in enumerate(s.parents):
        for a in ones(parents):
            if parents & ~(s.adjacent[a] | 1 << a):
                out[a, c], out[c, a] = ARROW, TAIL
    return out


def class_of(marks: np.ndarray) -> np.ndarray:
    """The marks of the CPDAG of a DAG: its pattern closed under Meek's rules."""
    return meek(pattern(marks))
