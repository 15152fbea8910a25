"""From a graph with hidden causes to the MAG over its measured nodes."""

from __future__ import annotations

from whence.core.errors import WhenceError
from whence.graphs.bits import ones
from whence.graphs.classes import ADMG, DAG, MAG
from whence.graphs.graph import Graph, marks_from_edges
from whence.graphs.inducing import inducing_pairs
from whence.graphs.transform import latent_projection


def to_mag(graph: DAG | ADMG | MAG) -> MAG:
    """The maximal ancestral graph with the same separations and the same ancestors among the observed nodes.

    Two observed nodes have an edge when an inducing path joins them: nothing observed separates them. It is
    a --> b when a is an ancestor of b, and a <-> b when neither is an ancestor of the other. A DAG or ADMG
    says nothing about selection, so there is no ---.

    Raises ``WhenceError`` (``unsupported_graph``) for a class of DAGs or a PAG.
    Source: Richardson and Spirtes (2002), section 4.2; inducing paths are read in the latent projection.
    """
    if isinstance(graph, MAG):
        return graph
    if not isinstance(graph, (DAG, ADMG)):
        kind = getattr(graph, "kind", type(graph).__name__)
        raise WhenceError(
            f"A MAG is made of a DAG or an ADMG, not of a {kind}.", code="unsupported_graph", value=kind,
            allowed=("DAG", "ADMG", "MAG"), hint="Take a member of the class.",
        )
    projected = latent_projection(graph)
    bits = projected.bits
    pairs = [(a, b) for a, others in enumerate(bits.adjacent) for b in ones(others) if a < b]
    edges = [_edge(projected, a, b) for a, b in [*pairs, *inducing_pairs(bits)]]
    return MAG(projected.names, marks_from_edges(projected.names, edges))


def _edge(graph: Graph, a: int, b: int) -> tuple[str, str, str]:
    bits = graph.bits
    if bits.ancestors[b] >> a & 1:
        return bits.names[a], "-->", bits.names[b]
    return bits.names[a], "<--" if bits.ancestors[a] >> b & 1 else "<->", bits.names[b]
