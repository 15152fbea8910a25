"""Over which levels of the tests each edge, and each of its marks, holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.registry import find_card, load_function
from whence.core.result import Refused
from whence.discovery.columns import prepare
from whence.discovery.discovery import DEFAULT, about_nodes, as_table
from whence.graphs.graph import Graph, edge_text
from whence.graphs.knowledge import Knowledge

_LEVELS = tuple(np.geomspace(1e-6, 0.1, 21).tolist())


@dataclass(frozen=True)
class Held:
    """One edge of a pair, as in ``"-->"``, from a to b, over consecutive levels low to high of those tried.
    edge is None where the pair is not joined."""

    edge: str | None
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class AlphaPath:
    """The graphs learned at each level of the tests.

    alphas: ascending. graphs: one per level, over the same nodes. Edges need not come and go in order: a stricter test
    removes more edges, so fewer sets are tried for those that are left.
    """

    alphas: tuple[float, ...]
    graphs: tuple[Graph, ...]

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The pairs that some level joins, a before b by name, in name order."""
        return tuple(sorted({(min(a, b), max(a, b)) for g in self.graphs for a, _, b in g.edges()}))

    def of(self, a: str, b: str) -> tuple[Held, ...]:
        """What holds between a and b, from the strictest level to the most lenient.

        Raises ``WhenceError`` (``unknown_node``).
        """
        out: list[Held] = []
        for alpha, graph in zip(self.alphas, self.graphs, strict=True):
            i, j = graph.position(a), graph.position(b)
            edge = edge_text(int(graph.marks[j, i]), int(graph.marks[i, j])) if graph.marks[i, j] else None
            if out and out[-1].edge == edge:
                out[-1] = Held(edge, out[-1].low, alpha)
            else:
                out.append(Held(edge, alpha, alpha))
        return tuple(out)

    def always(self) -> tuple[tuple[str, str, str], ...]:
        """The edges with marks that hold at every level tried, as in ``graph.edges()``."""
        first, *others = (set(g.edges()) for g in self.graphs)
        return tuple(sorted(first.intersection(*others)))

    def to_dict(self) -> dict[str, Any]:
        return {"alphas": list(self.alphas),
                "pairs": [{"a": a, "b": b, "held": [vars(h) for h in self.of(a, b)]} for a, b in self.pairs]}


def alpha_path(
    source: Any, alphas: Sequence[float] | None = None, knowledge: Knowledge | None = None, *,
    method: str = DEFAULT, progress: Progress = SILENT, **params: Any,
) -> AlphaPath | Refused:
    """Learns a graph at every level of ``alphas`` (21 from 1e-6 to 0.1 by default) from anything ``discover`` takes.

    Ranges are exact at the levels tried and say nothing between them. params: of the method, without ``alpha``. Data
    with too few rows or columns give a ``Refused``. Raises ``WhenceError`` as ``discover`` does, and ``bad_parameter``
    for levels that are not between 0 and 1.
    """
    levels = _levels(alphas)
    card = find_card("discovery", method)
    parameters = card.checked({**params, "alpha": levels[0], "stability": 0})
    table = as_table(source)
    if knowledge:
        knowledge.validate(table.names)
    prepared = prepare(table, levels[0], parameters["test"], parameters.get("missing", "testwise"))
    if isinstance(prepared, Refused):
        return prepared
    known = about_nodes(knowledge, prepared) if knowledge else None
    learn = load_function(card)
    graphs = []
    progress.begin("levels of the tests", len(levels))
    try:
        for alpha in levels:
            graphs.append(learn(prepared.tests, prepared.names, known, {**parameters, "alpha": alpha}, SILENT).graph)
            progress.step()
    finally:
        progress.end()
    return AlphaPath(levels, tuple(graphs))


def _levels(alphas: Sequence[float] | None) -> tuple[float, ...]:
    try:
        levels = tuple(sorted({float(a) for a in (_LEVELS if alphas is None else alphas)}))
    except (TypeError, ValueError):
        levels = ()
    if not levels or not (levels[0] > 0 and levels[-1] < 1):
        raise WhenceError("alphas must be numbers between 0 and 1, at least one.", code="bad_parameter", value=alphas,
                          allowed="numbers between 0 and 1", hint="For example alphas=[0.001, 0.01, 0.05].")
    return levels
