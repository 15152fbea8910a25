"""How often bootstrap samples give the same edges and the same directions (Friedman et al. 1999)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from whence.core.executor import map_in_order
from whence.core.progress import Progress
from whence.core.rng import generator
from whence.data.table import Table
from whence.graphs.bits import nonzero
from whence.graphs.graph import Graph, edge_marks, edge_text

_SHOWN = 0.05  # pairs joined less often than this, and not in the graph, are not listed


@dataclass(frozen=True)
class EdgeStability:
    """Shares of the bootstrap samples, a before b by name: joined at all, a --> b, b --> a, and a --- b.

    edges: the share of each edge that some sample has, such as ``{"o->": 0.6, "<->": 0.3}``, read from a to b.
    """

    a: str
    b: str
    joined: float
    forward: float
    backward: float
    undirected: float
    edges: Mapping[str, float] = field(default_factory=dict)

    def share(self, start: str, edge: str) -> float:
        """The share of one edge read from ``start``, one of the two ends."""
        left, right = edge_marks(edge)
        return self.edges.get(edge_text(left, right) if start == self.a else edge_text(right, left), 0.0)


@dataclass(frozen=True, eq=False)
class Stability(Mapping[tuple[str, str], float]):
    """Maps each edge of the graph, as in ``graph.edges()``, to the share of samples that join its ends.

    samples: how many. pairs: the detail, also of pairs that the graph does not join but at least one sample in
    twenty does. Rows drawn twice look like evidence, so weak edges appear somewhat more often than in fresh data.
    """

    samples: int
    pairs: tuple[EdgeStability, ...]
    edges: tuple[tuple[str, str], ...]

    def __getitem__(self, edge: tuple[str, str]) -> float:
        if edge not in self.edges and edge[::-1] not in self.edges:
            raise KeyError(edge)
        return self.of(*edge).joined

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.edges)

    def __len__(self) -> int:
        return len(self.edges)

    def of(self, a: str, b: str) -> EdgeStability:
        """The shares of one pair. Raises ``KeyError`` when it is neither an edge nor listed."""
        a, b = sorted((a, b))
        for pair in self.pairs:
            if (pair.a, pair.b) == (a, b):
                return pair
        raise KeyError((a, b))

    def to_dict(self) -> dict[str, Any]:
        return {"samples": self.samples, "pairs": [vars(p) for p in self.pairs]}


def bootstrap(
    learn: Callable[[Table], Graph | None], table: Table, graph: Graph, samples: int, seed: int,
    executor: Executor | None, progress: Progress, within: np.ndarray | None = None,
) -> Stability:
    """Learns a graph from each of ``samples`` tables of rows drawn with replacement.

    learn: from a table to a graph over nodes of ``graph``, or None when a sample cannot be used (it counts as
    a graph without edges). within: int (n,), the group of each row; each group is drawn from by itself and keeps its
    number of rows.
    """
    names = tuple(sorted(graph.names))
    groups = [np.arange(len(table))] if within is None else [np.flatnonzero(within == g) for g in np.unique(within)]
    one = partial(_replicate, learn=learn, table=table, names=names, groups=groups, seed=seed)
    found = map_in_order(one, range(samples), executor=executor, progress=progress, label="bootstrap samples")
    share = {edge: count / samples for edge, count in _counted(found, len(names)).items()}
    none = np.zeros((len(names), len(names)))
    joined = sum(share.values(), none)
    directed, undirected = share.get("-->", none), share.get("---", none)
    mine = {tuple(sorted((a, b))) for a, _, b in graph.edges()}
    pairs = tuple(
        EdgeStability(names[i], names[j], float(joined[i, j]), float(directed[i, j]), float(directed[j, i]),
                      float(undirected[i, j]), {edge: float(one[i, j]) for edge, one in share.items() if one[i, j]})
        for i, j in np.argwhere(np.triu(np.ones_like(joined), 1))
        if joined[i, j] >= _SHOWN or (names[i], names[j]) in mine
    )
    return Stability(samples, pairs, tuple((a, b) for a, _, b in graph.edges()))


def _counted(found: Iterable[np.ndarray], d: int) -> dict[str, np.ndarray]:
    """How many of the mark matrices have each edge, int64 (d, d) with [i, j] for the edge read from i to j."""
    counts: dict[str, np.ndarray] = {}
    for marks in found:
        i, j = nonzero(marks)
        code = 4 * marks[j, i].astype(np.int64) + marks[i, j]
        for k in np.unique(code).tolist():
            at = code == k
            count = counts.setdefault(edge_text(*divmod(k, 4)), np.zeros((d, d), dtype=np.int64))
            count[i[at], j[at]] += 1
    return dict(sorted(counts.items()))


def _replicate(
    index: int, *, learn: Callable[[Table], Graph | None], table: Table, names: tuple[str, ...],
    groups: list[np.ndarray], seed: int,
) -> np.ndarray:
    """Marks (d, d) over ``names`` of the graph learned from one bootstrap sample."""
    rng = generator(seed, "bootstrap", index)
    rows = np.concatenate([group[rng.integers(0, len(group), len(group))] for group in groups])
    found = learn(table.take(rows))
    marks = np.zeros((len(names), len(names)), dtype=np.int8)
    if found is not None:
        at = [names.index(n) for n in found.names]
        marks[np.ix_(at, at)] = found.marks
    return marks
