"""Tetrad's text, ``Graph Nodes:`` and ``Graph Edges:``, both ways.

Nodes are separated by ``;`` (or ``,``), latent ones stand in parentheses; edges are numbered, one a line:
``1. a --> b``. What Tetrad adds after an edge (``dd pl``, probabilities) and after the edges is not read.
Source: edu.cmu.tetrad.graph.GraphSaveLoadUtils.
"""

from __future__ import annotations

import re

from whence.core.errors import WhenceError
from whence.graphs.formats.draft import Draft, Edge
from whence.graphs.graph import Graph, edge_marks

HEAD = re.compile(r"Graph Nodes:", re.IGNORECASE)
_NAME = re.compile(r"[^\s;,()\[\]]+")
_EDGE = re.compile(r"(?:\d+\.)?\s*([^\s;,()\[\]]+)\s+(\S+)\s+([^\s;,()\[\]]+)(?:\s.*)?")
_SECTION = re.compile(r"(Graph (?:Nodes|Edges|Attributes|Node Attributes)|Ambiguous triples.*?|Underlines?.*?"
                      r"|Dotted underlines?.*?):\s*(.*)", re.IGNORECASE)


def read(text: str) -> Draft:
    """The nodes, edges and latent nodes. Raises ``WhenceError`` (``bad_graph_text``) with the line."""
    names: dict[str, None] = {}
    latents: set[str] = set()
    edges: list[Edge] = []
    section = ""
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        title = _SECTION.fullmatch(line)
        if title:
            section, line = title[1].lower(), title[2].strip()
        if not line:
            continue
        if section == "graph nodes":
            _take_nodes(line, number, names, latents)
        elif section == "graph edges":
            edges.append(_edge(line, number, names))
        elif not section and not line.startswith(("#", "//")):
            raise _bad(number, line, "'Graph Nodes:'")
    if "graph edges" not in text.lower():
        raise _bad(text.count("\n") + 1, "the end", "'Graph Edges:'")
    return Draft(tuple(names), tuple(edges), frozenset(latents))


def _take_nodes(line: str, number: int, names: dict[str, None], latents: set[str]) -> None:
    for part in filter(None, re.split(r"[;,\s]+", line)):
        name = part[1:-1] if part.startswith("(") and part.endswith(")") else part
        if not _NAME.fullmatch(name) or name in names:
            raise _bad(number, part, "the name of a node, each once")
        names[name] = None
        if name != part:
            latents.add(name)


def _edge(line: str, number: int, names: dict[str, None]) -> Edge:
    found = _EDGE.fullmatch(line)
    if not found:
        raise _bad(number, line, "an edge such as '1. a --> b'")
    a, edge, b = found.groups()
    try:
        edge_marks(edge)
    except WhenceError:
        raise _bad(number, edge, "an edge such as -->") from None
    for name in (a, b):
        if name not in names:
            raise _bad(number, name, "a node of the list above")
    return a, edge, b


def _bad(line: int, found: str, expected: str) -> WhenceError:
    return WhenceError(f"Line {line} of the Tetrad text: expected {expected}, found {found[:60]!r}.",
                       code="bad_graph_text", value={"line": line, "found": found[:60]}, allowed=expected)


def write(graph: Graph) -> str:
    """Tetrad text. Raises ``WhenceError`` (``cannot_write``) for a name with a space or one of ``;,()[]``."""
    for name in graph.names:
        if not _NAME.fullmatch(name) or _SECTION.fullmatch(name):
            raise WhenceError(f"Tetrad text cannot hold the name {name!r}.", code="cannot_write", value=name,
                              hint="Tetrad's names have no spaces and none of ; , ( ) [ ]; JSON holds any name.")
    nodes = ";".join(f"({name})" if name in graph.latents else name for name in graph.names)
    edges = "".join(f"{k}. {a} {edge} {b}\n" for k, (a, edge, b) in enumerate(graph.edges(), 1))
    return f"Graph Nodes:\n{nodes}\n\nGraph Edges:\n{edges}"
