"""The graphs that a posterior leaves in play: the smallest set that holds most of its probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.errors import WhenceError
from whence.core.result import fields_to_plain
from whence.discovery.dag_sums import DagSums, draw, marks_of
from whence.graphs.classes import CPDAG, DAG
from whence.graphs.equivalence import class_size
from whence.graphs.orient import class_of

_SAME = 1e-6  # log probabilities of members of a class that differ by less are equal but for rounding


@dataclass(frozen=True, eq=False)
class Credible:
    """The most probable graphs, each with its exact probability, until they hold ``level`` together.

    graphs: of ``kind`` ``"CPDAG"``, a class counted with all its members, or ``"DAG"``; most probable first.
    covered: their probability. Graphs are found by drawing; complete says that no graph that was not drawn can belong
    to the set, so that it is the smallest. Where ``covered`` falls short of ``level``, too many graphs are in play:
    draw more, or look at the edges instead.
    """

    level: float
    kind: str
    graphs: tuple[CPDAG | DAG, ...]
    probabilities: tuple[float, ...]
    covered: float
    complete: bool
    draws: int

    def __len__(self) -> int:
        return len(self.graphs)

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def __repr__(self) -> str:
        what = "classes" if self.kind == "CPDAG" else "DAGs"
        shown = ", ".join(f"{p:.3f}" for p in self.probabilities[:5])
        more = ", ..." if len(self) > 5 else ""
        return (f"Credible({len(self)} {what} hold {self.covered:.1%} (asked: {self.level:.0%}"
                f"{', the smallest such set' if self.complete else ''}): {shown}{more})")


def credible(sums: DagSums, names: tuple[str, ...], level: float, draws: int, seed: int, plain: bool) -> Credible:
    """See ``Posterior.credible``. plain: whether every member of a class is allowed."""
    if not 0 < level < 1:
        raise WhenceError(f"The level must lie between 0 and 1, not {level!r}.", code="bad_parameter", value=level,
                          allowed="above 0 and below 1")
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
        raise WhenceError(f"The number of draws must be a whole number of at least 1, not {draws!r}.",
                          code="bad_parameter", value=draws, allowed="integers >= 1")
    dags = np.unique(draw(sums, draws, seed), axis=0)
    logs = sums.log_probability(dags)
    found = _classes(names, dags, logs) if plain else None
    kind = "DAG" if found is None else "CPDAG"
    if found is None:
        found = [(float(np.exp(log)), DAG(names, marks_of(dag))) for dag, log in zip(dags, logs, strict=True)]
    found.sort(key=lambda pair: (-pair[0], pair[1].marks.tobytes()))
    values = np.array([p for p, _ in found])
    count = min(int(np.searchsorted(np.cumsum(values), level * (1 - 1e-12))) + 1, len(values))
    covered, unseen = float(values[:count].sum()), max(0.0, 1 - float(values.sum()))
    complete = covered >= level * (1 - 1e-12) and unseen <= values[count - 1]
    return Credible(level, kind, tuple(g for _, g in found[:count]), tuple(values[:count].tolist()), min(covered, 1.0),
                    bool(complete), draws)


def _classes(names: tuple[str, ...], dags: np.ndarray, logs: np.ndarray) -> list[tuple[float, CPDAG | DAG]] | None:
    """The classes of the DAGs; None when members of one class are not equally probable."""
    known: dict[bytes, tuple[np.ndarray, float]] = {}
    for dag, log in zip(dags, logs, strict=True):
        marks = class_of(marks_of(dag))
        held = known.setdefault(marks.tobytes(), (marks, float(log)))
        if abs(held[1] - log) > _SAME:
            return None
    graphs = [(CPDAG(names, marks), log) for marks, log in known.values()]
    return [(class_size(graph) * float(np.exp(log)), graph) for graph, log in graphs]
