"""Folds for cross-fitting: seeded, whole clusters, balanced in the strata."""

from __future__ import annotations

import numpy as np

from whence.core.rng import generator


def folds(
    n_folds: int, strata: np.ndarray, clusters: np.ndarray | None = None, seed: int = 0, stream: int | str = 0
) -> np.ndarray:
    """Fold (int (n,), 0 .. n_folds - 1) of every row.

    strata: int (n,), e.g. treatment arms; each fold gets its share of every stratum, to within one
    cluster. clusters: int (n,) codes, or None when every row is its own; a cluster lies in one fold and
    counts in the stratum most of its rows are in. ``stream`` numbers repeated splits.
    """
    rng = generator(seed, "folds", stream)
    if clusters is None:
        groups, stratum = np.arange(len(strata)), strata
    else:
        names, groups = np.unique(clusters, return_inverse=True)
        table = np.zeros((len(names), int(strata.max()) + 1), dtype=np.int64)
        np.add.at(table, (groups, strata), 1)
        stratum = table.argmax(axis=1)
    shuffled = rng.permutation(len(stratum))
    # Dealing one stratum after the other, without starting over, keeps fold sizes within one too.
    dealt = shuffled[np.argsort(stratum[shuffled], kind="stable")]
    fold = np.empty(len(stratum), dtype=np.int64)
    fold[dealt] = np.arange(len(dealt)) % n_folds
    return fold[groups]
