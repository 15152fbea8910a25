"""GraphML, the XML of networkx, igraph, yEd and Gephi, both ways.

A node's name is its ``name`` or ``label`` where every node has its own, else its id. Edge data ``edge``, such
as ``<->``, say the kind of edge; without them a directed edge is --> and an undirected one ---. Node data
``latent`` (true) mark a latent node: what ``formats.networkx`` makes, networkx writes so.
Source: Brandes, Eiglsperger, Lerner and Pich (2013), "Graph markup language (GraphML)".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from whence.core.errors import WhenceError
from whence.graphs.formats.draft import Draft, Edge
from whence.graphs.graph import Graph, edge_marks

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

HEAD = re.compile(r"(?:<\?xml[^>]*\?>\s*)?(?:<!--.*?-->\s*)*<graphml\b", re.DOTALL)
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPACE = "http://graphml.graphdrawing.org/xmlns"


def read(text: str) -> Draft:
    """The nodes, edges and latent nodes of the first graph.

    Raises ``WhenceError`` (``bad_graph_text``): not XML (with line and column), no graph, an edge to a node
    that is not there or of an unknown kind (with its place among the edges), or a document type.
    """
    import xml.etree.ElementTree as xml

    if re.search(r"<!(?:DOCTYPE|ENTITY)", text):
        raise _bad("GraphML with a document type is not read.", "<!DOCTYPE")
    try:
        root = xml.fromstring(_undeclared(text))
    except xml.ParseError as error:
        line, column = error.position
        raise WhenceError(
            f"Line {line}, column {column + 1} of the GraphML: {str(error).split(':')[0]}.", code="bad_graph_text",
            value={"line": line, "column": column + 1},
        ) from None
    keys = {key.get("id", ""): key.get("attr.name", "") for key in _all(root, "key")}
    found = next(iter(_all(root, "graph")), None)
    if found is None:
        raise _bad("The GraphML has no graph.", "graphml")
    nodes = {}
    for node in _all(found, "node"):
        key = node.get("id", "")
        if not key or key in nodes:
            raise _bad(f"The GraphML has two nodes with the id {key!r}." if key else "A GraphML node has no id.", key)
        nodes[key] = _data(node, keys)
    names = _names(nodes)
    directed = found.get("edgedefault") != "undirected"
    edges = [_edge(k, edge, keys, names, directed) for k, edge in enumerate(_all(found, "edge"), 1)]
    latents = frozenset(names[key] for key, has in nodes.items() if has.get("latent", "").lower() in ("true", "1"))
    return Draft(tuple(names.values()), tuple(edges), latents)


def _undeclared(text: str) -> bytes:
    """As UTF-8, without the declaration, whose encoding was that of the file; its lines are kept."""
    return re.sub(r"\A\s*<\?xml.*?\?>", lambda m: "\n" * m[0].count("\n"), text, count=1, flags=re.DOTALL).encode()


def _all(element: Element, tag: str) -> list[Element]:
    return [e for e in element.iter() if e.tag == tag or str(e.tag).endswith("}" + tag)]


def _data(element: Element, keys: dict[str, str]) -> dict[str, str]:
    children = [e for e in element if str(e.tag).rpartition("}")[2] == "data"]
    return {keys.get(e.get("key", ""), ""): e.text or "" for e in children}


def _names(nodes: dict[str, dict[str, str]]) -> dict[str, str]:
    """Node id to name."""
    for word in ("name", "label"):
        given = [has.get(word, "") for has in nodes.values()]
        if all(given) and len(set(given)) == len(given):
            return dict(zip(nodes, given, strict=True))
    return {key: key for key in nodes}


def _edge(place: int, element: Element, keys: dict[str, str], names: dict[str, str], directed: bool) -> Edge:
    ends = element.get("source", ""), element.get("target", "")
    for end in ends:
        if end not in names:
            raise _bad(f"Edge {place} of the GraphML leads to the node {end!r}, which is not there.", end)
    directed = {"true": True, "false": False}.get(element.get("directed", ""), directed)
    edge = _data(element, keys).get("edge", "-->" if directed else "---")
    try:
        edge_marks(edge)
    except WhenceError:
        raise _bad(f"Edge {place} of the GraphML is of an unknown kind, {edge!r}.", edge) from None
    return names[ends[0]], edge, names[ends[1]]


def _bad(message: str, value: str) -> WhenceError:
    return WhenceError(message, code="bad_graph_text", value=value)


def write(graph: Graph) -> str:
    """GraphML text. Raises ``WhenceError`` (``cannot_write``) for a name with a character that XML lacks."""
    lines = []
    for name in graph.names:
        if _NOT_XML.search(name):
            raise WhenceError(f"GraphML cannot hold the name {name!r}.", code="cannot_write", value=name,
                              hint="XML has no control characters; JSON holds any name.")
        inside = '<data key="latent">true</data>' if name in graph.latents else ""
        lines.append(f"    <node id={_attribute(name)}>{inside}</node>")
    for a, edge, b in graph.edges():
        # No directed="false" for the other kinds: networkx reads no file that has both.
        lines.append(f"    <edge source={_attribute(a)} target={_attribute(b)}>"
                     f'<data key="edge">{_escaped(edge)}</data></edge>')
    body = "\n".join(lines)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="{_SPACE}">
  <key id="latent" for="node" attr.name="latent" attr.type="boolean"/>
  <key id="edge" for="edge" attr.name="edge" attr.type="string"/>
  <graph edgedefault="directed">
{body}
  </graph>
</graphml>
"""


def _attribute(name: str) -> str:
    return '"' + _escaped(name) + '"'


def _escaped(text: str) -> str:
    # White space too: a reader turns it into plain spaces.
    return re.sub('[&<>"\\t\\n\\r]', lambda found: f"&#{ord(found[0])};", text)
