"""Kernels of mixed columns and their low-rank factors, remembered for as long as their table lives."""

from __future__ import annotations

import math
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable

import numpy as np

from whence.data.table import CODED, Column, Table
from whence.stats.citest.quantum import LAYERS, fidelity, qubits, states

KERNELS = ("gaussian", "cosine", "quantum")
MOST_BYTES = 256 * 2**20  # of remembered arrays per table
_WIDTH_ROWS = 250  # rows that show the median distance


class Memory:
    """Arrays by key, the longest unused forgotten first when they outgrow ``most`` bytes."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self.most, self.used = most, 0
        self.known: OrderedDict[Hashable, np.ndarray] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], np.ndarray]) -> np.ndarray:
        """The array under ``key``, made now when it is not known."""
        if key in self.known:
            self.known.move_to_end(key)
            return self.known[key]
        value = make()
        self.known[key] = value
        self.used += value.nbytes
        while self.used > self.most and len(self.known) > 1:
            self.used -= self.known.popitem(last=False)[1].nbytes
        return value


_MEMORIES: weakref.WeakKeyDictionary[Table, Memory] = weakref.WeakKeyDictionary()


def memory(table: Table) -> Memory:
    """What was computed from ``table`` so far; a table does not change, and is forgotten with it."""
    return _MEMORIES.setdefault(table, Memory())


def coordinates(column: Column, rows: np.ndarray) -> np.ndarray:
    """(n, p) coordinates of a column: its numbers over their standard deviation, or one indicator per level seen,
    scaled so that two different levels are two standard deviations apart. No columns for a constant."""
    values = column.values[rows]
    if column.kind in CODED:
        seen = np.unique(values)
        return (values[:, None] == seen) * math.sqrt(2.0) if len(seen) > 1 else np.empty((len(values), 0))
    if not len(values):
        return np.empty((0, 0))
    size = np.abs(values).max()
    values = values / max(size, 1e-300)
    values = values - values.mean()
    spread = math.sqrt(float((values**2).mean()))
    return (values / spread)[:, None] if spread > 1e-13 else np.empty((len(values), 0))


def speechless(column: Column, rows: np.ndarray) -> bool:
    """Whether the column has levels, none of which occurs twice: they could go with anything."""
    return column.kind in CODED and bool(rows.any()) and int(np.bincount(column.values[rows]).max()) < 2


def determined(target: np.ndarray, others: np.ndarray) -> bool:
    """Whether linear regression on others (n, q) leaves nothing of the coordinates target (n, p) but rounding."""
    if not others.shape[1]:
        return False
    target, others = target - target.mean(axis=0), others - others.mean(axis=0)
    left = target - others @ np.linalg.lstsq(others, target, rcond=None)[0]
    return bool((left**2).sum() <= 1e-9 * (target**2).sum())


def squared_distances(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n, m) squared Euclidean distances of the rows of (n, p) and (m, p)."""
    square = (points**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * points @ others.T
    return np.maximum(square, 0.0)


def median_distance(points: np.ndarray) -> float:
    """Median distance of two different rows, on at most 250 rows spread evenly; 1 when most rows agree."""
    chosen = points[:: max(1, math.ceil(len(points) / _WIDTH_ROWS))]
    square = squared_distances(chosen, chosen)[np.triu_indices(len(chosen), 1)]
    middle = math.sqrt(float(np.median(square))) if len(square) else 0.0
    return middle if middle > 1e-6 else 1.0


def columns_of(points: np.ndarray, kernel: str, width: float) -> Callable[[int], np.ndarray]:
    """A function from a row to its column (n,) of the kernel matrix; the diagonal is 1.

    ``"gaussian"``: exp(-d^2 / (2 width^2)). ``"cosine"``: the product over coordinates of cos^2((a - b) / (2 width)),
    the fidelity of one rotated qubit per coordinate. ``"quantum"``: the fidelity of entangled states, see
    ``whence.stats.citest.quantum``.
    """
    if kernel == "gaussian":
        return lambda i: np.exp(squared_distances(points, points[i : i + 1])[:, 0] / (-2 * width * width))
    if kernel == "cosine":
        return lambda i: (np.cos((points - points[i]) / (2 * width)) ** 2).prod(axis=1)
    # Layers add up the turns of a qubit, and qubits multiply overlaps: this keeps the width near that of one qubit.
    repeated = LAYERS * math.sqrt(qubits(points.shape[1]) / points.shape[1])
    made = states(points / (width * repeated))
    return lambda i: fidelity(made, made[i])


def factor(column: Callable[[int], np.ndarray], n: int, tolerance: float, most: int) -> np.ndarray:
    """F (n, r) with F F' close to a kernel matrix of unit diagonal: pivoted Cholesky (Bach and Jordan 2002).

    Stops when what is left of the trace is below ``tolerance`` n, or at rank ``most``.
    """
    out = np.zeros((n, min(most, n)), order="F")
    left = np.ones(n)
    for r in range(out.shape[1]):
        if left.sum() <= tolerance * n:
            return out[:, :r]
        pivot = int(left.argmax())
        new = (column(pivot) - out[:, :r] @ out[pivot, :r]) / math.sqrt(left[pivot])
        out[:, r] = new
        left = np.maximum(left - new**2, 0.0)
    return out


def blocks(n: int, size: int = 2048) -> Iterable[slice]:
    """Slices that cover n rows."""
    return (slice(k, min(k + size, n)) for k in range(0, n, size))
