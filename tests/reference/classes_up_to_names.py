"""One DAG for every Markov equivalence class on n nodes up to renaming. No code shared with src.

DAGs are grown by a sink at a time; two are the same up to names when the least of their codes over all orders of
the nodes is.
"""

from __future__ import annotations

import itertools

import numpy as np


def dags(n: int) -> np.ndarray:
    """bool (count, n, n): every DAG up to renaming, [i, j] for i --> j; 1, 2, 6, 31, 302, 5984 of them."""
    found = np.zeros((1, 1, 1), dtype=bool)
    for size in range(2, n + 1):
        grown = np.zeros((len(found) * 2 ** (size - 1), size, size), dtype=bool)
        grown[:, : size - 1, : size - 1] = np.repeat(found, 2 ** (size - 1), axis=0)
        sets = np.array(list(itertools.product((False, True), repeat=size - 1)))
        grown[:, : size - 1, size - 1] = np.tile(sets, (len(found), 1))
        found = grown[_first(least_codes(grown))]
    return found


def least_codes(matrices: np.ndarray) -> np.ndarray:
    """The least reading of each 0-1-2 matrix as a number in base 3 over all orders of its nodes."""
    n = matrices.shape[-1]
    digits = matrices.reshape(len(matrices), -1).astype(np.int64)
    best = np.full(len(matrices), np.iinfo(np.int64).max)
    power = 3 ** np.arange(n * n, dtype=np.int64).reshape(n, n)
    for order in itertools.permutations(range(n)):
        best = np.minimum(best, digits @ power[np.ix_(order, order)].reshape(-1))
    return best


def classes(n: int) -> np.ndarray:
    """One DAG of each class: 1, 2, 5, 20, 142, 2201 of them. A class is its adjacencies and v-structures."""
    every = dags(n)
    members = np.array([_immoral(one) for one in every])
    return every[_first(least_codes(members))]


def _immoral(dag: np.ndarray) -> np.ndarray:
    """2 for an arrow of a v-structure, 1 for another edge, both ways."""
    adjacent = dag | dag.T
    out = adjacent.astype(np.int64)
    for a, b, c in itertools.permutations(range(len(dag)), 3):
        if dag[a, c] and dag[b, c] and not adjacent[a, b]:
            out[a, c], out[c, a] = 2, 0
    return out


def _first(keys: np.ndarray) -> np.ndarray:
    return np.sort(np.unique(keys, axis=0, return_index=True)[1])
