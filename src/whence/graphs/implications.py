"""The independences a graph implies, one per pair of nodes it leaves unjoined."""

from __future__ import annotations

from itertools import combinations

from whence.graphs.graph import Graph
from whence.graphs.separation import minimal_separator


def implied_independences(graph: Graph) -> list[tuple[str, str, tuple[str, ...]]]:
    """``(x, y, given)`` with x before y by name, for each pair of observed nodes that can be separated.

    graph: DAG, CPDAG, MPDAG, ADMG or MAG. given: a minimal separator among the observed nodes, sorted. Pairs
    with an edge, and pairs that no set of observed nodes separates, are left out. In a DAG without latent
    nodes the list has every pair without an edge, and together they imply all others.
    """
    graph = graph.member if graph.kind in ("CPDAG", "MPDAG") else graph  # pyright: ignore[reportAttributeAccessIssue]
    bits, found = graph.bits, []
    for x, y in combinations(sorted(graph.observed), 2):
        if bits.adjacent[bits.rank[x]] >> bits.rank[y] & 1:
            continue
        given = minimal_separator(graph, x, y)
        if given is not None:
            found.append((x, y, tuple(sorted(given))))
    return found
