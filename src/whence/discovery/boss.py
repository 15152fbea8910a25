"""BOSS: the best order of the variables, and the graph that the order and the data give."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.executor import map_in_order
from whence.core.progress import SILENT, Progress
from whence.core.rng import generator
from whence.discovery.ges import Greedy, greedy
from whence.discovery.independence import threads
from whence.discovery.learned import Learned, constraints
from whence.discovery.orientation import reaches
from whence.discovery.parent_beam import score_of, with_better_parents
from whence.discovery.scored import SCORE_ASSUMPTIONS, SCORE_PARAMETERS, Scored, learned_dag
from whence.graphs.knowledge import Knowledge
from whence.kernels import scores

SWEEPS = 1000
_SAME = 1e-6  # a higher score by less than this is rounding

CARD = Card(
    name="boss",
    task="discovery",
    title="Best order score search (BOSS)",
    summary="Puts the variables in the order from which the data are explained best, by moving one at a time; each "
    "variable's causes are then chosen among those before it. Among the most accurate searches for linear and discrete "
    "data.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=SCORE_ASSUMPTIONS,
    parameters=(
        *SCORE_PARAMETERS,
        Parameter("starts", "int", 2, "orders to start from, that of a greedy search and then random ones; the best "
                  "end counts", low=1, high=1000),
        Parameter("shakes", "int", 6, "after each start, how often the best order is disturbed and improved again",
                  low=0, high=100_000),
    ),
    output="CPDAG, or MPDAG with knowledge",
    cost="each sweep looks at d^2 places, most of them remembered; scores are computed once per variable and set of "
    "earlier variables that matter",
    citations=(
        "Andrews, B., Ramsey, J., Sanchez-Romero, R., Camchong, J. and Kummerfeld, E. (2023). Fast scalable and "
        "accurate discovery of DAGs using the best order score search and grow-shrink trees. Advances in Neural "
        "Information Processing Systems 36.",
        "Chickering, D. M. (2002). Optimal structure identification with greedy search. Journal of Machine Learning "
        "Research 3:507-554.",
    ),
    function="whence.discovery.boss:boss",
)


def boss(asked: Scored, knowledge: Knowledge | None, parameters: Mapping[str, Any], seed: int,
         progress: Progress = SILENT) -> Learned:
    """Learns a CPDAG, or with knowledge an MPDAG that agrees with it.

    Andrews et al. (2023), algorithms 1 to 5, from the order that a greedy equivalence search gives and from random
    ones; each end is then disturbed ``shakes`` times (iterated local search), which finds the best order sooner than
    fresh starts do. From the best end edges are taken out, turned and added as long as one change of the class gains
    (the paper's backward search, and inserts): where every dependence outweighs its price and no independence does,
    only the true class is left (Chickering 2002, lemmas 9 and 10). With fewer rows a variable may have better parents
    as a whole, which ``with_better_parents`` looks for. Required arrows are parents that never leave; a variable never
    passes one that must come before or after it. Starts share the processors and do not see each other: the answer is
    the same for any number of threads.
    """
    names = asked.names
    may, required = constraints(names, knowledge)

    def search(start: int) -> tuple[float, np.ndarray]:
        order = _shuffled(seed, start, names) if start else order_of(greedy(asked, may, required, "turning").arrows)
        return best_order(asked, may, required, order, parameters["shakes"], generator(seed, "shake", str(start)))

    with ThreadPoolExecutor(min(threads(), parameters["starts"])) as pool:
        ends = map_in_order(search, range(parameters["starts"]), executor=pool, progress=progress, label="orders")
    best = 0
    for k in range(1, len(ends)):
        if ends[k][0] > ends[best][0] + _SAME:
            best = k
    agreeing = sum(abs(total - ends[best][0]) <= _SAME * max(1.0, abs(total)) for total, _ in ends)
    total, arrows = ends[best]
    closed = _closed(asked, arrows.astype(bool), may, required)
    details = {"starts": len(ends), "starts_at_best": int(agreeing), "steps_at_end": closed.steps}
    learned = learned_dag(asked, closed.arrows, may, knowledge, closed.remarks, details)
    if learned.score is not None and learned.score < total - _SAME * max(1.0, abs(total)):
        # The score gives members of a class different values: what improved one made another worse.
        return learned_dag(asked, arrows, may, knowledge, (), details | {"steps_at_end": 0})
    return learned


def _closed(asked: Scored, arrows: np.ndarray, may: np.ndarray, required: np.ndarray) -> Greedy:
    """From a DAG ([i, j] for i --> j) single changes of the class, and better parents as a whole, while they gain."""
    kernel, steps = asked.score.kernel, 0
    closed = greedy(asked, may, required, "climb", start=arrows)
    while True:
        steps += closed.steps
        better = with_better_parents(kernel, closed.arrows, may, required)
        if (better == closed.arrows).all():
            return replace(closed, steps=steps)
        again = greedy(asked, may, required, "climb", start=better)
        if score_of(kernel, again.arrows) <= score_of(kernel, closed.arrows) + _SAME:
            return replace(closed, steps=steps)
        closed = again


def best_order(asked: Scored, may: np.ndarray, required: np.ndarray, order: np.ndarray, shakes: int,
               rng: np.random.Generator) -> tuple[float, np.ndarray]:
    """The score and the arrows (uint8 (d, d), [i, j] for i --> j) of the best order found from ``order`` (d,)."""
    d = len(order)
    before = np.ascontiguousarray(reaches(required), dtype=np.uint8)
    into, held = (np.ascontiguousarray(a.T, dtype=np.uint8) for a in (may, required))
    moves = rng.integers(0, d, (shakes, 2 if d < 30 else 3, 2), dtype=np.int32)
    order, arrows = _sorted_within(order, before), np.zeros((d, d), dtype=np.uint8)
    total, _ = scores.boss(asked.score.kernel, into, before, held, moves, SWEEPS, order, arrows)
    return total, arrows


def order_of(arrows: np.ndarray) -> np.ndarray:
    """The variables of a DAG, each after its parents; among those that may come next the first by name."""
    left, out = dict.fromkeys(range(len(arrows))), []
    waits = arrows.sum(axis=0)
    while left:
        ready = next(v for v in left if not waits[v])
        del left[ready]
        waits -= arrows[ready]
        out.append(ready)
    return np.array(out, dtype=np.int32)


def _shuffled(seed: int, start: int, names: tuple[str, ...]) -> np.ndarray:
    return generator(seed, "order", str(start)).permutation(len(names)).astype(np.int32)


def _sorted_within(order: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The order, changed so that every variable comes after those that must come before it."""
    if not before.any():
        return order
    left, out = order.tolist(), []
    while left:
        ready = next(v for v in left if not any(before[u, v] for u in left))
        left.remove(ready)
        out.append(ready)
    return np.array(out, dtype=np.int32)
