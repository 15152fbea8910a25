"""Inducing paths: why two nodes without an edge may still be inseparable.

A path between a and b is inducing when every inner node is a collider on it and an ancestor of a or b. Then
nothing separates a and b (Richardson and Spirtes 2002, theorem 4.2); a graph without such paths between
nodes that have no edge is maximal.
"""

from __future__ import annotations

from collections.abc import Iterator

from whence.graphs.bits import Bits, closure, ones, shortest_path, union


def inducing_pairs(bits: Bits) -> Iterator[tuple[int, int]]:
    """The pairs a < b without an edge that an inducing path joins, as positions in name order.

    The directed part must be acyclic. Only pairs that a path of colliders joins at all are looked at.
    """
    heads = [c | s for c, s in zip(bits.children, bits.spouses, strict=True)]  # with an arrowhead from k
    into = [p | s for p, s in zip(bits.parents, bits.spouses, strict=True)]  # with an arrowhead at k
    for a in range(len(bits.names)):
        ends = union(into, closure(bits.spouses, heads[a]))
        for b in ones(ends & ~bits.adjacent[a] & -(2 << a)):
            if _inner(bits, heads, a, b) & heads[b]:
                yield a, b


def inducing_path(bits: Bits, a: int, b: int) -> tuple[int, ...]:
    """A shortest inducing path from a to b as positions, both ends included; empty when there is none."""
    heads = [c | s for c, s in zip(bits.children, bits.spouses, strict=True)]
    inner = _inner(bits, heads, a, b)
    table = [row & inner for row in bits.spouses]
    table[a] = heads[a] & inner
    for v in ones(inner & heads[b]):
        table[v] |= 1 << b
    return tuple(shortest_path(table, a, b))


def _inner(bits: Bits, heads: list[int], a: int, b: int) -> int:
    """The nodes that an inducing path between a and b may pass on its way from a."""
    above = (bits.ancestors[a] | bits.ancestors[b]) & ~(1 << a | 1 << b)
    inner = new = heads[a] & above
    while new:
        new = union(bits.spouses, new) & above & ~inner
        inner |= new
    return inner
