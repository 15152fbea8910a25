"""Edge lists: ``a --> b; b <-> c; d`` as text, or triples ``("a", "-->", "b")`` with lone nodes by name.

Text: statements end at ``;``, ``,`` or the line's end; chains ``a --> b --> c`` are allowed; ``#`` starts a
comment. Names stand as they are or, with spaces or arrows in them, in double quotes. ``u [latent]`` marks a
latent node.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from whence.core.errors import WhenceError
from whence.graphs.formats.draft import Draft, Edge
from whence.graphs.formats.scan import Scanner, quote
from whence.graphs.graph import SHORT, Graph, edge_marks

_OPERATOR = re.compile(r"<->|-->|<--|---|o->|<-o(?![^\s\"])|o-o(?![^\s\"])|o--|--o(?![^\s\"])|->|<-|--")
# A bare name stops at a separator or at an operator; an operator that begins or ends in "o" needs space around it.
_NAME = re.compile(r"(?:(?!-->|---|->|--)[^\s;,<>\"\[\]#])+")
_LATENT = re.compile(r"\[ *(latent|unobserved) *\]")
_BLANK = re.compile(r"(?:[^\S\n]+|#[^\n]*)+")
_LOOKS_LIKE_EDGE = re.compile(r"\s(?:<->|-->|<--|---|o->|<-o|o-o|o--|--o|->|<-|--)\s")


class _LineScanner(Scanner):
    """A scanner to which the end of a line is a token."""

    def skip(self) -> None:
        found = _BLANK.match(self.text, self.at)
        if found:
            self.at = found.end()


def read(text: str) -> Draft:
    """The nodes and edges of an edge list as text. Raises ``WhenceError`` with line and column."""
    scan = _LineScanner(text, "edge list")
    names: dict[str, None] = {}
    edges: list[Edge] = []
    latents: set[str] = set()
    while not scan.done():
        if scan.take(";", ",", "\n"):
            continue
        left = _name(scan)
        names[left] = None
        if scan.match(_LATENT):
            latents.add(left)
        while operator := scan.match(_OPERATOR):
            right = _name(scan)
            names[right] = None
            edges.append((left, SHORT.get(operator, operator), right))
            left = right
        if not (scan.done() or scan.take(";", ",", "\n")):
            raise scan.fail("an edge such as -->, or the end of the statement (a name with spaces needs quotes)")
    return Draft(tuple(names), tuple(edges), frozenset(latents))


def _name(scan: Scanner) -> str:
    name = scan.quoted()
    if name is None:
        name = scan.match(_NAME)
    if not name:
        raise scan.fail("a node name")
    return name


def write(graph: Graph) -> str:
    """One statement a line: the nodes with their latent marks, then the edges."""
    lines = [word(n) + (" [latent]" if n in graph.latents else "") for n in graph.names]
    lines += [f"{word(a)} {edge} {word(b)}" for a, edge, b in graph.edges()]
    return "".join(f"{line}\n" for line in lines)


def word(name: str) -> str:
    return name if re.fullmatch(r"[^\W\d]\w*", name) and name != "o" else quote(name)


def from_list(items: Iterable[Any]) -> Draft:
    """Triples and lone names. Raises ``WhenceError`` (``bad_edge``) with the place in the list."""
    names: dict[str, None] = {}
    edges: list[Edge] = []
    for place, item in enumerate(items):
        if isinstance(item, str):
            if _LOOKS_LIKE_EDGE.search(item):
                raise _bad_item(place, item, "A text in an edge list is the name of a node without edges.")
            names[item] = None
        elif isinstance(item, (tuple, list)) and len(item) == 3 and isinstance(item[1], str):
            edge_marks(item[1])
            a, b = str(item[0]), str(item[2])
            names.update({a: None, b: None})
            edges.append((a, item[1], b))
        else:
            raise _bad_item(place, item, "An edge is a triple.")
    return Draft(tuple(names), tuple(edges))


def _bad_item(place: int, item: Any, why: str) -> WhenceError:
    return WhenceError(
        f"Item {place + 1} of the edge list is {item!r}. {why}", code="bad_edge", value=repr(item),
        allowed='("a", "-->", "b") or "a"', hint='Write ("a", "-->", "b"), or "a" for a node without edges.',
    )
