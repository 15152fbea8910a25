"""NumPy references of the native kernels. They stay for ever: fallback and oracle."""

from __future__ import annotations

import numpy as np


def counts(codes: np.ndarray, cards: np.ndarray, out: np.ndarray) -> None:
    """Contingency counts into ``out``.

    codes: int32 (k, n), values in [0, cards[k]) or -1 for missing; rows of data with a missing value are
    not counted. cards: int64 (k,). out: int64 (prod(cards),), zeros; the first variable varies slowest.
    """
    if (codes >= cards[:, None]).any():
        raise ValueError("a code is not below its cardinality")
    whole = (codes >= 0).all(axis=0)
    cell = np.zeros(int(whole.sum()), dtype=np.int64)
    for row, card in zip(codes[:, whole], cards, strict=True):
        cell = cell * card + row
    out += np.bincount(cell, minlength=len(out))
