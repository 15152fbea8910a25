"""GES: greedy search over classes of graphs, with turns and with the extremely greedy refinement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Remark
from whence.discovery.learned import Learned, constraints
from whence.discovery.scored import SCORE_ASSUMPTIONS, SCORE_PARAMETERS, Scored, learned_dag
from whence.graphs.graph import ARROW, TAIL
from whence.graphs.knowledge import Knowledge
from whence.graphs.orient import extension, meek
from whence.kernels import scores

REFINEMENTS = ("none", "turning", "xges")
_MODES = (*REFINEMENTS, "climb")

CARD = Card(
    name="ges",
    task="discovery",
    title="Greedy equivalence search (GES, XGES)",
    summary="Starts without edges and makes the one change that improves the score most, over and over: an edge "
    "added, taken out or turned round. At the end every edge is taken out once more to see whether the search goes "
    "further from there.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=SCORE_ASSUMPTIONS,
    parameters=(
        *SCORE_PARAMETERS,
        Parameter("refine", "choice", "xges", "'xges': deletes before turns before inserts, then every edge tried "
                  "without; 'turning': forward, backward and turning phase; 'none': forward and backward",
                  choices=REFINEMENTS),
    ),
    output="CPDAG, or MPDAG with knowledge",
    cost="scores are computed once per variable and set of parents; 'xges' repeats the end of the search once per "
    "edge; time grows with the number of cliques among the undirected neighbours of a variable",
    citations=(
        "Chickering, D. M. (2002). Optimal structure identification with greedy search. Journal of Machine Learning "
        "Research 3:507-554.",
        "Hauser, A. and Buhlmann, P. (2012). Characterization and greedy learning of interventional Markov "
        "equivalence classes of directed acyclic graphs. Journal of Machine Learning Research 13:2409-2464.",
        "Nazaret, A. and Blei, D. (2024). Extremely greedy equivalence search. Proceedings of the 40th Conference on "
        "Uncertainty in Artificial Intelligence.",
    ),
    function="whence.discovery.ges:ges",
)


def ges(asked: Scored, knowledge: Knowledge | None, parameters: Mapping[str, Any], seed: int,
        progress: Progress = SILENT) -> Learned:
    """Learns a CPDAG, or with knowledge an MPDAG that agrees with it. Nothing is random: ``seed`` is not used.

    The search starts from the required arrows and moves between classes that have a member that agrees with
    knowledge. Operators: Chickering (2002), theorems 15 and 17; Hauser and Buhlmann (2012), propositions 31 and 34.
    """
    may, required = constraints(asked.names, knowledge)
    progress.begin("classes")
    found = greedy(asked, may, required, parameters["refine"])
    progress.end()
    return learned_dag(asked, found.arrows, may, knowledge, found.remarks,
                       {"steps": found.steps, "edges_tried_without": found.trials})


@dataclass(frozen=True, eq=False)
class Greedy:
    """arrows: bool (d, d), [i, j] for i --> j, of a DAG of the class that agrees with knowledge. steps: operators
    applied. trials: edges tried without."""

    arrows: np.ndarray
    steps: int
    trials: int
    remarks: tuple[Remark, ...]


def greedy(asked: Scored, may: np.ndarray, required: np.ndarray, refine: str, start: np.ndarray | None = None,
           targets: np.ndarray | None = None) -> Greedy:
    """The greedy search from the DAG ``start``, by default the required arrows.

    may, required, start: bool (d, d), [i, j] for i --> j. refine: one of ``REFINEMENTS``, or ``"climb"``: until no
    insert, delete or turn gains, from where it is. targets: bool (m, d), the variables intervened on together, for a
    search among essential graphs under these interventions.
    """
    d = len(may)
    found = np.zeros((d, d), dtype=np.uint8)
    first = required if start is None else start
    into, held, begun = (np.ascontiguousarray(a.T, dtype=np.uint8) for a in (may, required, first))
    given = np.zeros((0, d), dtype=np.uint8) if targets is None else np.ascontiguousarray(targets, dtype=np.uint8)
    steps, trials, cut = scores.ges(asked.score.kernel, into, held, given, begun, _MODES.index(refine), found)
    remarks = () if not cut else (Remark(
        "cliques_cut", "Some variable has so many mutually joined neighbours that not every way to change its edges "
        "was looked at.", ()),)
    return Greedy(_member(found.astype(bool), may), int(steps), int(trials), remarks)


def _member(found: np.ndarray, may: np.ndarray) -> np.ndarray:
    """bool (d, d): the arrows of a DAG of the class ([i, j] for i --> j or i --- j) that has only arrows in ``may``."""
    level = found & found.T
    marks = np.zeros(found.shape, dtype=np.int8)
    marks[found] = ARROW
    marks.T[found & ~level] = TAIL
    marks[level] = TAIL
    known = [(int(i), int(j)) for i, j in np.argwhere(level & may & ~may.T)]
    dag, stuck = extension(meek(marks, known) if known else marks)
    assert dag is not None, stuck
    return (dag == ARROW) & (dag.T == TAIL)
