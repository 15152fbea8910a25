"""Values as codes 0, 1, ... in their order."""

from __future__ import annotations

import numpy as np

SPREAD = 4  # whole numbers that span at most so many times as many values as there are rows are counted, not sorted


def compact(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes int64 (n,) of the values (n,), and the values (k,) they stand for, ascending; as ``numpy.unique``, but by
    counting where whole numbers lie close together. Values that are such codes already are returned themselves."""
    whole = _whole(values)
    if whole is None:
        levels, codes = np.unique(values, return_inverse=True)
        return codes.astype(np.int64, copy=False), levels
    low = int(whole.min())
    shifted = whole - low if low else whole
    there = np.zeros(int(shifted.max()) + 1, dtype=bool)
    there[shifted] = True
    levels = (np.flatnonzero(there) + low).astype(values.dtype)
    return (shifted if len(levels) == len(there) else (np.cumsum(there) - 1)[shifted]), levels


def _whole(values: np.ndarray) -> np.ndarray | None:
    """The values as int64, if they are whole numbers close together."""
    if not len(values) or values.dtype.kind not in "iuf":
        return None
    low, high = values.min(), values.max()
    if not (low > -(2.0**52) and high < 2.0**52 and float(high) - float(low) <= SPREAD * len(values)):
        return None
    whole = values.astype(np.int64, copy=False)
    return whole if values.dtype.kind != "f" or bool((whole == values).all()) else None
