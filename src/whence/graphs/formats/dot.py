"""The DOT language of Graphviz both ways. End marks follow ``dir``, ``arrowhead`` and ``arrowtail``.

``dir=both`` is <->, ``dir=none`` is ---, and an end drawn as ``odot`` is a circle, as pcalg, Tetrad and
causal-learn write them. A node with ``observed="no"`` (DoWhy's word) or ``latent=true`` is latent.
"""

from __future__ import annotations

import re

from whence.core.errors import WhenceError
from whence.graphs.formats.draft import Draft, Edge
from whence.graphs.formats.scan import Attributes, parse, quote
from whence.graphs.graph import ARROW, CIRCLE, LEFT, RIGHT, TAIL, Graph, edge_text

KEYWORDS = ("digraph", "graph")
_SHAPES = {"normal": ARROW, "vee": ARROW, "open": ARROW, "empty": ARROW, "onormal": ARROW,
           "none": TAIL, "odot": CIRCLE, "dot": CIRCLE}
_DIRECTIONS = ("forward", "back", "both", "none")
_WRITTEN = {ARROW: "normal", TAIL: "none", CIRCLE: "odot"}


def read(text: str) -> Draft:
    """The nodes, edges and latent nodes of a DOT graph; labels, ports, shapes and colours say nothing.

    Raises ``WhenceError``: ``bad_graph_text`` with line and column, or ``bad_attribute``.
    """
    undirected = re.match(r"\s*(strict\s+)?graph\b", text, re.IGNORECASE)
    document = parse(text, KEYWORDS, ("--",) if undirected else ("->",), "DOT text")
    default = "none" if document.keyword == "graph" else "forward"
    return Draft(
        names=tuple(document.nodes),
        edges=tuple(_edge(a, b, attributes, default) for a, _, b, attributes in document.edges),
        latents=frozenset(name for name, attributes in document.nodes.items() if _is_latent(attributes)),
    )


def _edge(a: str, b: str, attributes: Attributes, default: str) -> Edge:
    direction = attributes.get("dir", default).lower()
    if direction not in _DIRECTIONS:
        raise WhenceError(f"The edge {a} -> {b} has dir={direction!r}.", code="bad_attribute", value=direction,
                          allowed=_DIRECTIONS, hint=f"Allowed: {', '.join(_DIRECTIONS)}.")
    left = _shape(a, b, attributes, "arrowtail") if direction in ("back", "both") else TAIL
    right = _shape(a, b, attributes, "arrowhead") if direction in ("forward", "both") else TAIL
    return a, edge_text(left, right), b


def _shape(a: str, b: str, attributes: Attributes, end: str) -> int:
    shape = attributes.get(end, "normal").lower()
    if shape not in _SHAPES:
        raise WhenceError(f"The edge {a} -> {b} has {end}={shape!r}.", code="bad_attribute", value=shape,
                          allowed=tuple(_SHAPES), hint=f"Allowed: {', '.join(_SHAPES)}.")
    return _SHAPES[shape]


def _is_latent(attributes: Attributes) -> bool:
    return (attributes.get("observed", "").lower() in ("no", "false", "0")
            or attributes.get("latent", "").lower() in ("yes", "true", "1"))


def write(graph: Graph) -> str:
    """DOT text that Graphviz draws with the right end marks."""
    lines = [quote(name) + (' [observed="no", style=dashed]' if name in graph.latents else "")
             for name in graph.names]
    lines += [f"{quote(a)} -> {quote(b)}{_drawn(edge)}" for a, edge, b in graph.edges()]
    return "digraph {\n" + "".join(f"  {line};\n" for line in lines) + "}\n"


def _drawn(edge: str) -> str:
    plain = {"-->": "", "<->": " [dir=both]", "---": " [dir=none]"}
    if edge in plain:
        return plain[edge]
    return f" [dir=both, arrowtail={_WRITTEN[LEFT[edge[0]]]}, arrowhead={_WRITTEN[RIGHT[edge[2]]]}]"
