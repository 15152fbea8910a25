"""Hedges: the two forests in a graph that show that an effect cannot be identified from it, whatever the method.

Source: Shpitser and Pearl (2006), Identification of joint interventional distributions in recursive semi-Markovian
causal models, definitions 5 and 6, theorems 4 and 6.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from whence.graphs.bits import ones
from whence.graphs.classes import ADMG
from whence.graphs.graph import Graph

Edge = tuple[str, str, str]


@dataclass(frozen=True)
class Hedge:
    """Two forests F' inside F with the same roots; F meets the treatments, F' does not.

    treatment, outcome: the effect it stands against. outer, inner: the nodes of F and of F'. roots: the nodes
    without a child in either. edges: those of F, ``(a, "-->", b)`` with at most one child per node and
    ``(a, "<->", b)`` that hold it together; the edges of F' are those among ``inner``.
    """

    treatment: tuple[str, ...]
    outcome: tuple[str, ...]
    outer: tuple[str, ...]
    inner: tuple[str, ...]
    roots: tuple[str, ...]
    edges: tuple[Edge, ...]

    def __bool__(self) -> bool:
        return False

    def to_dict(self) -> dict[str, Any]:
        named = ("treatment", "outcome", "outer", "inner", "roots")
        return {name: list(getattr(self, name)) for name in named} | {"edges": [list(edge) for edge in self.edges]}


def forest(graph: Graph, x: int, y: int, outer: int, inner: int) -> Hedge:
    """The hedge on the nodes where the algorithm stopped (theorem 6): each node keeps one child.

    x, y, outer, inner: bit sets over ``graph``, as line 5 has them.
    """
    bits = graph.bits
    roots, edges = 0, []
    for v in ones(outer):
        below = bits.children[v] & (inner if inner >> v & 1 else outer)
        if below:
            edges.append((bits.names[v], "-->", bits.names[ones(below)[0]]))
        else:
            roots |= 1 << v
        edges += [(bits.names[v], "<->", bits.names[w]) for w in ones(bits.spouses[v] & outer) if v < w]
    named = bits.sorted_of
    return Hedge(named(x), named(y), named(outer), named(inner), named(roots), tuple(edges))


def is_hedge(graph: ADMG, hedge: Hedge, treatment: Iterable[str], outcome: Iterable[str]) -> bool:
    """Whether definition 6 holds for P(outcome | do(treatment)) in a graph over measured nodes."""
    xs, ys = set(treatment), set(outcome)
    outer, inner, roots = set(hedge.outer), set(hedge.inner), set(hedge.roots)
    have = {*graph.edges(), *((b, "<->", a) for a, edge, b in graph.edges() if edge == "<->")}
    cut = [(a, edge, b) for a, edge, b in graph.edges() if edge == "-->" and b not in xs]
    above = set(ys)
    while more := {a for a, _, b in cut if b in above} - above:
        above |= more
    edges = [(a, edge, b) for a, edge, b in hedge.edges]  # lists when read back from JSON
    inside = [e for e in edges if e[0] in inner and e[2] in inner]
    return (
        set(edges) <= have and bool(outer & xs) and not inner & xs and inner <= outer and roots <= above
        and _is_forest(outer, edges, roots) and _is_forest(inner, inside, roots)
    )


def _is_forest(nodes: set[str], edges: list[Edge], roots: set[str]) -> bool:
    """Definition 5: joined by <->, at most one child each, and the nodes without one are the roots."""
    if not roots or any(a not in nodes or b not in nodes for a, _, b in edges):
        return False
    parents_of_something = [a for a, edge, _ in edges if edge == "-->"]
    joined = [{a, b} for a, edge, b in edges if edge == "<->"]
    reached = {min(nodes)}
    while more := set().union(*(pair for pair in joined if pair & reached)) - reached:
        reached |= more
    single = len(parents_of_something) == len(set(parents_of_something))
    return reached == nodes and single and nodes - set(parents_of_something) == roots
