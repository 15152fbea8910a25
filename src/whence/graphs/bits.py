"""Sets of nodes as Python integers: bit k stands for the k-th node in name order.

Name order, not storage order, so that every choice between ties falls the same way whatever the order
of the columns.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


def rows(matrix: np.ndarray) -> list[int]:
    """Each row of a boolean matrix as a bit set."""
    packed = np.packbits(matrix, axis=1, bitorder="little")
    data, width = packed.tobytes(), packed.shape[1]
    return [int.from_bytes(data[at:at + width], "little") for at in range(0, len(data), max(width, 1))]


def matrix(table: Sequence[int]) -> np.ndarray:
    """The boolean (d, d) matrix of d bit sets: the way back from ``rows``."""
    width = len(table) // 8 + 1
    packed = np.array([list(row.to_bytes(width, "little")) for row in table], dtype=np.uint8)
    return np.unpackbits(packed.reshape(-1, width), axis=1, count=len(table), bitorder="little").astype(bool)


_AS_TRUTH = bytes(k == ord("1") for k in range(256))


def nonzero(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``np.nonzero`` of a square matrix, several times faster when little of it is set."""
    return np.divmod(np.flatnonzero(np.not_equal(matrix, 0)), max(len(matrix), 1))


def rows_of(d: int, i: np.ndarray, j: np.ndarray) -> list[int]:
    """``rows`` of the (d, d) matrix whose true entries are [i, j]. Cheap when they are few."""
    if 32 * len(i) > d * d:
        matrix = np.zeros((d, d), dtype=bool)
        matrix[i, j] = True
        return rows(matrix)
    out = [0] * d
    for row, column in zip(i.tolist(), j.tolist(), strict=True):
        out[row] |= 1 << column
    return out


def ones(bits: int) -> list[int]:
    """The positions of the set bits, ascending."""
    size = bits.bit_count()
    if 5 * size > bits.bit_length() and size > 3:  # many: look at every digit, but without a step of Python for each
        return list(itertools.compress(itertools.count(), _digits(bits)))
    found, at = [], -1
    for zeros in bin(bits)[:1:-1].split("1")[:-1]:
        at += len(zeros) + 1
        found.append(at)
    return found


def lowest(bits: int) -> int:
    """The position of the lowest set bit; there must be one."""
    return (bits & -bits).bit_length() - 1


def union(table: Sequence[int], bits: int) -> int:
    """The union of ``table[k]`` over the members k of ``bits``."""
    size = bits.bit_count()
    if 5 * size > bits.bit_length() and size > 3:
        return functools.reduce(operator.or_, itertools.compress(table, _digits(bits)), 0)
    out, at = 0, -1
    for zeros in bin(bits)[:1:-1].split("1")[:-1]:
        at += len(zeros) + 1
        out |= table[at]
    return out


def _digits(bits: int) -> bytes:
    """Per position, the lowest first, whether its bit is set, as bytes 0 and 1."""
    return bin(bits)[:1:-1].encode().translate(_AS_TRUTH)


def closure(table: Sequence[int], bits: int) -> int:
    """``bits`` and all that is reached from them by steps of ``table``."""
    seen = new = bits
    while new:
        new = union(table, new) & ~seen
        seen |= new
    return seen


@dataclass(frozen=True)
class Bits:
    """A graph's edges as bit sets, one entry per node in name order.

    names: the nodes sorted by name. parents, children: by -->. spouses: by <->. neighbours: by ---.
    adjacent: by any edge.
    """

    names: tuple[str, ...]
    parents: list[int]
    children: list[int]
    spouses: list[int]
    neighbours: list[int]
    adjacent: list[int]

    @staticmethod
    def of(names: Sequence[str], marks: np.ndarray, bidirected: np.ndarray) -> Bits:
        """The bit sets of a mark matrix and the bidirected edges (both in the order of ``names``)."""
        d = len(names)
        order = sorted(range(d), key=names.__getitem__)
        rank = np.argsort(order)
        i, j = nonzero(marks)
        there, back = marks[i, j], marks[j, i]
        p, q = nonzero(bidirected)
        i, j, p, q = rank[i], rank[j], rank[p], rank[q]

        def chosen(where: np.ndarray) -> list[int]:
            return rows_of(d, i[where], j[where])

        return Bits(
            names=tuple(names[k] for k in order),
            parents=chosen((there == 3) & (back == 2)),
            children=chosen((there == 2) & (back == 3)),
            spouses=rows_of(d, p, q),
            neighbours=chosen((there == 3) & (back == 3)),
            adjacent=rows_of(d, i, j),
        )

    @functools.cached_property
    def rank(self) -> dict[str, int]:
        """Name to bit position."""
        return {name: k for k, name in enumerate(self.names)}

    @functools.cached_property
    def directed_only(self) -> bool:
        """Whether every edge is a -->."""
        return not (any(self.spouses) or any(self.neighbours))

    @functools.cached_property
    def ancestors(self) -> list[int]:
        """Per node: itself and its ancestors by -->. The directed part must be acyclic."""
        out = [0] * len(self.names)
        for k in topological(self.parents, self.children):
            out[k] = 1 << k | union(out, self.parents[k])
        return out

    def set_of(self, bits: int) -> frozenset[str]:
        """The names of the members."""
        return frozenset(self.names[k] for k in ones(bits))

    def sorted_of(self, bits: int) -> tuple[str, ...]:
        """The names of the members in name order."""
        return tuple(self.names[k] for k in ones(bits))

    def bits_of(self, names: Iterable[str]) -> int:
        """The bit set of known names."""
        out = 0
        for name in names:
            out |= 1 << self.rank[name]
        return out


def topological(parents: Sequence[int], children: Sequence[int]) -> list[int]:
    """Positions with parents before children, the lowest free one first; on a cycle shorter than all nodes."""
    import heapq

    waiting = [p.bit_count() for p in parents]
    ready = [k for k, count in enumerate(waiting) if not count]
    order = []
    while ready:
        k = heapq.heappop(ready)
        order.append(k)
        for child in ones(children[k]):
            waiting[child] -= 1
            if not waiting[child]:
                heapq.heappush(ready, child)
    return order


def find_cycle(parents: Sequence[int], children: Sequence[int]) -> list[int] | None:
    """A shortest directed cycle through its first node, ``[a, b, ..., a]``, or None when there is none."""
    done = topological(parents, children)
    if len(done) == len(parents):
        return None
    left = set(range(len(parents))) - set(done)
    return next(cycle for start in sorted(left) if (cycle := shortest_path(children, start, start)))


def shortest_path(table: Sequence[int], start: int, end: int) -> list[int]:
    """A shortest path of at least one step along ``table`` (ties to the lowest position); ``[]`` for none."""
    came_from: dict[int, int] = {}
    level = [start]
    while level and end not in came_from:
        following = []
        for k in level:
            for step in ones(table[k]):
                if step not in came_from:
                    came_from[step] = k
                    following.append(step)
        level = following
    if end not in came_from:
        return []
    path = [end, came_from[end]]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return path[::-1]
