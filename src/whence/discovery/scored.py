"""The nodes of a score-based search, their score, and the answer made from the DAG it finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.card import Parameter
from whence.core.result import Refused, Remark
from whence.data.table import Table
from whence.discovery.columns import nodes, prepare
from whence.discovery.independence import Tests
from whence.discovery.learned import EdgeScore, EdgeScores, Learned, class_under
from whence.graphs.graph import ARROW, TAIL
from whence.graphs.knowledge import Knowledge
from whence.stats.score.choose import score
from whence.stats.score.score import Score

SCORE_ASSUMPTIONS = (
    "No unmeasured variable causes two measured ones.",
    "Causes do not run in circles.",
    "Every independence in the population follows from the graph (faithfulness).",
    "The score fits the data: linear Gaussian for numbers, multinomial for categories.",
)
SCORE_PARAMETERS = (
    Parameter("score", "str", "auto", "name of a score's card; 'auto' goes by the kinds of the columns"),
    Parameter("penalty", "float", None, "for BIC scores: multiplies log(n) / 2; None is the score's own choice",
              low=0.0, optional=True),
    Parameter("gamma", "float", None, "adds 2 gamma log(d) to the price of an arrow, for d columns; None is the "
              "score's own choice", low=0.0, optional=True),
    Parameter("sample_size", "float", None, "for Bayesian scores: how many rows the prior is worth; None is the "
              "score's own choice", low=0.0, optional=True, open_ends=True),
    Parameter("stability", "int", 0, "bootstrap samples that show how often each edge is found; 0 for none",
              low=0, high=100_000),
)


@dataclass(frozen=True, eq=False)
class Scored:
    """names: the nodes, sorted. score: of graphs over them. remarks: what was left out and what to be wary of. tests:
    about the nodes, for a method that has the parameter ``test`` too. targets: the sets of nodes intervened on
    together, each with its rows, for a method that has the parameter ``targets``; beside: the column they are from;
    within: int (n,), the set of each row."""

    names: tuple[str, ...]
    score: Score
    remarks: tuple[Remark, ...]
    tests: Tests | None = None
    targets: tuple[tuple[tuple[str, ...], int], ...] = ()
    beside: tuple[str, ...] = ()
    within: np.ndarray | None = None


def scored(table: Table, parameters: Mapping[str, Any]) -> Scored | Refused:
    """The nodes of the search and the score of graphs over them, as ``SCORE_PARAMETERS`` ask, and tests where asked.

    Raises ``WhenceError`` as ``whence.stats.score.choose.score`` and ``prepare`` do.
    """
    found = nodes(table)
    if isinstance(found, Refused):
        return found
    given = {key: parameters[key] for key in ("penalty", "gamma", "sample_size")}
    chosen = score(table, found.names, parameters["score"], given)
    remarks = (*found.remarks, *chosen.remarks)
    if "test" not in parameters:
        return Scored(found.names, chosen, remarks)
    prepared = prepare(table, parameters["alpha"], parameters["test"])
    if isinstance(prepared, Refused):
        return prepared
    said = set(map(str, remarks))
    return Scored(found.names, chosen, (*remarks, *(r for r in prepared.remarks if str(r) not in said)), prepared.tests)


def learned_dag(asked: Scored, arrows: np.ndarray, may: np.ndarray, knowledge: Knowledge | None,
                remarks: tuple[Remark, ...] = (), details: Mapping[str, Any] | None = None) -> Learned:
    """The class of the DAG with these arrows ((d, d), [i, j] for i -> j) and what each arrow adds to the score."""
    names, kernel = asked.names, asked.score.kernel
    marks = np.zeros(arrows.shape, dtype=np.int8)
    marks[arrows.astype(bool)] = ARROW
    marks.T[arrows.astype(bool)] = TAIL
    must = set(knowledge.required) if knowledge else set()
    total, rows = 0.0, []
    for y, child in enumerate(names):
        parents = np.flatnonzero(arrows[:, y]).astype(np.int32)
        whole = kernel.local(y, parents)
        total += whole
        for z in parents.tolist():
            loss = whole - kernel.local(y, parents[parents != z])
            a, b = sorted((names[z], child))
            by = "knowledge" if (names[z], child) in must else "score"
            rows.append(EdgeScore(a, b, (names[z], child), loss if np.isfinite(loss) else None, by))
    rows.sort(key=lambda row: (row.a, row.b))
    return Learned(class_under(names, marks, may, knowledge), EdgeScores(tuple(rows)), (), remarks, total,
                   details or {})
