"""Mediation by enumeration: every unit of a model with hidden causes, in each of its worlds.

Nothing here uses whence. A graph is a number of nodes and edges ``(a, "-->", b)`` and ``(a, "<->", b)``.
Nodes are binary.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

Edges = list[tuple[int, str, int]]


def parents_of(n: int, edges: Edges) -> list[list[int]]:
    return [sorted(a for a, edge, b in edges if edge == "-->" and b == v) for v in range(n)]


def order_of(parents: list[list[int]]) -> list[int]:
    done: list[int] = []
    while len(done) < len(parents):
        done += [v for v in range(len(parents)) if v not in done and set(parents[v]) <= set(done)]
    return done


@dataclass
class Units:
    """All kinds of units: ``weights`` sum to 1; ``tables[v][unit, parents...]`` is how each responds."""

    parents: list[list[int]]
    weights: np.ndarray
    tables: list[np.ndarray]

    def world(self, do: dict[int, np.ndarray | int]) -> list[np.ndarray]:
        """The value of each node in each unit."""
        units = np.arange(len(self.weights))
        values: list[np.ndarray] = [units] * len(self.parents)
        for v in order_of(self.parents):
            if v in do:
                values[v] = np.broadcast_to(do[v], units.shape)
            else:
                values[v] = self.tables[v][(units, *(values[p] for p in self.parents[v]))]
        return values

    def share(self, values: list[np.ndarray], nodes: list[int]) -> np.ndarray:
        """The joint distribution of some nodes."""
        out = np.zeros((2,) * len(nodes))
        np.add.at(out, tuple(values[v] for v in nodes), self.weights)
        return out

    def nested(self, x: int, mediators: list[int], own: int, through: int) -> list[np.ndarray]:
        """The world where x is ``own`` and the mediators are what they are when x is ``through``."""
        other = self.world({x: through})
        return self.world({x: own} | {m: other[m] for m in mediators})


def random_units(n: int, edges: Edges, rng: np.random.Generator, private: int = 3) -> Units:
    """A random model: a binary hidden cause per <->, ``private`` causes per node, two of which fix the node."""
    parents, arcs = parents_of(n, edges), [(a, b) for a, edge, b in edges if edge == "<->"]
    sizes = (2,) * len(arcs) + (private,) * n
    grid = np.indices(sizes).reshape(len(sizes), -1)
    weights = np.ones(grid.shape[1])
    for size, level in zip(sizes, grid, strict=True):
        weights = weights * (0.1 + 0.9 * rng.dirichlet(np.ones(size)))[level]
    tables = []
    for v in range(n):
        hidden = [grid[k] for k, arc in enumerate(arcs) if v in arc]
        f = rng.integers(0, 2, (private,) + (2,) * (len(hidden) + len(parents[v])))
        f[0], f[1] = 0, 1
        tables.append(f[(grid[len(arcs) + v], *hidden)])
    return Units(parents, weights / weights.sum(), tables)


# Witnesses


def above(edges: Edges, targets: set[int], without: int) -> set[int]:
    """The ancestors of the targets by paths that do not meet ``without``."""
    found = set(targets)
    while more := {a for a, edge, b in edges if edge == "-->" and b in found and a != without} - found:
        found |= more
    return found


def is_recanting(edges: Edges, x: int, ys: set[int], ms: set[int], direct: Edges, through: Edges,
                 hidden: Edges) -> bool:
    """Whether the two paths and the <-> path show a recanting witness or district."""
    arcs = {(a, b) for a, edge, b in edges if edge == "<->"}
    arcs |= {(b, a) for a, b in arcs}
    arrows = {(a, b) for a, edge, b in edges if edge == "-->"}
    for path in (direct, through):
        if any((a, b) not in arrows for a, _, b in path) or path[0][0] != x or path[-1][2] not in ys:
            return False
        if any(first[2] != later[0] for first, later in itertools.pairwise(path)):
            return False
    if {b for _, _, b in direct} & ms or not {a for a, _, _ in through} & ms:
        return False
    walk = [direct[0][2], *(b for _, _, b in hidden)]
    joined = all((a, b) in arcs for a, b in itertools.pairwise(walk)) and walk[-1] == through[0][2]
    return joined and set(walk) <= above(edges, ys, x) - {x}


def district_of(n: int, edges: Edges, start: int) -> list[int]:
    found = {start}
    while more := {v for a, edge, b in edges if edge == "<->" and {a, b} & found for v in (a, b)} - found:
        found |= more
    return sorted(found)


def effect(units: Units, x: int, y: int, ms: list[int], quantity: str) -> np.ndarray:
    """The quantity on the mean of y, unit by unit."""
    if quantity == "CDE":
        fixed = dict.fromkeys(ms, 1)
        return units.world({x: 1, **fixed})[y] - units.world({x: 0, **fixed})[y]
    (a, b), (c, d) = {"NDE": ((1, 0), (0, 0)), "NIE": ((0, 1), (0, 0)), "TDE": ((1, 1), (0, 1)),
                      "TIE": ((1, 1), (1, 0))}[quantity]
    return units.nested(x, ms, a, b)[y] - units.nested(x, ms, c, d)[y]


def two_models(n: int, edges: Edges, x: int, y: int, ms: list[int], quantity: str, start: int,
               rng: np.random.Generator) -> tuple[float, float, float] | None:
    """How far the quantity can lie apart in models with one observed distribution, by linear programming.

    The units of one district, that of ``start``, vary; those of the other nodes are fixed at random. Returns the
    least and the largest value, and by how much the observed distributions of the two models differ; None when
    the district has too many kinds of units.
    """
    parents, own = parents_of(n, edges), district_of(n, edges, start)
    counts = [2 ** 2 ** len(parents[v]) if v in own else 3 for v in range(n)]
    kinds = int(np.prod([counts[v] for v in own]))
    if kinds > 5000 or np.prod(counts, dtype=float) > 4e5:
        return None
    grid = np.indices(counts).reshape(n, -1)
    tables, weights = [], np.ones(grid.shape[1])
    for v in range(n):
        shape = (2,) * len(parents[v])
        if v in own:
            f = (np.arange(counts[v])[:, None] >> np.arange(2 ** len(parents[v])) & 1).reshape(-1, *shape)
        else:
            f = rng.integers(0, 2, (3, *shape))
            f[0], f[1] = 0, 1
            weights = weights * np.array([0.1, 0.1, 0.8])[grid[v]]
        tables.append(f[grid[v]])
    units = Units(parents, weights, tables)
    kind = np.ravel_multi_index([grid[v] for v in own], [counts[v] for v in own])
    cell = np.ravel_multi_index(units.world({}), (2,) * n)
    observed = np.zeros((2**n, kinds))
    np.add.at(observed, (cell, kind), weights)
    objective = np.bincount(kind, weights * effect(units, x, y, ms, quantity), kinds)
    base = rng.dirichlet(np.ones(kinds))
    equal, limits = np.vstack([observed, np.ones(kinds)]), np.append(observed @ base, 1.0)
    ends = [linprog(sign * objective, A_eq=equal, b_eq=limits, bounds=(0, 1), method="highs") for sign in (1, -1)]
    if not all(end.success for end in ends):
        return None
    values = [float(objective @ end.x) for end in ends]
    apart = float(np.abs(observed @ (ends[0].x - ends[1].x)).max())
    return values[0], values[1], apart
