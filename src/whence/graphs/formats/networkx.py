"""networkx graphs both ways. Reading asks for the interface only and imports nothing.

An edge attribute ``edge`` such as ``"<->"`` says the kind of edge; without one, a directed graph's edges are
--> and an undirected graph's ---. A node attribute ``latent=True`` (or ``observed="no"``) marks a latent node.
"""

from __future__ import annotations

from typing import Any

from whence.core.errors import WhenceError
from whence.graphs.formats.draft import Draft
from whence.graphs.graph import Graph, edge_marks


def looks_like(source: Any) -> bool:
    """Whether ``source`` has the interface of a networkx graph."""
    return all(hasattr(source, word) for word in ("nodes", "edges", "is_directed"))


def read(source: Any) -> Draft:
    """The nodes and edges; node objects become their text. Raises ``WhenceError`` for an unknown edge."""
    plain = "-->" if source.is_directed() else "---"
    edges = []
    for a, b, attributes in source.edges(data=True):
        edge = attributes.get("edge", plain)
        edge_marks(edge)
        edges.append((str(a), edge, str(b)))
    nodes = list(source.nodes(data=True))
    names = tuple(str(name) for name, _ in nodes)
    latents = frozenset(
        str(name) for name, has in nodes if has.get("latent") is True or str(has.get("observed")) == "no"
    )
    return Draft(names, tuple(edges), latents)


def write(graph: Graph) -> Any:
    """A ``networkx.DiGraph``, or a ``MultiDiGraph`` when a pair has two edges, with the attributes above.

    Raises ``WhenceError`` (``missing_extra``) when networkx is not installed.
    """
    try:
        import networkx as nx
    except ImportError:
        raise WhenceError("networkx is not installed.", code="missing_extra", value="networkx",
                          hint="pip install networkx") from None
    edges = graph.edges()
    double = len({frozenset((a, b)) for a, _, b in edges}) < len(edges)
    out = nx.MultiDiGraph() if double else nx.DiGraph()
    for name in graph.names:
        out.add_node(name, **({"latent": True} if name in graph.latents else {}))
    for a, edge, b in edges:
        out.add_edge(a, b, edge=edge)
    return out
