"""Order of the nodes within each column so that few edges cross.

Sweeps by barycentre with exchanges of neighbours, from two starting orders; the best order seen is kept.
Deterministic: ties keep the order they had, and the start depends on the node numbers only.

Source: Gansner, Koutsofios, North, Vo (1993), A technique for drawing directed graphs, section 3.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from itertools import pairwise

SWEEPS = 12
PATIENCE = 4


def order_columns(columns: Sequence[Sequence[int]], before: Mapping[int, Sequence[int]],
                  after: Mapping[int, Sequence[int]], beside: Mapping[int, Sequence[int]]) -> list[list[int]]:
    """The columns, each in its drawing order from top to bottom.

    before, after: neighbours in the previous and in the next column. beside: neighbours in the same
    column, which are kept close.
    """
    best: list[list[int]] = [list(c) for c in columns]
    least = float("inf")
    for first in (0, -1):
        order = _walk(columns, before, after, last_first=first == -1)
        _exchange(order, before, after, beside)
        cost = _cost(order, after, beside)
        if cost < least:
            best, least = [list(c) for c in order], cost
        stale = 0
        for sweep in range(SWEEPS):
            if least == 0 or stale == PATIENCE:
                break
            _sweep(order, before if sweep % 2 == 0 else after, forwards=sweep % 2 == 0)
            _exchange(order, before, after, beside)
            cost = _cost(order, after, beside)
            stale += 1
            if cost < least:
                best, least, stale = [list(c) for c in order], cost, 0
    return best


def crossings(order: Sequence[Sequence[int]], after: Mapping[int, Sequence[int]]) -> int:
    """How many pairs of edges between neighbouring columns cross."""
    total = 0
    for here, there in pairwise(order):
        at = {v: k for k, v in enumerate(there)}
        seen: list[int] = []
        for v in here:
            ends = sorted(at[u] for u in after[v])
            total += sum(len(seen) - bisect_left(seen, end + 1) for end in ends)
            for end in ends:
                insort(seen, end)
    return total


def _cost(order: Sequence[Sequence[int]], after: Mapping[int, Sequence[int]],
          beside: Mapping[int, Sequence[int]]) -> int:
    total = crossings(order, after)
    for column in order:
        at = {v: k for k, v in enumerate(column)}
        total += sum(abs(at[u] - at[v]) - 1 for v in column for u in beside[v] if u > v)
    return total


def _walk(columns: Sequence[Sequence[int]], before: Mapping[int, Sequence[int]],
          after: Mapping[int, Sequence[int]], last_first: bool) -> list[list[int]]:
    """Start order: each node as a depth-first walk meets it, so that connected nodes stand together."""
    where = {v: k for k, column in enumerate(columns) for v in column}
    order: list[list[int]] = [[] for _ in columns]
    seen: set[int] = set()
    starts = [v for column in (reversed(columns) if last_first else columns) for v in sorted(column)]
    for start in starts:
        stack = [start]
        while stack:
            v = stack.pop()
            if v in seen:
                continue
            seen.add(v)
            order[where[v]].append(v)
            near = sorted({*before[v], *after[v]}, reverse=True)
            stack.extend(u for u in near if u not in seen)
    return order


def _sweep(order: list[list[int]], toward: Mapping[int, Sequence[int]], forwards: bool) -> None:
    """Sort each column by the mean place of the neighbours in the column just passed."""
    steps = range(1, len(order)) if forwards else range(len(order) - 2, -1, -1)
    for k in steps:
        fixed = order[k - 1] if forwards else order[k + 1]
        at = {v: p for p, v in enumerate(fixed)}
        column = order[k]
        scale = len(fixed) / max(1, len(column))
        key = {
            v: sum(at[u] for u in toward[v]) / len(toward[v]) if toward[v] else p * scale
            for p, v in enumerate(column)
        }
        column.sort(key=key.__getitem__)


def _exchange(order: list[list[int]], before: Mapping[int, Sequence[int]], after: Mapping[int, Sequence[int]],
              beside: Mapping[int, Sequence[int]]) -> None:
    """Exchange neighbours within columns while that removes crossings (at most ten rounds)."""
    place = {v: p for column in order for p, v in enumerate(column)}
    for _ in range(10):
        gained = False
        for column in order:
            for p in range(len(column) - 1):
                u, v = column[p], column[p + 1]
                gain = _pair_crossings(u, v, before, after, place) - _pair_crossings(v, u, before, after, place)
                gain += _closer(u, v, beside, place)
                if gain > 0:
                    column[p], column[p + 1] = v, u
                    place[u], place[v] = p + 1, p
                    gained = True
        if not gained:
            return


def _pair_crossings(u: int, v: int, before: Mapping[int, Sequence[int]], after: Mapping[int, Sequence[int]],
                    place: Mapping[int, int]) -> int:
    """Crossings between the edges of u and those of v when u stands just above v."""
    total = 0
    for near in (before, after):
        above, below = [place[w] for w in near[u]], sorted(place[w] for w in near[v])
        total += sum(bisect_left(below, a) for a in above)
    return total


def _closer(u: int, v: int, beside: Mapping[int, Sequence[int]], place: Mapping[int, int]) -> int:
    """Steps that partners in the same column come closer when u and v (just below it) change places."""
    gain = sum(1 if place[w] > place[v] else -1 for w in beside[u] if w != v)
    return gain + sum(1 if place[w] < place[u] else -1 for w in beside[v] if w != u)
