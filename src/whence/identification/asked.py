"""What was asked, checked: the graph and the nodes; and the graph with every hidden cause as a node."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from whence.core.errors import WhenceError
from whence.graphs.bits import ones
from whence.graphs.classes import ADMG, DAG
from whence.graphs.graph import Graph

KINDS = ("DAG", "ADMG")


def checked_graph(graph: Graph | Any, what: str) -> DAG | ADMG:
    """``graph`` as a DAG or ADMG, checked as ``checked_kind`` does."""
    return cast("DAG | ADMG", checked_kind(graph, what, KINDS))


def checked_kind(graph: Graph | Any, what: str, kinds: tuple[str, ...]) -> Graph:
    """``graph`` as one of the classes ``kinds``, from anything ``whence.graph`` reads.

    what: the search, for the message. Raises ``WhenceError`` (``unsupported_graph``) for another class.
    """
    if not isinstance(graph, Graph):
        from whence.graphs.build import graph as as_graph

        graph = as_graph(graph)
    if graph.kind not in kinds:
        raise WhenceError(
            f"{what} works on {', '.join(kinds[:-1])} and {kinds[-1]}, not on a {graph.kind}.",
            code="unsupported_graph", value=graph.kind, allowed=kinds,
            hint="Decide the directions that are open and ask again.",
        )
    return graph


def checked_nodes(graph: Graph, names: str | Iterable[str], role: str) -> tuple[str, ...]:
    """The named nodes, each known, measured and named once.

    Raises ``WhenceError``: ``missing_role`` (none named), ``unknown_node``, ``role_conflict``, ``latent_node``.
    """
    listed = (names,) if isinstance(names, str) else tuple(names)
    if not listed:
        raise WhenceError(f"Name at least one {role}.", code="missing_role", value=role)
    for name in listed:
        graph.position(name)
        if listed.count(name) > 1:
            raise WhenceError(f"{name!r} is named twice as {role}.", code="role_conflict", value=name)
        if name in graph.latents:
            raise WhenceError(f"{name!r} is not measured, so it cannot be the {role}.", code="latent_node", value=name,
                              allowed=graph.observed)
    return listed


def check_apart(**roles: Iterable[str]) -> None:
    """Each node has one role. Raises ``WhenceError`` (``role_conflict``)."""
    seen: dict[str, str] = {}
    for role, names in roles.items():
        for name in names:
            if name in seen:
                raise WhenceError(f"{name!r} is given as {seen[name]} and {role}.", code="role_conflict", value=name,
                                  hint="Each node has one role.")
            seen[name] = role


def canonical(graph: Graph) -> tuple[list[int], list[int]]:
    """Parents and children in the canonical DAG: a hidden parent of a and b for each a <-> b.

    Positions are those of ``graph.bits``; the hidden parents come after them. Separations among the nodes
    of the graph are the same (Richardson and Spirtes 2002, section 6.1).
    """
    parents, children = list(graph.bits.parents), list(graph.bits.children)
    for a, spouses in enumerate(graph.bits.spouses):
        for b in ones(spouses >> a << a):
            children.append(1 << a | 1 << b)
            parents[a] |= 1 << len(parents)
            parents[b] |= 1 << len(parents)
            parents.append(0)
    return parents, children
