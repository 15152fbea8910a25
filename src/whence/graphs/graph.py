"""Graph storage: names and a matrix of end marks. Frozen; analysis lives in other modules.

``marks[i, j]`` is the mark at j's end of the edge between i and j (the pcalg convention):
0 none, 1 circle, 2 arrowhead, 3 tail. So ``i --> j`` is ``marks[i, j] == 2, marks[j, i] == 3``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.errors import WhenceError, unknown_name
from whence.core.hashing import content_hash

NONE, CIRCLE, ARROW, TAIL = 0, 1, 2, 3

# How an edge is written: mark at the left end, two dashes around the line, mark at the right end.
LEFT = {"<": ARROW, "-": TAIL, "o": CIRCLE}
RIGHT = {">": ARROW, "-": TAIL, "o": CIRCLE}
LEFT_TEXT = {v: k for k, v in LEFT.items()}
RIGHT_TEXT = {v: k for k, v in RIGHT.items()}


def edge_text(left: int, right: int) -> str:
    """``"-->"``, ``"<->"``, ``"---"``, ``"o->"``, ``"o-o"`` ... from the marks at the two ends."""
    return f"{LEFT_TEXT[left]}-{RIGHT_TEXT[right]}"


@dataclass(frozen=True, eq=False)
class Graph:
    """Named nodes and marked edges.

    names: tuple of d distinct strings. marks: int8 (d, d), zero diagonal; an edge has a mark at both
    ends. Build one with ``whence.graph``; each subclass checks what its class demands.
    """

    names: tuple[str, ...]
    marks: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(str(n) for n in self.names))
        marks = np.array(self.marks, dtype=np.int8)
        marks.flags.writeable = False
        object.__setattr__(self, "marks", marks)
        d = len(self.names)
        if marks.shape != (d, d):
            raise WhenceError(
                f"The mark matrix is {marks.shape}; {d} names need ({d}, {d}).",
                code="bad_graph", value=list(marks.shape), allowed=f"({d}, {d})",
            )
        if len(set(self.names)) != d:
            twice = sorted({n for n in self.names if self.names.count(n) > 1})
            raise WhenceError(f"Node names occur twice: {twice}.", code="duplicate_node", value=twice)
        if ((marks < NONE) | (marks > TAIL)).any():
            raise WhenceError("Marks must be 0, 1, 2 or 3.", code="bad_graph", allowed=(0, 1, 2, 3))
        if marks.diagonal().any():
            loops = [self.names[i] for i in np.flatnonzero(marks.diagonal())]
            raise WhenceError(f"A node cannot have an edge to itself: {loops}.", code="self_loop", value=loops)
        half = np.argwhere((marks != 0) & (marks.T == 0))
        if len(half):
            i, j = half[0]
            raise WhenceError(
                f"The edge between {self.names[i]!r} and {self.names[j]!r} has a mark at one end only.",
                code="bad_graph", value=[self.names[i], self.names[j]],
            )

    @property
    def kind(self) -> str:
        """The graph class: ``"DAG"``, ``"CPDAG"``, ..."""
        return type(self).__name__

    @functools.cached_property
    def index(self) -> dict[str, int]:
        """Name to position."""
        return {name: i for i, name in enumerate(self.names)}

    def position(self, name: str) -> int:
        """Position of a node; ``WhenceError`` (``unknown_node``) offers the closest names."""
        if name not in self.index:
            raise unknown_name("node", name, self.names, code="unknown_node")
        return self.index[name]

    def edges(self) -> list[tuple[str, str, str]]:
        """Each edge once, ``(a, "-->", b)``, arrows pointing right where possible, in name order of storage."""
        return list(self._edges())

    def _edges(self) -> Iterator[tuple[str, str, str]]:
        for i, j in np.argwhere(np.triu(self.marks) != 0):
            left, right = int(self.marks[j, i]), int(self.marks[i, j])
            if left == ARROW and right != ARROW:  # turn a <-- b into b --> a
                yield self.names[j], edge_text(right, left), self.names[i]
            else:
                yield self.names[i], edge_text(left, right), self.names[j]

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.index

    def __eq__(self, other: object) -> bool:
        """Same class, same nodes and same edges, whatever the order of the nodes."""
        if not isinstance(other, Graph) or type(self) is not type(other) or set(self.names) != set(other.names):
            return False
        order = [other.index[n] for n in self.names]
        return bool((self.marks == other.marks[np.ix_(order, order)]).all())

    @functools.cached_property
    def hash(self) -> str:
        """Content hash; the order of the nodes does not matter."""
        order = sorted(range(len(self.names)), key=self.names.__getitem__)
        return content_hash(self.kind, [self.names[i] for i in order], self.marks[np.ix_(order, order)])

    def __hash__(self) -> int:
        return hash(self.hash)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "names": list(self.names), "edges": [list(e) for e in self.edges()]}

    def __repr__(self) -> str:
        edges = self.edges()
        shown = "; ".join(" ".join(e) for e in edges[:8]) + ("; ..." if len(edges) > 8 else "")
        return f"{self.kind}({len(self.names)} nodes, {len(edges)} edges: {shown})"


def marks_from_edges(names: Sequence[str], edges: Sequence[tuple[str, str, str]]) -> np.ndarray:
    """The mark matrix of ``(a, "-->", b)`` triples. Raises ``WhenceError`` for an unknown edge or a repeat."""
    at = {name: i for i, name in enumerate(names)}
    marks = np.zeros((len(names), len(names)), dtype=np.int8)
    for a, text, b in edges:
        if len(text) != 3 or text[0] not in LEFT or text[1] != "-" or text[2] not in RIGHT:
            raise WhenceError(
                f"{text!r} is not an edge.", code="bad_edge", value=text,
                allowed=("-->", "<--", "<->", "---", "o->", "<-o", "o-o", "o--", "--o"),
            )
        for name in (a, b):
            if name not in at:
                raise unknown_name("node", name, names, code="unknown_node")
        i, j = at[a], at[b]
        new = (RIGHT[text[2]], LEFT[text[0]])
        if marks[i, j] and (marks[i, j], marks[j, i]) != new:
            raise WhenceError(
                f"Two different edges between {a!r} and {b!r}.", code="double_edge", value=[a, b],
                hint="Confounding beside a direct edge is written a --> b and a <-> b in an ADMG "
                "as one hidden node: U --> a, U --> b.",
            )
        marks[i, j], marks[j, i] = new
    return marks
