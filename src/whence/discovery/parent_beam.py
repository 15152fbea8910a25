"""Better parents for each variable of a DAG, among those that are not below it: several sets grown side by side."""

from __future__ import annotations

import numpy as np

from whence.discovery.orientation import reaches
from whence.stats.score.score import Kernel

WIDTH = 3
_SAME = 1e-6  # a higher score by less than this is rounding


def with_better_parents(kernel: Kernel, arrows: np.ndarray, may: np.ndarray, required: np.ndarray) -> np.ndarray:
    """bool (d, d): the DAG in which variables, one after the other, have better parents where some were found.

    arrows, may, required: bool (d, d), [i, j] for i --> j. The parents come from the variables that are not below, by
    beam search: of each number of parents the best ``WIDTH`` sets are grown further. Adding, taking out and turning
    one arrow at a time misses sets that are better only as a whole.
    """
    out, below = arrows.copy(), reaches(arrows)
    for y in range(len(arrows)):
        free = may[:, y] & ~below[y]
        free[y] = False
        found = np.array(_grown(kernel, y, free, np.flatnonzero(required[:, y])), dtype=np.int32)
        if kernel.local(y, found) > kernel.local(y, np.flatnonzero(out[:, y]).astype(np.int32)) + _SAME:
            out[:, y] = False
            out[found, y] = True
            below = reaches(out)
    return out


def _grown(kernel: Kernel, y: int, free: np.ndarray, held: np.ndarray) -> tuple[int, ...]:
    """The best set of parents met, ascending; ``held`` are in every one."""
    start = tuple(held.tolist())
    best, highest, level = start, kernel.local(y, held.astype(np.int32)), [start]
    values = np.empty(len(free))
    while True:
        met: dict[tuple[int, ...], float] = {}
        for parents in level:
            kernel.additions(y, np.array(parents, dtype=np.int32), values)
            values[~free] = -np.inf
            for z in np.argsort(-values, kind="stable")[:WIDTH].tolist():
                if np.isfinite(values[z]):
                    met[tuple(sorted((*parents, z)))] = float(values[z])
        level = sorted(met, key=lambda parents: (-met[parents], parents))[:WIDTH]
        if not level or met[level[0]] <= highest:
            return best
        best, highest = level[0], met[level[0]]


def score_of(kernel: Kernel, arrows: np.ndarray) -> float:
    """The score of a DAG."""
    return sum(kernel.local(y, np.flatnonzero(arrows[:, y]).astype(np.int32)) for y in range(len(arrows)))
