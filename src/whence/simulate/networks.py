"""Discrete Bayesian networks: a table of conditional probabilities at every node."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from whence.core.errors import WhenceError
from whence.core.rng import generator
from whence.data.table import Column, Table
from whence.graphs.classes import DAG
from whence.graphs.graph import ARROW, TAIL

_CELLS = 50_000_000  # the joint of more cells than this is refused


@dataclass(frozen=True, eq=False)
class DiscreteNetwork:
    """A DAG with its conditional probabilities.

    probabilities: per node an array with one axis per parent, in ``parents`` order, and a last axis for
    the node itself, which sums to one. levels: per node, the values.
    """

    graph: DAG
    parents: Mapping[str, tuple[str, ...]]
    probabilities: Mapping[str, np.ndarray]
    levels: Mapping[str, tuple[object, ...]]

    def order(self) -> list[str]:
        """The nodes, causes first; ties by name."""
        left, done = sorted(self.graph.names), []
        while left:
            ready = next(name for name in left if set(self.parents[name]) <= set(done))
            left.remove(ready)
            done.append(ready)
        return done

    def sample(self, n: int, seed: int = 0) -> Table:
        """``n`` independent rows; each node has its own stream of random numbers."""
        codes: dict[str, np.ndarray] = {}
        for name in self.order():
            rows = self.probabilities[name][tuple(codes[p] for p in self.parents[name])]
            steps = np.broadcast_to(np.cumsum(rows, axis=-1), (n, len(self.levels[name])))[:, :-1]
            draw = generator(seed, "node", name).random(n)
            codes[name] = (draw[:, None] >= steps).sum(axis=1).astype(np.int32)
        columns = {
            name: Column(name, "binary" if len(levels) == 2 else "categorical", codes[name], levels)
            for name, levels in ((name, self.levels[name]) for name in self.graph.names)
        }
        return Table(MappingProxyType(columns), n, source="simulation")

    def joint(self, do: Mapping[str, int] | None = None) -> np.ndarray:
        """The joint distribution, one axis per node in the order of ``graph.names``.

        do: nodes set from outside to a level code; their mechanism is cut (truncated factorisation,
        Pearl 2009, equation 3.10). Raises ``WhenceError`` (``too_large``) beyond 50 million cells.
        """
        do = do or {}
        names = self.graph.names
        shape = [len(self.levels[name]) for name in names]
        if math.prod(shape) > _CELLS:
            raise WhenceError(
                f"The joint has {math.prod(shape):,} cells.", code="too_large",
                value=math.prod(shape), allowed=f"at most {_CELLS:,}",
            )
        joint = np.ones(shape)
        at = {name: i for i, name in enumerate(names)}
        for name in names:
            family = (name,) if name in do else (*self.parents[name], name)
            factor = np.eye(shape[at[name]])[do[name]] if name in do else self.probabilities[name]
            turn = sorted(range(len(family)), key=lambda k: at[family[k]])
            wide = [shape[at[other]] if other in family else 1 for other in names]
            joint = joint * factor.transpose(turn).reshape(wide)
        return joint


def random_network(
    graph: DAG, seed: int = 0, *, levels: tuple[int, int] = (2, 3), concentration: float = 1.0
) -> DiscreteNetwork:
    """Each node has a number of levels uniform between the two of ``levels`` (inclusive), and each of its
    rows of probabilities is Dirichlet(concentration, ..., concentration)."""
    values: dict[str, tuple[object, ...]] = {}
    for name in graph.names:
        values[name] = tuple(range(generator(seed, "levels", name).integers(levels[0], levels[1] + 1)))
    parents, probabilities = {}, {}
    for j, name in enumerate(graph.names):
        into = np.flatnonzero((graph.marks[:, j] == ARROW) & (graph.marks[j] == TAIL))
        parents[name] = tuple(sorted(graph.names[i] for i in into))
        shape = tuple(len(values[p]) for p in parents[name])
        alpha = np.full(len(values[name]), concentration)
        probabilities[name] = generator(seed, "table", name).dirichlet(alpha, size=shape or None)
    return DiscreteNetwork(graph, parents, probabilities, values)
