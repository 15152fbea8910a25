"""Graph storage: names and a matrix of end marks. Frozen; analysis lives in other modules.

``marks[i, j]`` is the mark at j's end of the edge between i and j (the pcalg convention):
0 none, 1 circle, 2 arrowhead, 3 tail. So ``i --> j`` is ``marks[i, j] == 2, marks[j, i] == 3``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from whence.core.errors import WhenceError, unknown_name
from whence.core.hashing import content_hash
from whence.graphs.bits import Bits, nonzero

NONE, CIRCLE, ARROW, TAIL = 0, 1, 2, 3

# How an edge is written: mark at the left end, two dashes around the line, mark at the right end.
LEFT = {"<": ARROW, "-": TAIL, "o": CIRCLE}
RIGHT = {">": ARROW, "-": TAIL, "o": CIRCLE}
LEFT_TEXT = {v: k for k, v in LEFT.items()}
RIGHT_TEXT = {v: k for k, v in RIGHT.items()}
SHORT = {"->": "-->", "<-": "<--", "--": "---"}
EDGES = ("-->", "<--", "<->", "---", "o->", "<-o", "o-o", "o--", "--o")


def edge_text(left: int, right: int) -> str:
    """``"-->"``, ``"<->"``, ``"---"``, ``"o->"``, ``"o-o"`` ... from the marks at the two ends."""
    return f"{LEFT_TEXT[left]}-{RIGHT_TEXT[right]}"


def edge_marks(text: str) -> tuple[int, int]:
    """The marks at the two ends of ``"-->"``, ``"o->"`` ...; ``"->"``, ``"<-"`` and ``"--"`` also do.

    Raises ``WhenceError`` (``bad_edge``).
    """
    full = SHORT.get(text, text)
    if full not in EDGES:
        raise WhenceError(f"{text!r} is not an edge.", code="bad_edge", value=text, allowed=EDGES,
                          hint="Allowed: " + " ".join(EDGES) + ".")
    return LEFT[full[0]], RIGHT[full[2]]


@dataclass(frozen=True, eq=False, repr=False)
class Graph:
    """Named nodes and marked edges.

    names: tuple of d distinct strings. marks: int8 (d, d), zero diagonal; an edge has a mark at both
    ends. latents: the nodes nobody measured. bidirected: bool (d, d), every <-> edge; it is read off the
    marks, except in an ADMG, where a pair may have a <-> b beside a --> b and the marks hold the arrow.
    Build one with ``whence.graph``; each subclass checks what its class demands.
    """

    names: tuple[str, ...]
    marks: np.ndarray
    latents: frozenset[str] = frozenset()
    bidirected: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=bool))

    may_have_double_edges: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(str(n) for n in self.names))
        given = np.asarray(self.marks)
        small = given.dtype == np.int8 and given.size and given.min() >= NONE and given.max() <= TAIL
        if not small and not np.isin(given, (NONE, CIRCLE, ARROW, TAIL)).all():
            raise WhenceError("Marks must be 0, 1, 2 or 3.", code="bad_graph", allowed=(0, 1, 2, 3))
        marks = given.astype(np.int8)
        self._check_marks(marks)
        self._take_bidirected(marks)
        marks.flags.writeable = False
        object.__setattr__(self, "marks", marks)
        latents = {self.latents} if isinstance(self.latents, str) else self.latents
        object.__setattr__(self, "latents", frozenset(self.names[self.position(n)] for n in latents))

    def _check_marks(self, marks: np.ndarray) -> None:
        d = len(self.names)
        if marks.shape != (d, d):
            raise WhenceError(
                f"The mark matrix is {marks.shape}; {d} names need ({d}, {d}).",
                code="bad_graph", value=list(marks.shape), allowed=f"({d}, {d})",
            )
        if len(set(self.names)) != d:
            twice = sorted({n for n in self.names if self.names.count(n) > 1})
            raise WhenceError(f"Node names occur twice: {twice}.", code="duplicate_node", value=twice)
        if "" in self.names:
            raise WhenceError("A node has an empty name.", code="empty_name", value="")
        if marks.diagonal().any():
            loops = [self.names[i] for i in np.flatnonzero(marks.diagonal())]
            raise WhenceError(f"A node cannot have an edge to itself: {loops}.", code="self_loop", value=loops)
        rows, columns = nonzero(marks)
        half = np.flatnonzero(marks[columns, rows] == 0)
        if len(half):
            i, j = rows[half[0]], columns[half[0]]
            raise WhenceError(
                f"The edge between {self.names[i]!r} and {self.names[j]!r} has a mark at one end only.",
                code="bad_graph", value=[self.names[i], self.names[j]],
            )

    def _take_bidirected(self, marks: np.ndarray) -> None:
        """Bring ``marks`` (in place) and ``bidirected`` into step: each shows every lone <-> edge."""
        arrows = marks == ARROW
        in_marks = np.zeros_like(arrows)
        i, j = nonzero(arrows)
        both = arrows[j, i]
        in_marks[i[both], j[both]] = True
        given = np.array(self.bidirected, dtype=bool)
        if given.size == 0 or (given.shape == marks.shape and not (given.any() or both.any())):
            in_marks.flags.writeable = False
            object.__setattr__(self, "bidirected", in_marks)
            return
        if given.shape != marks.shape or (given != given.T).any() or given.diagonal().any():
            raise WhenceError(
                "The matrix of bidirected edges must be square, symmetric and without self-loops.",
                code="bad_graph", value=list(given.shape), allowed=str(marks.shape),
            )
        bidirected = given | in_marks
        double = np.argwhere(bidirected & (marks != 0) & ~in_marks)
        if len(double) and not self.may_have_double_edges:
            i, j = double[0]
            raise double_edge(self.names[i], self.names[j])
        marks[bidirected & (marks == NONE)] = ARROW
        bidirected.flags.writeable = False
        object.__setattr__(self, "bidirected", bidirected)

    @property
    def kind(self) -> str:
        """The graph class: ``"DAG"``, ``"CPDAG"``, ..."""
        return type(self).__name__

    @functools.cached_property
    def index(self) -> dict[str, int]:
        """Name to position."""
        return {name: i for i, name in enumerate(self.names)}

    @functools.cached_property
    def bits(self) -> Bits:
        """Parents, children, spouses and neighbours as bit sets in name order."""
        return Bits.of(self.names, self.marks, self.bidirected)

    @property
    def observed(self) -> tuple[str, ...]:
        """The nodes that are not latent, in storage order."""
        return tuple(name for name in self.names if name not in self.latents)

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
            if self.bidirected[i, j] and (left, right) != (ARROW, ARROW):
                yield self.names[i], "<->", self.names[j]

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.index

    def __eq__(self, other: object) -> bool:
        """Same class, same nodes, same latent ones and same edges, whatever the order of the nodes."""
        if not isinstance(other, Graph) or type(self) is not type(other) or set(self.names) != set(other.names):
            return False
        order = [other.index[n] for n in self.names]
        same = self.marks == other.marks[np.ix_(order, order)]
        return bool(
            same.all()
            and (self.bidirected == other.bidirected[np.ix_(order, order)]).all()
            and self.latents == other.latents
        )

    @functools.cached_property
    def hash(self) -> str:
        """Content hash; the order of the nodes does not matter."""
        order = sorted(range(len(self.names)), key=self.names.__getitem__)
        square = np.ix_(order, order)
        return content_hash(
            self.kind, [self.names[i] for i in order], sorted(self.latents),
            self.marks[square], self.bidirected[square],
        )

    def __hash__(self) -> int:
        return hash(self.hash)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; ``whence.graph`` reads it back."""
        return {
            "kind": self.kind,
            "names": list(self.names),
            "edges": [list(e) for e in self.edges()],
            "latents": sorted(self.latents),
        }

    def __repr__(self) -> str:
        edges = self.edges()
        shown = "; ".join(" ".join(e) for e in edges[:8]) + ("; ..." if len(edges) > 8 else "")
        hidden = f", latent: {', '.join(sorted(self.latents))}" if self.latents else ""
        return f"{self.kind}({len(self.names)} nodes, {len(edges)} edges: {shown}{hidden})"


def double_edge(a: str, b: str) -> WhenceError:
    """The error for two different edges between one pair."""
    return WhenceError(
        f"There are two different edges between {a!r} and {b!r}.", code="double_edge", value=[a, b],
        hint="Only an ADMG may have two, a --> b beside a <-> b.",
    )


def cycle_error(walk: Sequence[str]) -> WhenceError:
    """The error for a directed cycle, given as ``[a, b, ..., a]``."""
    return WhenceError(
        f"The graph has a directed cycle: {' --> '.join(walk)}.", code="cycle", value=list(walk),
        hint="A cause cannot be its own effect; for feedback, make a node per point in time.",
    )


def matrices_from_edges(
    names: Sequence[str], edges: Iterable[tuple[str, str, str]]
) -> tuple[np.ndarray, np.ndarray]:
    """The mark matrix and the matrix of bidirected edges of ``(a, "-->", b)`` triples.

    A pair may have a <-> b beside another edge; ``marks`` then holds the other edge. An edge may be
    repeated. Raises ``WhenceError`` for an unknown node or edge and for two different edges of one pair.
    """
    at = {name: i for i, name in enumerate(names)}
    marks = np.zeros((len(names), len(names)), dtype=np.int8)
    bidirected = np.zeros(marks.shape, dtype=bool)
    for a, text, b in edges:
        left, right = edge_marks(text)
        for name in (a, b):
            if name not in at:
                raise unknown_name("node", name, names, code="unknown_node")
        i, j = at[a], at[b]
        if i == j:
            raise WhenceError(f"A node cannot have an edge to itself: {a!r}.", code="self_loop", value=a)
        if left == right == ARROW:
            bidirected[i, j] = bidirected[j, i] = True
        elif marks[i, j] and (marks[i, j], marks[j, i]) != (right, left):
            opposite = {int(marks[i, j]), int(marks[j, i])} == {left, right} == {ARROW, TAIL}
            raise cycle_error([a, b, a]) if opposite else double_edge(a, b)
        else:
            marks[i, j], marks[j, i] = right, left
    marks[bidirected & (marks == NONE)] = ARROW
    return marks, bidirected


def marks_from_edges(names: Sequence[str], edges: Sequence[tuple[str, str, str]]) -> np.ndarray:
    """The mark matrix of ``(a, "-->", b)`` triples, one edge per pair.

    Raises ``WhenceError`` for an unknown node or edge and for two different edges of one pair.
    """
    marks, bidirected = matrices_from_edges(names, edges)
    double = np.argwhere(bidirected & ~((marks == ARROW) & (marks.T == ARROW)))
    if len(double):
        i, j = map(int, double[0])
        raise double_edge(names[i], names[j])
    return marks
