"""How many DAGs a class has, in polynomial time, as an exact integer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from whence.core.errors import WhenceError
from whence.graphs.bits import closure, ones
from whence.graphs.classes import CPDAG, MPDAG


def class_size(graph: CPDAG | MPDAG) -> int:
    """The number of DAGs of the class: the product over its undirected components of their orientations
    without a cycle and without a v-structure.

    An MPDAG is counted where no arrow joins two nodes of one undirected component; the components can then
    be oriented independently of each other, as in a CPDAG. Counting the members of any MPDAG is #P-hard.

    Raises ``WhenceError`` (``not_countable``) for another MPDAG, with the arrow, and ``unsupported_graph``
    for another class. Source: Wienöbst, Bannach and Liśkiewicz (2021), "Polynomial-time algorithms for
    counting and sampling Markov equivalent DAGs", algorithm 1.
    """
    if not isinstance(graph, (CPDAG, MPDAG)):
        kind = getattr(graph, "kind", type(graph).__name__)
        raise WhenceError(f"Members are counted for a CPDAG or an MPDAG, not for {kind}.", code="unsupported_graph",
                          value=kind, allowed=("CPDAG", "MPDAG"), hint="to_cpdag gives the class of a DAG.")
    bits = graph.bits
    known: dict[int, int] = {}
    size = 1
    for component in _components(bits.neighbours, (1 << len(graph)) - 1):
        for a in ones(component):
            inside = bits.children[a] & component
            if inside:
                arrow = [bits.names[a], bits.names[ones(inside)[0]]]
                raise WhenceError(
                    f"The members cannot be counted quickly: {' --> '.join(arrow)} joins nodes that undirected edges "
                    "join too.", code="not_countable", value=arrow,
                    hint="enumerate_members lists them one at a time.",
                )
        size *= _orientations(bits.neighbours, component, known)
    return size


def _components(neighbours: Sequence[int], nodes: int) -> Iterator[int]:
    """The connected components of the undirected graph on ``nodes``."""
    within = [row & nodes for row in neighbours]
    while nodes:
        component = closure(within, nodes & -nodes)
        yield component
        nodes &= ~component


@dataclass(frozen=True)
class _Clique:
    """A maximal clique: its nodes, and what the cliques on the way to it from the root share pairwise."""

    nodes: int
    shared: tuple[int, ...]


def _orientations(neighbours: Sequence[int], nodes: int, known: dict[int, int]) -> int:
    """Algorithm 1: acyclic orientations without v-structure of a connected chordal graph.

    Each is counted at one maximal clique that can come first in it: at K, the orders of K that begin with
    none of the sets shared on the way to K, times the orientations of what stays undirected behind K.
    """
    if nodes not in known:
        total = 0
        for clique in _clique_tree(neighbours, nodes):
            sizes = sorted({s.bit_count() for s in clique.shared if not s & ~clique.nodes})
            product = _orders(clique.nodes.bit_count(), sizes)
            for part in _behind(neighbours, nodes, clique.nodes):
                product *= _orientations(neighbours, part, known)
            total += product
        known[nodes] = total
    return known[nodes]


def _clique_tree(neighbours: Sequence[int], nodes: int) -> list[_Clique]:
    """The maximal cliques, each with the separators on its way to the first one.

    By maximum cardinality search (Blair and Peyton 1993, figure 4.5): a clique ends where the number of
    visited neighbours stops growing, and hangs on the clique of the last visited neighbour.
    """
    weight = dict.fromkeys(ones(nodes), 0)
    members: list[int] = []
    shared: list[tuple[int, ...]] = []
    clique_of: dict[int, int] = {}
    visited, before = 0, -1
    while weight:
        v = max(weight, key=weight.__getitem__)
        del weight[v]
        earlier = neighbours[v] & visited
        if earlier.bit_count() <= before or not members:
            last = max(map(clique_of.__getitem__, ones(earlier)), default=-1)
            members.append(earlier)
            shared.append((*shared[last], earlier) if earlier else ())
        members[-1] |= 1 << v
        clique_of[v] = len(members) - 1
        before = earlier.bit_count()
        visited |= 1 << v
        for w in ones(neighbours[v] & nodes & ~visited):
            weight[w] += 1
    return [_Clique(m, s) for m, s in zip(members, shared, strict=True)]


def _orders(size: int, forbidden: Sequence[int]) -> int:
    """The orders of ``size`` nodes that begin with none of a chain of subsets of these sizes (proposition 2)."""
    free: list[int] = []  # free[k]: the orders of subset k that begin with no smaller subset
    for n in (*forbidden, size):
        free.append(math.factorial(n) - sum(math.factorial(n - m) * f for m, f in zip(forbidden, free, strict=False)))
    return free[-1]


def _behind(neighbours: Sequence[int], nodes: int, clique: int) -> Iterator[int]:
    """Algorithm 2: the undirected components outside ``clique`` when it comes first.

    Lexicographic breadth-first search from the clique: nodes that are still in one class when its first node
    is visited have the same parents, and the edges among them stay undirected.
    """
    classes = [clique, nodes & ~clique]
    done = clique
    while classes:
        first = classes[0]
        if not first & done:
            yield from _components(neighbours, first)
            done |= first
        v = first & -first
        near = neighbours[v.bit_length() - 1]
        classes[0] = first & ~v
        classes = [part for c in classes for part in (c & near, c & ~near) if part]
