"""Slow, independent truths about small causal graphs: enumeration of paths, graphs and distributions.

Nothing here uses whence. A DAG is a tuple of parent tuples, one per node 0..n-1.
"""

from __future__ import annotations

import itertools

import numpy as np

Parents = tuple[tuple[int, ...], ...]


def all_dags(n: int) -> list[Parents]:
    """Every labelled DAG on n nodes (1, 3, 25, 543, 29281 of them)."""
    pairs = list(itertools.combinations(range(n), 2))
    found = []
    for choice in itertools.product((0, 1, 2), repeat=len(pairs)):
        parents: list[list[int]] = [[] for _ in range(n)]
        for (i, j), c in zip(pairs, choice, strict=True):
            if c == 1:
                parents[j].append(i)
            elif c == 2:
                parents[i].append(j)
        dag = tuple(tuple(p) for p in parents)
        if is_acyclic(dag):
            found.append(dag)
    return found


def is_acyclic(parents: Parents) -> bool:
    left = set(range(len(parents)))
    while left:
        free = {v for v in left if not left & set(parents[v])}
        if not free:
            return False
        left -= free
    return True


def random_dag(n: int, degree: float, rng: np.random.Generator) -> Parents:
    order = rng.permutation(n)
    parents: list[tuple[int, ...]] = [()] * n
    for k, v in enumerate(order):
        parents[v] = tuple(sorted(int(u) for u in order[:k] if rng.random() < degree / max(1, n - 1)))
    return tuple(parents)


def descendants(parents: Parents, start: set[int]) -> set[int]:
    found = set(start)
    while True:
        new = {v for v, p in enumerate(parents) if set(p) & found} - found
        if not new:
            return found
        found |= new


def paths(parents: Parents, x: int, y: int) -> list[list[int]]:
    """Every path without repeated nodes between x and y, whatever the direction of its edges."""
    near = [set(p) | {c for c, q in enumerate(parents) if v in q} for v, p in enumerate(parents)]
    found, stack = [], [[x]]
    while stack:
        path = stack.pop()
        if path[-1] == y:
            found.append(path)
            continue
        stack.extend([*path, v] for v in near[path[-1]] if v not in path)
    return found


def is_open(parents: Parents, path: list[int], given: set[int]) -> bool:
    """The definition of d-connection along one path."""
    for a, v, b in zip(path, path[1:], path[2:], strict=False):
        if a in parents[v] and b in parents[v]:
            if not descendants(parents, {v}) & given:
                return False
        elif v in given:
            return False
    return True


def is_causal(parents: Parents, path: list[int]) -> bool:
    return all(a in parents[b] for a, b in itertools.pairwise(path))


def valid_by_paths(parents: Parents, xs: set[int], ys: set[int], z: set[int]) -> bool:
    """The adjustment criterion by its definition (Shpitser et al. 2010; Perkovic et al. 2015)."""
    proper = [p for x in xs for y in ys for p in paths(parents, x, y) if not xs & set(p[1:])]
    on_causal = {v for p in proper if is_causal(parents, p) for v in p} - xs
    if z & descendants(parents, on_causal):
        return False
    return not any(is_open(parents, p, z) for p in proper if not is_causal(parents, p))


def random_tables(parents: Parents, levels: list[int], rng: np.random.Generator) -> list[np.ndarray]:
    """P(v | parents) for each node, as an array over all nodes' axes (length 1 where it does not depend)."""
    tables = []
    for v, p in enumerate(parents):
        shape = [levels[u] if u == v or u in p else 1 for u in range(len(parents))]
        table = rng.uniform(0.1, 1.0, shape)
        tables.append(table / table.sum(axis=v, keepdims=True))
    return tables


def product(tables: list[np.ndarray]) -> np.ndarray:
    out = tables[0]
    for table in tables[1:]:
        out = out * table
    return out


def intervened(tables: list[np.ndarray], do: dict[int, int]) -> np.ndarray:
    """The truncated factorisation: the joint of all nodes when those of ``do`` are set."""
    levels = product(tables).shape
    out = product([t for v, t in enumerate(tables) if v not in do] + [np.ones(levels)])
    for v, value in do.items():
        keep = np.zeros(levels[v])
        keep[value] = 1
        out = out * keep.reshape([-1 if u == v else 1 for u in range(len(levels))])
    return out


def adjusted(
    joint: np.ndarray, do: dict[int, int], ys: list[int], z: list[int], w: list[int] | None = None
) -> np.ndarray:
    """Sum over z of P(y | x, z, w) P(z | w) by loops; axes: outcomes, then w."""
    w = w or []
    shape = [joint.shape[v] for v in (*ys, *w)]
    out = np.zeros(shape)
    for w_values in itertools.product(*(range(joint.shape[v]) for v in w)):
        for z_values in itertools.product(*(range(joint.shape[v]) for v in z)):
            condition = dict(zip(w, w_values, strict=True)) | dict(zip(z, z_values, strict=True))
            weight = _mass(joint, condition) / _mass(joint, dict(zip(w, w_values, strict=True)))
            below = _mass(joint, condition | do)
            for y_values in itertools.product(*(range(joint.shape[v]) for v in ys)):
                cell = _mass(joint, condition | do | dict(zip(ys, y_values, strict=True)))
                out[(*y_values, *w_values)] += weight * cell / below
    return out


def _mass(joint: np.ndarray, at: dict[int, int]) -> float:
    return float(joint[tuple(at.get(v, slice(None)) for v in range(joint.ndim))].sum())


def members(directed: set[tuple[int, int]], undirected: set[tuple[int, int]], n: int,
            v_structures: set[tuple[int, int, int]]) -> list[Parents]:
    """Every DAG that orients the undirected edges without a cycle and with exactly these v-structures."""
    found = []
    edges = sorted(undirected)
    for choice in itertools.product((0, 1), repeat=len(edges)):
        arrows = set(directed) | {(b, a) if c else (a, b) for (a, b), c in zip(edges, choice, strict=True)}
        dag = tuple(tuple(sorted(a for a, b in arrows if b == v)) for v in range(n))
        if is_acyclic(dag) and v_structures_of(dag) == v_structures:
            found.append(dag)
    return found


def v_structures_of(parents: Parents) -> set[tuple[int, int, int]]:
    return {
        (a, v, b) for v, p in enumerate(parents) for a, b in itertools.combinations(sorted(p), 2)
        if a not in parents[b] and b not in parents[a]
    }
