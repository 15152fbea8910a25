"""All DAGs at once: the weight of every set of them that a posterior needs, and graphs drawn from it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from whence.core.errors import WhenceError
from whence.core.rng import generator
from whence.discovery.independence import threads
from whence.graphs.graph import ARROW, TAIL
from whence.kernels import subset_dp
from whence.kernels.subset_dp_ref import members, packed, subsets, unpacked
from whence.stats.score.score import Kernel

MOST_COLUMNS, MOST_FOR_BLANKETS = 20, 15


@dataclass(frozen=True, eq=False)
class DagSums:
    """Sums over the DAGs of d variables; sets of variables are bit masks.

    scores: (d, 2^(d-1)) of families, less ``offsets`` (d,), their maxima; minus infinity where not allowed. m, e:
    mantissa and power of two of the sum over parents within a set. bm, be: of the ways to complete a set. edges, paths:
    (d, d) probabilities of i -> j and of a path from i to j. blankets: (d, d), None above 15 variables. log_total: of
    the sum of exp(score) over all DAGs. error: the relative difference of two computations of that sum.
    """

    scores: np.ndarray
    offsets: np.ndarray
    m: np.ndarray
    e: np.ndarray
    bm: np.ndarray
    be: np.ndarray
    edges: np.ndarray
    paths: np.ndarray
    blankets: np.ndarray | None
    log_total: float
    error: float

    @property
    def d(self) -> int:
        return len(self.scores)

    def log_probability(self, parents: np.ndarray) -> np.ndarray:
        """Of DAGs given by their parents as masks, (..., d)."""
        local = [self.scores[y, packed(parents[..., y], y)] + self.offsets[y] for y in range(self.d)]
        return np.sum(local, axis=0) - self.log_total


def family_scores(kernel: Kernel, may: np.ndarray, required: np.ndarray, most: int) -> np.ndarray:
    """(d, 2^(d-1)) scores of every variable and set of parents, minus infinity for those not allowed.

    may, required: bool (d, d), [i, j] for i -> j. most: of parents. Raises ``WhenceError`` (``no_graph``) when no
    family of some variable is allowed.
    """
    d = len(may)
    out = np.empty((d, 1 << (d - 1)))
    into, held = (np.ascontiguousarray(given.T, dtype=np.uint8) for given in (may, required))
    subset_dp.family_scores(kernel, into, held, most, threads(), out)
    if not np.isfinite(out.max(axis=1)).all():
        raise no_graph()
    return out


def no_graph() -> WhenceError:
    return WhenceError("No graph without cycles agrees with the knowledge and the limit of parents.", code="no_graph",
                       hint="Raise max_parents, or require less.")


def best_parents(scores: np.ndarray) -> np.ndarray:
    """Masks (d,) of the parents in the best DAG. Raises ``WhenceError`` (``no_graph``)."""
    parents = np.zeros(len(scores), dtype=np.uint32)
    if not math.isfinite(subset_dp.best_graph(scores, threads(), parents)):
        raise no_graph()
    return parents.astype(np.int64)


def marks_of(parents: np.ndarray) -> np.ndarray:
    """int8 (d, d) marks of the DAG with these parents, given as masks."""
    arrows = (parents[None, :] >> np.arange(len(parents))[:, None] & 1).astype(bool)
    marks = np.zeros(arrows.shape, dtype=np.int8)
    marks[arrows], marks.T[arrows] = ARROW, TAIL
    return marks


def sum_dags(scores: np.ndarray) -> DagSums:
    """The sums, from the scores of all families, from which their maxima are taken. Time 3^d.

    Raises ``WhenceError`` (``no_graph``).
    """
    d, half = scores.shape
    workers = threads()
    offsets = scores.max(axis=1)
    scores -= offsets[:, None]  # in place: of 20 variables they take 84 MB
    m, e = np.empty((d, half)), np.empty((d, half), dtype=np.int32)
    subset_dp.family_sums(scores, workers, m, e)
    zm, bm = np.empty(2 * half), np.empty(2 * half)
    ze, be = np.empty(2 * half, dtype=np.int32), np.empty(2 * half, dtype=np.int32)
    edges, paths, blankets = np.empty((d, d)), np.empty((d, d)), np.empty((d, d))
    subset_dp.dag_sums(m, e, workers, zm, ze)
    if zm[-1] <= 0:
        raise no_graph()
    subset_dp.dag_features(m, e, zm, ze, workers, bm, be, edges, paths)
    if d <= MOST_FOR_BLANKETS:
        subset_dp.dag_blankets(m, e, workers, blankets)
    for table in (edges, paths, blankets):
        np.clip(table, 0.0, 1.0, out=table)
    total = math.log(zm[-1]) + int(ze[-1]) * math.log(2)
    error = abs(bm[0] / zm[-1] * 2.0 ** (int(be[0]) - int(ze[-1])) - 1)
    return DagSums(scores, offsets, m, e, bm, be, edges, paths, blankets if d <= MOST_FOR_BLANKETS else None,
                   float(total + offsets.sum()), float(error))


def draw(sums: DagSums, count: int, seed: int) -> np.ndarray:
    """int64 (count, d): parents, as masks, of independent draws from the posterior.

    Variables come in layers: first those without parents, then those with a parent in the layer before and all
    parents in layers so far. A layer R after the set U weighs the product of its families times the ways to complete
    the rest in which no other variable has all its parents in U, which the superset Moebius transform of
    prod A_r(U) B(U and R) holds. Talvitie, T., Vuoksenmaa, A. and Koivisto, M. (2020). Exact sampling of directed
    acyclic graphs from modular distributions. Uncertainty in Artificial Intelligence 35.
    """
    rng, full = generator(seed, "dags"), (1 << sums.d) - 1
    parents = np.zeros((count, sums.d), dtype=np.int64)
    sets = [unpacked(np.flatnonzero(np.isfinite(row)), y) for y, row in enumerate(sums.scores)]
    waiting = {(0, 0): np.arange(count)}  # (variables placed, those placed before the last layer) -> draws there
    while waiting:
        inside, before = min(waiting, key=lambda state: (state[0].bit_count(), state))
        at = waiting.pop((inside, before))
        outside = members(full & ~inside)
        layers, weights = _layers(sums, inside, before, outside)
        chosen = layers[_pick(weights, rng.random(len(at)))]
        for layer, rows in _groups(chosen, at):
            for v in members(layer):
                parents[rows, v] = _parents(sums, v, sets[v], inside, before, rng.random(len(rows)))
            if inside | layer != full:
                state = inside | layer, inside
                waiting[state] = np.concatenate([waiting.get(state, rows[:0]), rows])
    return parents


def _groups(values: np.ndarray, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for value in np.unique(values):
        yield int(value), rows[values == value]


def _pick(weights: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The index of one entry per uniform number, by weight."""
    edges = np.cumsum(weights)
    return np.minimum(np.searchsorted(edges, at * edges[-1], side="right"), np.flatnonzero(weights)[-1])


def _layers(sums: DagSums, inside: int, before: int, outside: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """All next layers and their weights."""
    product, power, fresh = np.ones(1), np.zeros(1, dtype=np.int64), np.ones(1)
    for v in outside:
        at, old = packed(inside, v), packed(before, v)
        m, e = sums.m[v, at], int(sums.e[v, at])
        share = 1.0
        if inside and m:
            share -= sums.m[v, old] / m * 2.0 ** max(int(sums.e[v, old]) - e, -1100)
        product, power = np.concatenate([product, product * m]), np.concatenate([power, power + e])
        fresh = np.concatenate([fresh, fresh * share])
    layers = subsets(sum(1 << v for v in outside))
    power += sums.be[layers | inside] - int(sums.be[inside])
    weights = np.ldexp(product * sums.bm[layers | inside], np.clip(power, -1000, 60).astype(np.int32))
    for k in range(len(outside)):
        pairs = weights.reshape(-1, 2, 1 << k)
        pairs[:, 0] -= pairs[:, 1]
    weights = np.maximum(weights * fresh, 0.0)
    weights[0] = 0.0
    return layers, weights


def _parents(sums: DagSums, v: int, sets: np.ndarray, inside: int, before: int, at: np.ndarray) -> np.ndarray:
    """Parents of v within ``inside``, one of them at least not in ``before``."""
    fits = sets[(sets & ~inside) == 0]
    if inside:
        fits = fits[(fits & ~before) != 0]
    scores = sums.scores[v, packed(fits, v)]
    return fits[_pick(np.exp(scores - scores.max()), at)]
