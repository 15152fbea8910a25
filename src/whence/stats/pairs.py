"""Pairs of one treated and one untreated row with close scores, each row used once."""

from __future__ import annotations

import numpy as np

MOST_CELLS = 250_000  # of the table of distances that the optimal assignment works on


def pairs(score: np.ndarray, treated: np.ndarray, caliper: float, optimal: bool | None = None) -> np.ndarray:
    """(m, 2) positions of treated and untreated rows whose scores differ by at most ``caliper``, without replacement.

    score: float (n,). treated: bool (n,). optimal: whether the pairs are as many as can be and their total distance the
    smallest, or each row in turn, the most extreme first, takes the nearest that is left (Rosenbaum 2020, chapter
    9); None: optimal when the groups are small enough. In either case pairs further apart than the caliper are dropped.
    """
    groups = [np.flatnonzero(treated), np.flatnonzero(~treated)]
    swap = len(groups[0]) > len(groups[1])
    few, many = groups[::-1] if swap else groups
    if not len(few):
        return np.empty((0, 2), dtype=np.int64)
    if optimal is None:
        optimal = len(few) * len(many) <= MOST_CELLS
    chosen = _assigned(score[few], score[many], caliper) if optimal else _greedy(score[few], score[many], caliper)
    found = np.column_stack([few, np.where(chosen < 0, 0, many[chosen])])
    near = (chosen >= 0) & (np.abs(score[found[:, 0]] - score[found[:, 1]]) <= caliper)
    return found[near][:, ::-1] if swap else found[near]


def _assigned(few: np.ndarray, many: np.ndarray, caliper: float) -> np.ndarray:
    """As many pairs within the caliper as there can be, and among these the closest."""
    from scipy.optimize import linear_sum_assignment

    apart = np.abs(few[:, None] - many)
    return linear_sum_assignment(np.where(apart <= caliper, apart, caliper * (len(few) + 1)))[1]


def _greedy(few: np.ndarray, many: np.ndarray, caliper: float) -> np.ndarray:
    """Position among ``many`` for each of ``few``, -1 for none; rows far from the middle of the others choose first."""
    order = np.argsort(many, kind="stable")
    line = many[order]
    size = len(line)
    right = list(range(size + 1))  # the next free place at or after each; ``size`` is none
    left = list(range(size + 1))  # the same before each, where k stands for place k - 1 and 0 is none

    def free(links: list[int], at: int) -> int:
        while links[at] != at:
            links[at] = links[links[at]]
            at = links[at]
        return at

    chosen = np.full(len(few), -1, dtype=np.int64)
    start = np.searchsorted(line, few)
    for i in np.argsort(-np.abs(few - np.median(many)), kind="stable").tolist():
        after, before = free(right, int(start[i])), free(left, int(start[i])) - 1
        up = line[after] - few[i] if after < size else np.inf
        down = few[i] - line[before] if before >= 0 else np.inf
        if min(up, down) > caliper:
            continue
        place = after if up <= down else before
        chosen[i] = order[place]
        right[place], left[place + 1] = place + 1, place
    return chosen
