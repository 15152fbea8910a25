"""Exact search: the best-scoring graph of all, by dynamic programming or A* over sets of variables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.result import Remark
from whence.discovery.dag_sums import MOST_COLUMNS as MOST_FOR_TABLES
from whence.discovery.dag_sums import best_parents, family_scores, marks_of, no_graph
from whence.discovery.independence import threads
from whence.discovery.learned import Learned, constraints
from whence.discovery.scored import SCORE_ASSUMPTIONS, SCORE_PARAMETERS, Scored, learned_dag
from whence.graphs.bits import closure, ones
from whence.graphs.graph import ARROW
from whence.graphs.knowledge import Knowledge
from whence.kernels import order_search, scores
from whence.stats.score.score import Kernel

MOST_COLUMNS, MOST_STATES, MOST_SETS = 30, 4_000_000, 10_000_000
FULL_TABLES = 15  # columns up to which every set of parents is scored
SWEEPS = 100
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

    Raises ``WhenceError``: ``too_many_columns``, ``no_graph``, and ``too_hard`` when A* meets more than four million
    sets of variables.
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
    limited = most < d - 1
    if search == "dp":
        parents = best_parents(family_scores(asked.score.kernel, may, required, most))
    else:
        sets, left_out = useful_sets(asked.score.kernel, may, required, most)
        parents, details["states"] = shortest_path(sets, () if required.any() else _near_best(asked.score.kernel, may))
        details |= {"useful_sets": sum(map(len, sets)), "limit_proved_harmless": not left_out}
        limited = left_out
    progress.end()
    remarks = ()
    if limited and parameters["max_parents"] is None:
        text = f"With {d} columns, graphs with more than {most} parents of one variable were left out."
        remarks = (Remark("parents_limited", text, (), {"max_parents": most}),)
    return learned_dag(asked, marks_of(parents) == ARROW, may, knowledge, remarks, details)


def useful_sets(kernel: Kernel, may: np.ndarray, required: np.ndarray, most: int) -> tuple[Sets, bool]:
    """The sets of up to ``most`` parents that score higher than each of their subsets, no other can be in a best graph;
    and whether larger ones were left out that might be.

    may, required: bool (d, d), [i, j] for i -> j. A branch ends where the score is known not to rise any more: for BIC
    where the price exceeds what is left to fit, for BDeu where the parents' combinations do (``Score::ceiling``).
    Raises ``WhenceError`` (``no_graph``; ``too_hard`` for more than ten million sets of one size).
    """
    into, held = (np.ascontiguousarray(given.T, dtype=np.uint8) for given in (may, required))
    values, sets, ended = order_search.useful_sets(kernel, into, held, most, MOST_SETS, threads())
    if not all(sets):
        raise no_graph()
    if min(ended) < most:
        raise WhenceError(f"There are more than {MOST_SETS:,} sets of {min(ended) + 1} parents of one variable.",
                          code="too_hard", value=most, allowed=f"max_parents of at most {min(ended)}",
                          hint="Lower max_parents, or use method 'boss'.")
    ordered = [sorted(zip(v, s, strict=True), key=lambda pair: (-pair[0], pair[1].bit_count(), pair[1]))
               for v, s in zip(values, sets, strict=True)]
    return ordered, min(ended) == most


def shortest_path(sets: Sets, order: Sequence[int] = ()) -> tuple[np.ndarray, int]:
    """Parents, as masks (d,), of the best DAG with families from ``sets``, and how many sets of variables were met.

    Fan, Malone and Yuan (2014), section 3: variables that cannot be upstream of each other are placed apart, one
    strongly connected component of the graph of possible parents after the other. order: of all variables; what is
    worse than the best graph in it is not pursued. Raises ``WhenceError``: ``no_graph``, ``too_hard``.
    """
    d = len(sets)
    possible = [0] * d
    for y, options in enumerate(sets):
        for _, of in options:
            possible[y] |= of
    above = [closure(possible, 1 << y) for y in range(d)]
    values, masks = [[v for v, _ in s] for s in sets], [[m for _, m in s] for s in sets]
    parents, met, placed = np.zeros(d, dtype=np.uint32), 0, 0
    for y in sorted(range(d), key=lambda y: (above[y].bit_count(), y)):
        if placed >> y & 1:
            continue
        component = [z for z in ones(above[y]) if above[z] >> y & 1]
        least = _reached(sets, [z for z in order if z in component], placed)
        states = order_search.best_order(values, masks, component, placed, least, MOST_STATES, parents)
        if not states:
            raise no_graph()
        if states < 0:
            raise WhenceError(
                f"More than {MOST_STATES:,} sets of variables are in play: the data leave no sparse graph.",
                code="too_hard", value=d, allowed=f"at most {MOST_STATES:,} sets",
                hint="Lower max_parents, raise penalty, or use method 'boss'.",
            )
        met += states
        placed |= sum(1 << z for z in component)
    return parents.astype(np.int64), met


def _reached(sets: Sets, order: list[int], placed: int) -> float:
    """A little less than the score of the best graph in which the variables come in this order after ``placed``."""
    total = 0.0 if order else -math.inf
    for v in order:
        total += next((value for value, of in sets[v] if not of & ~placed), -math.inf)
        placed |= 1 << v
    return total - 1e-6 - 1e-9 * abs(total)


def _near_best(kernel: Kernel, may: np.ndarray) -> list[int]:
    """The order that one order search ends at (``boss``)."""
    d = len(may)
    into, none = np.ascontiguousarray(may.T, dtype=np.uint8), np.zeros((d, d), dtype=np.uint8)
    order = np.arange(d, dtype=np.int32)
    scores.boss(kernel, into, none, none, np.zeros((0, 1, 2), dtype=np.int32), SWEEPS, order, none.copy())
    return order.tolist()
