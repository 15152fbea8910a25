"""Every DAG of a few variables, one by one, and what a posterior over them says: the slow truth."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

import numpy as np


@functools.cache
def all_dags(d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """bool (dags, d, d) each: [g, i, j] says that i -> j is an arrow, that a path leads from i to j, and that i and j
    are adjacent or have a common child."""
    families = [[tuple(c) for k in range(d) for c in itertools.combinations([z for z in range(d) if z != y], k)]
                for y in range(d)]
    columns = np.zeros((d, 2 ** (d - 1), d), dtype=bool)
    for y, sets in enumerate(families):
        for number, parents in enumerate(sets):
            columns[y, number, list(parents)] = True
    chosen = np.array(list(itertools.product(range(2 ** (d - 1)), repeat=d)))
    arrows = np.stack([columns[y, chosen[:, y]] for y in range(d)], axis=2)
    arrows = arrows[~(arrows & arrows.transpose(0, 2, 1)).any(axis=(1, 2))]
    path = arrows.copy()
    for _ in range(d):
        path |= np.einsum("gik,gkj->gij", path, arrows)
    acyclic = ~np.einsum("gii->gi", path).any(axis=1)
    arrows, path = arrows[acyclic], path[acyclic]
    near = arrows | arrows.transpose(0, 2, 1) | np.einsum("gik,gjk->gij", arrows, arrows)
    near[:, range(d), range(d)] = False
    return arrows, path, near


def tables(d: int, score: Callable[[int, frozenset[int]], float]) -> dict[str, np.ndarray | float]:
    """Edge, path, adjacency and blanket probabilities, the log of the sum, the best score, and each DAG's weight."""
    arrows, path, near = all_dags(d)
    known = functools.cache(score)
    logs = np.array([
        sum(known(y, frozenset(np.flatnonzero(dag[:, y]).tolist())) for y in range(d)) for dag in arrows])
    top = logs.max()
    weights = np.exp(logs - top)
    total = weights.sum()
    edge, paths, blanket = (np.einsum("g,gij->ij", weights / total, table) for table in (arrows, path, near))
    return {"edge": edge, "path": paths, "adjacent": edge + edge.T, "blanket": blanket,
            "log_total": float(top + np.log(total)), "best": float(top), "weights": weights / total}
