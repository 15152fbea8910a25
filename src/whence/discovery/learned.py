"""What a discovery method hands back, and what knowledge leaves it to find."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, overload

import numpy as np

from whence.core.result import Remark, fields_to_plain
from whence.graphs.classes import CPDAG, MPDAG, PAG
from whence.graphs.graph import TAIL
from whence.graphs.knowledge import Knowledge
from whence.graphs.orient import class_of, meek


@dataclass(frozen=True, eq=False)
class Learned:
    """evidence: a sequence with one entry per pair of nodes, or per edge, and ``of(a, b)``. triples: the verdicts on
    colliders, for methods that make them. score: of the graph, for methods that have one. details: what else the
    method has to tell, JSON-ready."""

    graph: CPDAG | MPDAG | PAG
    evidence: Any
    triples: Sequence[Any] = ()
    remarks: tuple[Remark, ...] = ()
    score: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EdgeScore:
    """What an edge is worth: a before b by name.

    arrow: (from, to) in the DAG that was scored. loss: how much the score falls when that arrow is taken out and
    nothing else changes; None when it cannot be. decided_by: ``"knowledge"`` for a required arrow.
    """

    a: str
    b: str
    arrow: tuple[str, str]
    loss: float | None
    decided_by: Literal["score", "knowledge"] = "score"
    present: bool = True


@dataclass(frozen=True, eq=False)
class EdgeScores(Sequence[EdgeScore]):
    """The edges of a graph with what each adds to its score, in name order."""

    rows: tuple[EdgeScore, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> EdgeScore: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[EdgeScore, ...]: ...
    def __getitem__(self, index: int | slice) -> EdgeScore | tuple[EdgeScore, ...]:
        return self.rows[index]

    def __iter__(self) -> Iterator[EdgeScore]:
        return iter(self.rows)

    def of(self, a: str, b: str) -> EdgeScore:
        """The evidence of one edge. Raises ``KeyError`` when there is none."""
        for row in self.rows:
            if {row.a, row.b} == {a, b}:
                return row
        raise KeyError((a, b))

    def to_dict(self) -> list[dict[str, object]]:
        return [fields_to_plain(row) for row in self.rows]


def constraints(names: tuple[str, ...], knowledge: Knowledge | None) -> tuple[np.ndarray, np.ndarray]:
    """bool (d, d) each: [i, j] says whether i -> j may be, and whether it must be."""
    d = len(names)
    may, required = ~np.eye(d, dtype=bool), np.zeros((d, d), dtype=bool)
    if knowledge:
        may = knowledge.allowed(names)
        at = {name: i for i, name in enumerate(names)}
        for a, b in knowledge.required:
            required[at[a], at[b]] = True
    return may, required


def class_under(names: tuple[str, ...], marks: np.ndarray, may: np.ndarray, knowledge: Knowledge | None
                ) -> CPDAG | MPDAG:
    """The graphs that fit the data as well as the DAG ``marks`` and agree with knowledge."""
    if not knowledge:
        return CPDAG.of_dag(names, marks)
    found = class_of(marks)
    open_ended = (found == TAIL) & (found.T == TAIL)
    known = [(int(i), int(j)) for i, j in np.argwhere(open_ended & may & ~may.T)]
    return MPDAG(names, meek(found, known))
