"""The plain form of a graph, ``{"kind", "names", "edges", "latents"}``, as a dict or JSON text, both ways."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from whence.core.errors import WhenceError, unknown_name
from whence.graphs.formats.draft import Draft
from whence.graphs.formats.edgelist import from_list
from whence.graphs.graph import Graph

_KEYS = ("kind", "names", "edges", "latents")


def from_dict(given: Mapping[str, Any]) -> Draft:
    """The dict that ``Graph.to_dict`` gives; ``kind`` and ``latents`` may be left out.

    Raises ``WhenceError`` (``bad_graph``, ``bad_edge``, ``unknown_field``).
    """
    for key in given:
        if key not in _KEYS:
            raise unknown_name("graph field called", key, _KEYS, code="unknown_field")
    given = {"latents": (), **given}
    for key in ("names", "edges", "latents"):
        if not isinstance(given.get(key), (list, tuple)):
            raise WhenceError(f"A graph as a dict needs a list under {key!r}.", code="bad_graph",
                              value=sorted(map(str, given)), allowed=_KEYS)
    names, latents = given["names"], given["latents"]
    wrong = [n for n in (*names, *latents) if not isinstance(n, str)]
    if wrong:
        raise WhenceError(f"Node names are texts, not {wrong[0]!r}.", code="bad_graph", value=wrong[0])
    edges = from_list(given["edges"])
    for name in (*edges.names, *latents):
        if name not in names:
            raise unknown_name("node", name, names, code="unknown_node")
    return Draft(tuple(names), edges.edges, frozenset(latents), given.get("kind"))


def read(text: str) -> Draft:
    """A graph as JSON text. Raises ``WhenceError`` (``bad_graph_text``) with line and column."""
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise WhenceError(
            f"Line {error.lineno}, column {error.colno} of the JSON text: {error.msg}.", code="bad_graph_text",
            value={"line": error.lineno, "column": error.colno},
        ) from None
    if not isinstance(given, dict):
        raise WhenceError("A graph as JSON is an object.", code="bad_graph", value=type(given).__name__)
    return from_dict(given)


def write(graph: Graph) -> str:
    """JSON text that keeps the class, the order of the nodes and the latent ones."""
    return json.dumps(graph.to_dict(), ensure_ascii=False, indent=2) + "\n"
