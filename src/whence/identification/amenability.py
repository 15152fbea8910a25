"""What a MAG or PAG leaves open about an effect: hidden causes behind an edge, and ends that may be either.

An effect can be found by adjustment only if every possibly causal path out of a treatment starts with a visible
edge (amenability). An edge x --> v is visible when no graph of the class has a hidden common cause of x and v: there
is a node c without an edge to v that has an arrowhead at x, or is joined to x by a path of colliders that are all
parents of v. All else an adjustment set must obey, blocking included, may then be read in one MAG of the class.

Selection of the units by an effect of the nodes is taken to be absent, as in all of the sources.

Sources: Zhang (2008), Causal reasoning with ancestral graphs (definition of visible edges, lemma 9); Maathuis and
Colombo (2015), A generalized back-door criterion; Perkovic, Textor, Kalisch and Maathuis (2018), Complete graphical
characterization and construction of adjustment sets in Markov equivalence classes of ancestral graphs (definition 4
and theorem 5); van der Zander, Liskiewicz and Textor (2019), Separators and adjustment sets in causal graphs.
"""

from __future__ import annotations

from whence.graphs.ancestry import possible_steps
from whence.graphs.bits import closure, ones, shortest_path, union
from whence.graphs.graph import Graph
from whence.identification.adjustment import avoiding


def visible_children(graph: Graph) -> list[int]:
    """Per node, in name order, the bit set of its children by a visible edge. graph: MAG or PAG."""
    bits = graph.bits
    into = _arrowheads(graph)
    found = []
    for x, children in enumerate(bits.children):
        visible = 0
        for v in ones(children):
            inside = [row & bits.parents[v] for row in bits.spouses]
            colliders = closure(inside, 1 << x)
            if union(into, colliders) & ~(bits.adjacent[v] | 1 << v):
                visible |= 1 << v
        found.append(visible)
    return found


def possibly_causal(graph: Graph, treatments: int, outcomes: int) -> tuple[int, int]:
    """The nodes on possibly causal paths that meet no other treatment, and these with what they may affect.

    graph: MAG or PAG. A path is possibly causal when no edge of it has an arrowhead towards the treatment. The
    first set may hold nodes that such a path only reaches by turning back; they are in the second anyway.
    """
    parents, children = possible_steps(graph)
    causal = avoiding(children, union(children, treatments), treatments) & avoiding(parents, outcomes, treatments)
    return causal, closure(children, causal)


def unsure_path(graph: Graph, treatments: int, outcomes: int) -> tuple[int, ...]:
    """A possibly causal path that starts with no visible edge out of a treatment; ``()`` when there is none.

    graph: MAG or PAG. Positions in name order; of several, one with a circle at the treatment, else a shortest.
    """
    _, children = possible_steps(graph)
    causal, _ = possibly_causal(graph, treatments, outcomes)
    visible = visible_children(graph)
    onward = [row & ~treatments for row in children]
    found = []
    for x in ones(treatments):
        for v in ones(children[x] & causal & ~visible[x]):
            tails = [shortest_path(onward, v, y) if v != y else [v] for y in ones(outcomes)]
            best = min((t for t in tails if t), key=len)
            found.append((graph.bits.children[x] >> v & 1, len(best), (x, *best)))
    return min(found)[2] if found else ()


def _arrowheads(graph: Graph) -> list[int]:
    """Per node, in name order, the nodes whose edge has an arrowhead at it: c *-> node."""
    bits = graph.bits
    out = [p | s for p, s in zip(bits.parents, bits.spouses, strict=True)]
    for a, edge, b in graph.edges():
        if edge == "o->":
            out[bits.rank[b]] |= 1 << bits.rank[a]
    return out
