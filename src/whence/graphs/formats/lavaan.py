"""Model text in the way of lavaan, both ways: ``y ~ x + z``, ``x ~~ y``, ``f =~ x1 + x2``.

``y ~ x`` is x --> y, ``x ~~ y`` is x <-> y, ``x ~~ x`` (a variance) names a node, and ``f =~ x`` is f --> x
with f latent. A factor before a variable (``b1*x``, ``start(0.5)*x``) is not read, except that ``0*x`` says
there is no edge. Intercepts (``y ~ 1``), definitions (``:=``) and constraints (``==``) are passed over. A
statement ends with its line or at ``;``, unless an operator is left open; ``#`` and ``!`` start a comment.
Source: Rosseel (2012), "lavaan: An R package for structural equation modeling".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from whence.core.errors import WhenceError
from whence.graphs.formats.draft import Draft, Edge
from whence.graphs.graph import Graph

# No edge list can be meant: it has no spaces around such an operator, or has an arrow somewhere.
HEAD = re.compile(r"(?:[!#][^\n]*\s+)*[\w.]+(?:[^\S\n]*\+[^\S\n]*[\w.]+)*"
                  r"(?:[^\S\n]+(?:=~|~~|~)[^\S\n]|[^\S\n]*(?:=~|~)(?!.*(?:->|<-|--)))", re.DOTALL)
_NAME = re.compile(r"[^\W\d][\w.]*")
_OPERATOR = re.compile(r"=~|~~|~")
_PASSED_OVER = re.compile(r":=|==|<|>")
_OPEN = re.compile(r"(?:[+*~]|=)\s*$")
_NOUGHT = re.compile(r"[+-]?0*\.?0*")
_KEPT = ("NA",)


def read(text: str) -> Draft:
    """The nodes and edges. Raises ``WhenceError`` (``bad_graph_text``) with the line of the statement."""
    names: dict[str, None] = {}
    edges: dict[Edge, None] = {}
    latents: dict[str, None] = {}
    for line, statement in _statements(text):
        if _PASSED_OVER.search(statement):
            continue
        parts = _OPERATOR.split(statement)
        if len(parts) != 2:
            raise _bad(line, statement, "one of ~, ~~ and =~")
        operator = _OPERATOR.findall(statement)[0]
        left = [_name(term, line) for term in parts[0].split("+")]
        names.update(dict.fromkeys(left))
        if operator == "=~":
            latents.update(dict.fromkeys(left))
        for term in parts[1].split("+"):
            right = _term(term, line, operator)
            if right is None:
                continue
            names[right] = None
            for name in left:
                if name != right:
                    edges[_edge(name, operator, right)] = None
                elif operator != "~~":
                    raise _bad(line, statement, "an effect on another variable")
    if not names:
        raise _bad(1, text[:40], "a statement such as y ~ x")
    return Draft(tuple(names), tuple(edges), frozenset(latents))


def _edge(left: str, operator: str, right: str) -> Edge:
    if operator == "~~":
        return min(left, right), "<->", max(left, right)
    return (left, "-->", right) if operator == "=~" else (right, "-->", left)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each statement with the line on which it begins."""
    waiting, begun = "", 1
    for number, raw in enumerate(text.split("\n"), 1):
        pieces = re.sub(r"[#!].*", "", raw).split(";")
        for k, piece in enumerate(pieces):
            if not waiting.strip():
                begun = number
            waiting += " " + piece
            ends = k < len(pieces) - 1 or not _OPEN.search(waiting)
            if ends and waiting.strip():
                yield begun, waiting.strip()
                waiting = ""
    if waiting.strip():
        yield begun, waiting.strip()


def _name(text: str, line: int) -> str:
    name = text.strip()
    if not _NAME.fullmatch(name):
        raise _bad(line, name, "the name of a variable")
    return name


def _term(text: str, line: int, operator: str) -> str | None:
    """The variable of ``factor * variable``; None for an intercept or a factor of nought."""
    *factors, last = (part.strip() for part in text.split("*"))
    if operator == "~" and last in ("1", "0", "-1"):
        return None
    name = _name(last, line)
    if any(not factor for factor in factors):
        raise _bad(line, text, "a factor before *")
    return None if any(_NOUGHT.fullmatch(factor) and "0" in factor for factor in factors) else name


def _bad(line: int, found: str, expected: str) -> WhenceError:
    shown = found.strip()[:60] or "the end"
    return WhenceError(f"Line {line} of the model text: expected {expected}, found {shown!r}.",
                       code="bad_graph_text", value={"line": line, "found": shown}, allowed=expected)


def write(graph: Graph) -> str:
    """Model text: a variance for each node, then what acts on it and what it shares a hidden cause with.

    Raises ``WhenceError`` (``cannot_write``): names that are no R names, edges other than --> and <->, a
    latent node without an effect (nothing would mark it).
    """
    for name in graph.names:
        if not _NAME.fullmatch(name) or name in _KEPT:
            raise WhenceError(f"Model text cannot hold the name {name!r}.", code="cannot_write", value=name,
                              hint="A name there is a letter, then letters, digits, . and _; JSON holds any name.")
    edges = graph.edges()
    lines = [f"{name} ~~ {name}" for name in graph.names]
    for name in sorted(graph.latents, key=graph.names.index):
        effects = [b for a, edge, b in edges if a == name and edge == "-->"]
        if not effects:
            raise WhenceError(f"Model text cannot hold the latent {name!r}, which has no effect.",
                              code="cannot_write", value=name, hint="JSON, DOT and dagitty text can.")
        lines.append(f"{name} =~ {' + '.join(effects)}")
    for name in graph.names:
        causes = [a for a, edge, b in edges if b == name and edge == "-->" and a not in graph.latents]
        if causes:
            lines.append(f"{name} ~ {' + '.join(causes)}")
    for a, edge, b in edges:
        if edge == "<->":
            lines.append(f"{a} ~~ {b}")
        elif edge != "-->":
            raise WhenceError(f"Model text cannot hold {a} {edge} {b}.", code="cannot_write", value=[a, edge, b],
                              allowed=("-->", "<->"), hint="JSON, DOT and dagitty text can.")
    return "".join(f"{line}\n" for line in lines)
