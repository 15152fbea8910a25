"""dagitty text, ``dag { x -> y; u [latent]; u -> {x y} }``, both ways (dagitty.net, jslib/parser)."""

from __future__ import annotations

import re

from whence.core.errors import WhenceError
from whence.graphs.formats.draft import Draft
from whence.graphs.formats.scan import parse, quote
from whence.graphs.graph import Graph

KEYWORDS = ("dag", "pdag", "mag", "pag", "admg")
# As dagitty writes them, after the long spellings that it lacks.
_EDGES = {
    "-->": "-->", "<--": "<--", "---": "---",
    "<->": "<->", "<-@": "<-o", "@->": "o->", "@-@": "o-o", "@--": "o--", "--@": "--o",
    "->": "-->", "<-": "<--", "--": "---",
}
_WRITTEN = {whence: dagitty for dagitty, whence in _EDGES.items()}
_LATENT = ("latent", "l", "unobserved", "u")
_ROLES = {"exposure": ("exposure", "e", "source"), "outcome": ("outcome", "o", "target"),
          "adjusted": ("adjusted", "a")}
_PLAIN = re.compile(r"[^\W\d][\w.]*")
_RESERVED = ("graph", "node", "edge", "subgraph", "strict")


def read(text: str) -> Draft:
    """The nodes, edges, latent nodes, roles and positions of a dagitty model.

    Raises ``WhenceError``: ``bad_graph_text`` with line and column, or ``unsupported_attribute`` for
    selection nodes, which would change every separation.
    """
    document = parse(text, KEYWORDS, tuple(_EDGES), "dagitty text", settings=("bb",))
    for name, attributes in document.nodes.items():
        if "selected" in attributes or "s" in attributes:
            raise WhenceError(
                f"Node {name!r} is marked as selected; graphs with selection are not supported.",
                code="unsupported_attribute", value=name,
            )
    roles = {
        role: tuple(name for name, has in document.nodes.items() if any(word in has for word in words))
        for role, words in _ROLES.items()
    }
    return Draft(
        names=tuple(document.nodes),
        edges=tuple((a, _EDGES[op], b) for a, op, b, _ in document.edges),
        latents=frozenset(n for n, has in document.nodes.items() if any(word in has for word in _LATENT)),
        kind=document.keyword,
        roles={role: names for role, names in roles.items() if names},
        positions={n: _position(n, has["pos"]) for n, has in document.nodes.items() if "pos" in has},
    )


def _position(name: str, text: str) -> tuple[float, float]:
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        raise WhenceError(
            f"The position of node {name!r} is {text!r}.", code="bad_position", value=text,
            allowed="two numbers such as pos=\"0.5,-1\"",
        ) from None
    return x, y


def write(graph: Graph, exposures: tuple[str, ...] = (), outcomes: tuple[str, ...] = ()) -> str:
    """dagitty text; an ADMG is written as ``dag`` with <->, a CPDAG or MPDAG as ``pdag``, as dagitty does."""
    keyword = {"CPDAG": "pdag", "MPDAG": "pdag", "MAG": "mag", "PAG": "pag"}.get(graph.kind, "dag")
    lines = []
    for name in graph.names:
        has = [word for word, names in (("exposure", exposures), ("outcome", outcomes), ("latent", graph.latents))
               if name in names]
        lines.append(_word(name) + (f" [{', '.join(has)}]" if has else ""))
    lines += [f"{_word(a)} {_WRITTEN[edge]} {_word(b)}" for a, edge, b in graph.edges()]
    return f"{keyword} {{\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


def _word(name: str) -> str:
    return name if _PLAIN.fullmatch(name) and name.lower() not in _RESERVED else quote(name)
