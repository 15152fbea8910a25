"""From one graph to another: classes and their members, skeleton, moral graph, latent projection."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from whence.core.errors import WhenceError
from whence.graphs.bits import closure, matrix, ones, union
from whence.graphs.classes import ADMG, CPDAG, DAG, MPDAG
from whence.graphs.graph import ARROW, NONE, TAIL, Graph
from whence.graphs.orient import class_of, meek


def to_cpdag(graph: DAG | CPDAG | MPDAG) -> CPDAG:
    """The class of all DAGs with the same independences: same adjacencies and v-structures, the rest follows.

    For an MPDAG the class before knowledge. Source: Verma and Pearl (1990); Meek (1995).
    """
    if isinstance(graph, CPDAG):
        return graph
    dag = graph.member if isinstance(graph, MPDAG) else graph
    _need(dag, DAG)
    return CPDAG(dag.names, class_of(dag.marks), dag.latents)


def consistent_extension(graph: CPDAG | MPDAG | DAG) -> DAG:
    """A DAG of the class, the same one whatever the order of the nodes. Source: Dor and Tarsi (1992)."""
    if isinstance(graph, DAG):
        return graph
    _need(graph, CPDAG, MPDAG)
    return graph.member


def close(graph: Graph) -> MPDAG:
    """The MPDAG that Meek's rules make of any graph with --> and --- edges.

    Raises ``WhenceError`` when no DAG has these edges, arrows and v-structures.
    """
    return MPDAG(graph.names, meek(graph.marks), graph.latents)


def enumerate_members(graph: CPDAG | MPDAG) -> Iterator[DAG]:
    """Every DAG of the class, one at a time, in an order that does not depend on the order of the nodes.

    The first undirected edge by name is directed each way in turn and Meek's rules applied; both ways have
    members, because the graph is closed (Meek 1995, theorem 4).
    """
    _need(graph, CPDAG, MPDAG)
    order = sorted(range(len(graph)), key=graph.names.__getitem__)
    back = np.argsort(order)
    waiting = [graph.marks[np.ix_(order, order)]]
    while waiting:
        marks = waiting.pop()
        undirected = np.argwhere(np.triu((marks == TAIL) & (marks.T == TAIL)))
        if len(undirected):
            a, b = map(int, undirected[0])
            waiting += [meek(marks, [(b, a)]), meek(marks, [(a, b)])]
        else:
            yield DAG(graph.names, marks[np.ix_(back, back)], graph.latents)


def skeleton(graph: Graph) -> frozenset[tuple[str, str]]:
    """The adjacent pairs, each sorted by name."""
    rows = enumerate(graph.bits.adjacent)
    names = graph.bits.names
    return frozenset((names[a], names[b]) for a, others in rows for b in ones(others) if a < b)


def v_structures(graph: Graph) -> frozenset[tuple[str, str, str]]:
    """The triples (a, c, b), a before b by name, with a --> c <-- b and a, b not adjacent."""
    bits = graph.bits
    found = set()
    for c, parents in enumerate(bits.parents):
        for a in ones(parents):
            for b in ones(parents & ~bits.adjacent[a] & -(2 << a)):
                found.add((bits.names[a], bits.names[c], bits.names[b]))
    return frozenset(found)


def moral(graph: DAG) -> frozenset[tuple[str, str]]:
    """The edges of the moral graph, each sorted by name: adjacent pairs and pairs with a common child."""
    _need(graph, DAG)
    bits = graph.bits
    edges = set(skeleton(graph))
    for parents in bits.parents:
        members = bits.sorted_of(parents)
        edges.update((a, b) for a in members for b in members if a < b)
    return frozenset(edges)


def latent_projection(graph: DAG | ADMG) -> ADMG:
    """The ADMG over the observed nodes with the same separations and the same causal effects among them.

    a --> b for a directed path through latent nodes only; a <-> b for a path a <-- ... --> b that leaves a
    common latent ancestor or a bidirected edge, through latent nodes without a collider.
    Source: Verma (1993); Tian and Pearl (2002).
    """
    _need(graph, DAG, ADMG)
    bits = graph.bits
    hidden = bits.bits_of(graph.latents)

    def first_observed(starts: int) -> int:
        """The observed nodes where directed paths from ``starts`` leave the latent ones."""
        inside = _closure_within(bits.children, starts & hidden, hidden)
        return (starts | union(bits.children, inside)) & ~hidden

    below = [0 if hidden >> k & 1 else first_observed(c) for k, c in enumerate(bits.children)]
    beside = [0] * len(below)
    pairs = [(first_observed(1 << k),) * 2 for k in ones(hidden)]
    pairs += [
        (first_observed(1 << k), first_observed(1 << s))
        for k, others in enumerate(bits.spouses) for s in ones(others) if k < s
    ]
    for left, right in pairs:
        for from_here, there in ((left, right), (right, left)):
            for a in ones(from_here):
                beside[a] |= there & ~(1 << a)
    at = [bits.rank[name] for name in graph.observed]
    square = np.ix_(at, at)
    directed, bidirected = matrix(below)[square], matrix(beside)[square]
    marks = np.where(directed, ARROW, np.where(directed.T, TAIL, np.where(bidirected, ARROW, NONE))).astype(np.int8)
    return ADMG(graph.observed, marks, bidirected=bidirected)


def _closure_within(table: list[int], start: int, within: int) -> int:
    return closure([row & within for row in table], start)


def _need(graph: Graph, *classes: type[Graph]) -> None:
    if not isinstance(graph, classes):
        kinds = tuple(c.__name__ for c in classes)
        raise WhenceError(
            f"This needs a graph of class {' or '.join(kinds)}, not {getattr(graph, 'kind', type(graph).__name__)}.",
            code="unsupported_graph", value=getattr(graph, "kind", type(graph).__name__), allowed=kinds,
        )
