"""Data without noise for searches: the score of the population, and every small DAG."""

from __future__ import annotations

import itertools

import numpy as np

from whence.discovery.scored import Scored
from whence.graphs.classes import DAG
from whence.graphs.graph import ARROW, TAIL
from whence.kernels.scores import gaussian_score
from whence.simulate.linear import linear_gaussian
from whence.stats.score.score import Score

ROWS = 1e11


def perfect(dag: DAG, seed: int) -> Scored:
    """The score of the population: every dependence outweighs its price, and no independence does."""
    model = linear_gaussian(dag, seed=seed)
    sd = np.sqrt(np.diag(model.covariance))
    d = len(dag)
    kernel = gaussian_score(np.ascontiguousarray(model.covariance / sd[:, None] / sd), -np.arange(d) * 1.0,
                            np.full(d, ROWS / 2), 0.0)
    return Scored(dag.names, Score("population", dag.names, int(ROWS), {}, kernel), ())


def all_dags(d: int) -> list[DAG]:
    """Every DAG over d nodes, up to five."""
    names, found = tuple("abcde"[:d]), {}
    for order in itertools.permutations(range(d)):
        pairs = list(itertools.combinations(order, 2))
        for chosen in itertools.product((False, True), repeat=len(pairs)):
            marks = np.zeros((d, d), dtype=np.int8)
            for (i, j), there in zip(pairs, chosen, strict=True):
                if there:
                    marks[i, j], marks[j, i] = ARROW, TAIL
            found[marks.tobytes()] = marks
    return [DAG(names, marks) for marks in found.values()]
