"""Exact search in sparse problems in plain Python: the reference of ``cpp/order_search.cpp``.

A set of variables is a bit mask. The bound on what is left to reach is a looser one here: the answer is the same.
"""

from __future__ import annotations

import heapq
import itertools
import math
from typing import Any

import numpy as np

from whence.kernels.subset_dp_ref import members


def useful_sets(score: Any, may: np.ndarray, required: np.ndarray, most: int, room: int, threads: int
                ) -> tuple[list[list[float]], list[list[int]], list[int]]:
    """Per variable the scores and masks of sets of up to ``most`` parents that score higher than each of their
    subsets, and the level it ended at: ``most`` + 1 when no larger set can be useful."""
    found = [_of_one(score, y, may[y], required[y], most, room) for y in range(len(may))]
    return [f[0] for f in found], [f[1] for f in found], [f[2] for f in found]


def _of_one(score: Any, y: int, may: np.ndarray, required: np.ndarray, most: int, room: int
            ) -> tuple[list[float], list[int], int]:
    held = sum(1 << int(z) for z in np.flatnonzero(required))
    free = [int(z) for z in np.flatnonzero(may) if z != y and not required[z]]
    values: list[float] = []
    sets: list[int] = []
    if (required.astype(bool) & ~may.astype(bool)).any() or held.bit_count() > most:
        return values, sets, most + 1
    smaller: dict[int, float] = {}
    for k in range(min(most - held.bit_count(), len(free)) + 1):
        if math.comb(len(free), k) > room:
            return values, sets, held.bit_count() + k - 1
        best: dict[int, float] = {}
        for chosen in itertools.combinations(free, k):
            of = held | sum(1 << z for z in chosen)
            value = score.local(y, np.array(members(of), dtype=np.int32))
            below = max((smaller[of & ~(1 << z)] for z in chosen), default=-math.inf)
            if value > below:
                values.append(value)
                sets.append(of)
            best[of] = max(value, below)
        smaller = best
    return values, sets, most + (most - held.bit_count() >= len(free))


def best_order(values: list[list[float]], sets: list[list[int]], members: list[int], placed: int, least: float,
               most: int, parents: np.ndarray) -> int:
    """A* of Yuan and Malone (2013), algorithm 1, where each variable left may choose its parents among all others.

    Returns the number of sets met, 0 when there is no graph and -1 for more than ``most``.
    """
    goal = placed | sum(1 << v for v in members)

    def best(v: int, inside: int) -> tuple[float, int]:
        return next(((value, of) for value, of in zip(values[v], sets[v], strict=True) if not of & ~inside),
                    (-math.inf, 0))

    bound = {v: best(v, goal & ~(1 << v))[0] for v in members}
    value, came = {placed: 0.0}, {placed: (-1, 0)}
    heap, done = [(-sum(bound.values()), placed)], set[int]()
    while heap and goal not in done:
        estimate, inside = heapq.heappop(heap)
        if inside in done:
            continue
        done.add(inside)
        for v in members:
            if inside >> v & 1:
                continue
            more, of = best(v, inside)
            larger, total, hope = inside | 1 << v, value[inside] + more, estimate + bound[v] - more
            if total > value.get(larger, -math.inf) and -hope > least:
                value[larger], came[larger] = total, (v, of)
                heapq.heappush(heap, (hope, larger))
        if len(value) > most:
            return -1
    if goal not in done:
        return 0
    while goal != placed:
        v, of = came[goal]
        parents[v] = of
        goal &= ~(1 << v)
    return len(value)
