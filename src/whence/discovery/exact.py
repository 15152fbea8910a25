"""Exact search: the best-scoring graph of all, by dynamic programming or A* over sets of variables."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.result import Remark
from whence.discovery.dag_sums import MOST_COLUMNS as MOST_FOR_TABLES
from whence.discovery.dag_sums import best_parents, family_scores, marks_of, no_graph
from whence.discovery.learned import Learned, constraints
from whence.discovery.scored import SCORE_ASSUMPTIONS, SCORE_PARAMETERS, Scored, learned_dag
from whence.graphs.bits import closure, ones
from whence.graphs.graph import ARROW
from whence.graphs.knowledge import Knowledge
from whence.kernels.subset_dp_ref import unpacked
from whence.stats.score.score import Kernel

MOST_COLUMNS, MOST_STATES = 30, 1_000_000
FULL_TABLES = 15  # columns up to which every set of parents is scored
Sets = list[list[tuple[float, int]]]  # per variable: score and parents as a mask, best first

CARD = Card(
    name="exact",
    task="discovery",
    title="Exact score search (dynamic programming, A*)",
    summary="Finds a graph that no other beats in score, for up to 30 columns; the larger ones must be sparse.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=SCORE_ASSUMPTIONS,
    parameters=(
        *SCORE_PARAMETERS,
        Parameter("max_parents", "int", None, "the most parents a variable may have; None is no limit up to 15 "
                  "columns, 6 up to 20 and 4 above", low=0, high=MOST_COLUMNS, optional=True),
        Parameter("search", "choice", "auto", "'dp' fills a table of all sets of up to 20 variables; 'astar' visits as "
                  "few sets as it can; 'auto' takes the table up to 18", choices=("auto", "dp", "astar")),
    ),
    output="CPDAG, or MPDAG with knowledge",
    cost="d 2^d for the table; for A* as many sets as the data leave in play",
    citations=(
        "Silander, T. and Myllymaki, P. (2006). A simple approach for finding the globally optimal Bayesian network "
        "structure. Uncertainty in Artificial Intelligence 22:445-452.",
        "Yuan, C. and Malone, B. (2013). Learning optimal Bayesian networks: a shortest path perspective. Journal of "
        "Artificial Intelligence Research 48:23-65.",
        "Fan, X., Malone, B. and Yuan, C. (2014). Finding optimal Bayesian network structures with constraints learned "
        "from data. Uncertainty in Artificial Intelligence 30:200-209.",
    ),
    function="whence.discovery.exact:exact",
)


def exact(asked: Scored, knowledge: Knowledge | None, parameters: Mapping[str, Any], seed: int,
          progress: Progress = SILENT) -> Learned:
    """Learns the class of the best-scoring DAG; both ways give a graph of the same score.

    Raises ``WhenceError``: ``too_many_columns``, ``no_graph``, and ``too_hard`` when A* meets more than a million sets
    of variables.
    """
    d = len(asked.names)
    most = FULL_TABLES - 1 if d <= FULL_TABLES else 6 if d <= MOST_FOR_TABLES else 4
    most = min(d - 1, most if parameters["max_parents"] is None else parameters["max_parents"])
    search = parameters["search"]
    search = ("dp" if d <= 18 else "astar") if search == "auto" else search
    limit = MOST_FOR_TABLES if search == "dp" else MOST_COLUMNS
    if d > limit:
        raise WhenceError(f"There are {d} columns; exact search takes up to {limit}.", code="too_many_columns", value=d,
                          allowed=f"at most {limit}", hint="Method 'boss' comes close for any number of columns.")
    may, required = constraints(asked.names, knowledge)
    progress.begin("exact search")
    details: dict[str, Any] = {"search": search, "max_parents": most}
    if search == "dp":
        parents = best_parents(family_scores(asked.score.kernel, may, required, most))
    else:
        sets = useful_sets(asked.score.kernel, may, required, most)
        parents, details["states"] = shortest_path(sets)
        details["useful_sets"] = sum(map(len, sets))
    progress.end()
    remarks = ()
    if most < d - 1 and parameters["max_parents"] is None:
        text = f"With {d} columns, graphs with more than {most} parents of one variable were left out."
        remarks = (Remark("parents_limited", text, (), {"max_parents": most}),)
    return learned_dag(asked, marks_of(parents) == ARROW, may, knowledge, remarks, details)


def useful_sets(kernel: Kernel, may: np.ndarray, required: np.ndarray, most: int) -> Sets:
    """The sets of parents that score higher than each of their subsets; no other can be in a best graph.

    may, required: bool (d, d), [i, j] for i -> j. Raises ``WhenceError`` (``no_graph``).
    """
    d = len(may)
    if d > MOST_FOR_TABLES:
        found = [_level_by_level(kernel, y, may[:, y], required[:, y], most) for y in range(d)]
    else:
        scores = family_scores(kernel, may, required, most)
        found = [_not_dominated(scores[y], y) for y in range(d)]
    if not all(found):
        raise no_graph()
    return [sorted(sets, key=lambda pair: (-pair[0], pair[1].bit_count(), pair[1])) for sets in found]


def _not_dominated(scores: np.ndarray, y: int) -> list[tuple[float, int]]:
    best, proper, numbers = scores.copy(), np.full(len(scores), -math.inf), np.arange(len(scores))
    bits = range(len(scores).bit_length() - 1)
    for b in bits:
        with_b = (numbers >> b & 1) > 0
        best[with_b] = np.maximum(best[with_b], best[~with_b])
    for b in bits:
        with_b = (numbers >> b & 1) > 0
        proper[with_b] = np.maximum(proper[with_b], best[~with_b])
    kept = np.flatnonzero(scores > proper)
    return list(zip(scores[kept].tolist(), unpacked(kept, y).tolist(), strict=True))


def _level_by_level(kernel: Kernel, y: int, may: np.ndarray, required: np.ndarray, most: int
                    ) -> list[tuple[float, int]]:
    held = sum(1 << int(z) for z in np.flatnonzero(required))
    free = [int(z) for z in np.flatnonzero(may & ~required)]
    out, smaller = [], {held: -math.inf}
    for k in range(most - held.bit_count() + 1):
        best: dict[int, float] = {}
        for chosen in itertools.combinations(free, k):
            of = held | sum(1 << z for z in chosen)
            value = kernel.local(y, np.array(ones(of), dtype=np.int32))
            below = max((smaller[of & ~(1 << z)] for z in chosen), default=-math.inf)
            if value > below:
                out.append((value, of))
            best[of] = max(value, below)
        smaller = best
    return out


def shortest_path(sets: Sets) -> tuple[np.ndarray, int]:
    """Parents, as masks (d,), of the best DAG with families from ``sets``, and how many sets of variables were met.

    Fan, Malone and Yuan (2014), section 3: variables that cannot be upstream of each other are placed apart, one
    strongly connected component of the graph of possible parents after the other.
    """
    d = len(sets)
    possible = [0] * d
    for y, options in enumerate(sets):
        for _, of in options:
            possible[y] |= of
    above = [closure(possible, 1 << y) for y in range(d)]
    parents, met, placed = np.zeros(d, dtype=np.int64), 0, 0
    for y in sorted(range(d), key=lambda y: (above[y].bit_count(), y)):
        if placed >> y & 1:
            continue
        component = [z for z in ones(above[y]) if above[z] >> y & 1]
        met += _order_component(sets, component, placed, parents, met)
        placed |= sum(1 << z for z in component)
    return parents, met


def _best_within(options: list[tuple[float, int]], inside: int) -> tuple[float, int] | None:
    return next(((score, of) for score, of in options if not of & ~inside), None)


def _order_component(sets: Sets, component: list[int], placed: int, parents: np.ndarray, met: int) -> int:
    """A* of Yuan and Malone (2013), algorithm 1: each variable joins the sets before it with its best parents among
    them. The bound lets the variables left choose among all: it never exceeds what can be reached."""
    goal = placed | sum(1 << v for v in component)
    bound = {v: best[0] for v in component if (best := _best_within(sets[v], goal & ~(1 << v))) is not None}
    if len(bound) < len(component):
        raise no_graph()
    value, came = {placed: 0.0}, {placed: (-1, 0)}
    heap, done = [(-sum(bound.values()), placed)], set[int]()
    while heap:
        estimate, inside = heapq.heappop(heap)
        if inside in done:
            continue
        done.add(inside)
        if inside == goal:
            break
        for v in component:
            if inside >> v & 1 or (best := _best_within(sets[v], inside)) is None:
                continue
            larger, total = inside | 1 << v, value[inside] + best[0]
            if total > value.get(larger, -math.inf):
                value[larger], came[larger] = total, (v, best[1])
                heapq.heappush(heap, (estimate + bound[v] - best[0], larger))
        if met + len(value) > MOST_STATES:
            raise WhenceError(
                f"More than {MOST_STATES:,} sets of variables are in play: the data leave no sparse graph.",
                code="too_hard", value=len(sets), allowed=f"at most {MOST_STATES:,} sets",
                hint="Lower max_parents, raise penalty, or use method 'boss'.",
            )
    if goal not in done:
        raise no_graph()
    inside = goal
    while inside != placed:
        v, of = came[inside]
        parents[v] = of
        inside &= ~(1 << v)
    return len(value)
