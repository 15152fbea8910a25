"""Who is related to whom: parents, children, ancestors, districts, Markov blankets.

``names`` is one node or several; several mean the union. Ancestors and descendants include the node
itself (the convention of graphical criteria). Only --> makes parents; see ``possible_descendants`` for
the undirected edges of a class.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from whence.core.errors import WhenceError
from whence.graphs.bits import Bits, closure, ones, rows, topological, union
from whence.graphs.graph import Graph
from whence.graphs.possible import onward

ANCESTRAL = ("MAG", "PAG")


def bits_of(graph: Graph, names: str | Iterable[str]) -> int:
    """The bit set of one node or several. Raises ``WhenceError`` (``unknown_node``)."""
    out = 0
    for name in (names,) if isinstance(names, str) else names:
        graph.position(name)
        out |= 1 << graph.bits.rank[name]
    return out


def parents(graph: Graph, names: str | Iterable[str]) -> frozenset[str]:
    """Nodes with an arrow to one of ``names``, a member of ``names`` included where it is such a node."""
    return graph.bits.set_of(union(graph.bits.parents, bits_of(graph, names)))


def children(graph: Graph, names: str | Iterable[str]) -> frozenset[str]:
    """Nodes to which one of ``names`` has an arrow."""
    return graph.bits.set_of(union(graph.bits.children, bits_of(graph, names)))


def neighbours(graph: Graph, names: str | Iterable[str]) -> frozenset[str]:
    """Nodes joined to one of ``names`` by an undirected edge ---."""
    return graph.bits.set_of(union(graph.bits.neighbours, bits_of(graph, names)))


def spouses(graph: Graph, names: str | Iterable[str]) -> frozenset[str]:
    """Nodes joined to one of ``names`` by a bidirected edge <->."""
    return graph.bits.set_of(union(graph.bits.spouses, bits_of(graph, names)))


def adjacent(graph: Graph, names: str | Iterable[str]) -> frozenset[str]:
    """Nodes joined to one of ``names`` by an edge of any kind."""
    return graph.bits.set_of(union(graph.bits.adjacent, bits_of(graph, names)))


def ancestors(graph: Graph, names: str | Iterable[str]) -> frozenset[str]:
    """``names`` and the nodes with a directed path --> ... --> to one of them."""
    return graph.bits.set_of(closure(graph.bits.parents, bits_of(graph, names)))


def descendants(graph: Graph, names: str | Iterable[str]) -> frozenset[str]:
    """``names`` and the nodes that a directed path --> ... --> from one of them reaches."""
    return graph.bits.set_of(closure(graph.bits.children, bits_of(graph, names)))


def possible_descendants(graph: Graph, names: str | Iterable[str]) -> frozenset[str]:
    """The nodes that descend from one of ``names`` in at least one member of the class, ``names`` included.

    graph: any class; a DAG, ADMG or MAG is its own only member. In a CPDAG or MPDAG these are the ends of
    b-possibly causal paths (Perkovic, Kalisch and Maathuis, 2017, definition 3.1), and an unshielded undirected
    path followed by a directed one reaches each of them (lemmas 3.5 and 3.6). In a PAG they are the ends of
    paths on which no edge has an arrowhead towards the start (Zhang 2008, lemma B.1).
    """
    bits = graph.bits
    if graph.kind in ANCESTRAL:
        return bits.set_of(closure(possible_steps(graph)[1], bits_of(graph, names)))
    return bits.set_of(closure(bits.children, _unshielded(bits, bits_of(graph, names))))


def possible_ancestors(graph: Graph, names: str | Iterable[str]) -> frozenset[str]:
    """The nodes from which one of ``names`` descends in at least one member of the class, ``names`` included."""
    bits = graph.bits
    if graph.kind in ANCESTRAL:
        return bits.set_of(closure(possible_steps(graph)[0], bits_of(graph, names)))
    return bits.set_of(_unshielded(bits, closure(bits.parents, bits_of(graph, names))))


def possible_steps(graph: Graph) -> tuple[list[int], list[int]]:
    """Possible parents and possible children per node, bit sets in name order. graph: MAG or PAG."""
    order = sorted(range(len(graph)), key=graph.names.__getitem__)
    step = onward(graph.marks[np.ix_(order, order)])
    return rows(step.T), rows(step)


def _unshielded(bits: Bits, start: int) -> int:
    """``start`` and the ends of undirected paths from it on which no node skips to the next but one."""
    reached, done = start, set()
    ends = [(a, b) for a in ones(start) for b in ones(bits.neighbours[a])]
    while ends:
        a, b = ends.pop()
        if (a, b) in done:
            continue
        done.add((a, b))
        reached |= 1 << b
        ends.extend((b, c) for c in ones(bits.neighbours[b] & ~(bits.adjacent[a] | 1 << a)))
    return reached


def topological_order(graph: Graph) -> tuple[str, ...]:
    """The nodes with every --> pointing to the right; among free nodes the first by name comes first."""
    order = topological(graph.bits.parents, graph.bits.children)
    if len(order) < len(graph):
        raise WhenceError("A graph with a directed cycle has no topological order.", code="cycle")
    return tuple(graph.bits.names[k] for k in order)


def districts(graph: Graph) -> list[frozenset[str]]:
    """The sets of nodes connected by <->, single nodes included, ordered by their first name."""
    left, found = (1 << len(graph)) - 1, []
    while left:
        district = closure(graph.bits.spouses, left & -left)
        found.append(graph.bits.set_of(district))
        left &= ~district
    return found


def district(graph: Graph, name: str) -> frozenset[str]:
    """The node and those connected to it by <->."""
    return graph.bits.set_of(closure(graph.bits.spouses, bits_of(graph, name)))


def markov_blanket(graph: Graph, name: str) -> frozenset[str]:
    """The smallest set of other nodes given which ``name`` is separated from all the rest.

    In a DAG: parents, children and the children's other parents. In general: the nodes at the other end of
    a path on which every inner node is a collider, that is the district of the node and of its children with
    all their parents. The separations of a class decide it, so for a CPDAG, MPDAG or PAG it is that of every
    member. Raises ``WhenceError`` (``not_a_pag``) for a PAG that is the class of no MAG.
    """
    graph = getattr(graph, "member", graph)
    bits, me = graph.bits, bits_of(graph, name)
    k = bits.rank[name]
    colliders = closure(bits.spouses, bits.spouses[k] | bits.children[k])
    blanket = bits.parents[k] | bits.neighbours[k] | colliders | union(bits.parents, colliders)
    return bits.set_of(blanket & ~me)
