"""GIES: greedy search over classes of graphs that known interventions tell apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.rng import generator
from whence.discovery.boss import best_order, order_of
from whence.discovery.ges import REFINEMENTS, greedy
from whence.discovery.learned import Learned, constraints
from whence.discovery.scored import SCORE_ASSUMPTIONS, SCORE_PARAMETERS, Scored, learned_dag
from whence.graphs.classes import DAG, MPDAG
from whence.graphs.graph import ARROW, TAIL
from whence.graphs.knowledge import Knowledge
from whence.graphs.orient import class_of, meek

SHAKES = 6
SAME = 1e-6  # a higher score by less than this is rounding

CARD = Card(
    name="gies",
    task="discovery",
    title="Greedy interventional equivalence search (GIES)",
    summary="Learns from rows with and without interventions on known variables: where a variable was set nothing is "
    "said of its causes, and every edge between a variable that was set and one that was not gets its direction.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        *SCORE_ASSUMPTIONS,
        "An intervention sets its variables whatever their causes are, and acts on others only through them.",
        "Apart from the variables that were set, all rows come from the same mechanisms.",
    ),
    parameters=(
        Parameter("targets", "str", None, "the column that names the variables intervened on in each row, several with "
                  "commas between, empty for none; None: no row has an intervention", optional=True),
        Parameter("levels", "str", None, "what other values of that column mean, as 'drug A = raf, mek; control ='; "
                  "None: its values are names of columns", optional=True),
        *SCORE_PARAMETERS,
        Parameter("refine", "choice", "xges", "'xges': deletes before turns before inserts, then every edge tried "
                  "without; 'turning': forward, backward and turning phase; 'none': forward and backward",
                  choices=REFINEMENTS),
        Parameter("orders", "bool", True, "whether the order of the graph found is then improved as by 'boss', and the "
                  "search goes on from there where that ends higher"),
    ),
    output="MPDAG: the essential graph under the interventions",
    cost="as greedy equivalence search; the data are kept once for each set of variables with the same rows",
    citations=(
        "Hauser, A. and Buhlmann, P. (2012). Characterization and greedy learning of interventional Markov "
        "equivalence classes of directed acyclic graphs. Journal of Machine Learning Research 13:2409-2464.",
        "Hauser, A. and Buhlmann, P. (2015). Jointly interventional and observational data: estimation of "
        "interventional Markov equivalence classes of directed acyclic graphs. Journal of the Royal Statistical "
        "Society B 77:291-318.",
        "Cooper, G. F. and Yoo, C. (1999). Causal discovery from a mixture of experimental and observational data. "
        "Proceedings of the 15th Conference on Uncertainty in Artificial Intelligence.",
        "Wang, Y., Solus, L., Yang, K. and Uhler, C. (2017). Permutation-based causal inference algorithms with "
        "interventions. Advances in Neural Information Processing Systems 30.",
        "Nazaret, A. and Blei, D. (2024). Extremely greedy equivalence search. Proceedings of the 40th Conference on "
        "Uncertainty in Artificial Intelligence.",
    ),
    function="whence.discovery.gies:gies",
)


def gies(asked: Scored, knowledge: Knowledge | None, parameters: Mapping[str, Any], seed: int,
         progress: Progress = SILENT) -> Learned:
    """Learns the essential graph under the interventions, with knowledge narrowed by it.

    The search of ``ges`` among essential graphs (Hauser and Buhlmann 2012, section 4). By itself it can miss the truth
    however many rows there are (Wang et al. 2017); with ``orders`` the variables are then moved in the order of what it
    found: an order in which causes come first scores highest with many rows, and gives the true class.
    """
    names = asked.names
    may, required = constraints(names, knowledge)
    family = np.array([[n in target for n in names] for target, _ in asked.targets], dtype=bool)
    progress.begin("classes")
    found = greedy(asked, may, required, parameters["refine"], targets=family)
    progress.end()
    details = {"steps": found.steps, "edges_tried_without": found.trials,
               "rows_by_target": {", ".join(target): n for target, n in asked.targets}}
    learned = learned_dag(asked, found.arrows, may, knowledge, found.remarks, details)
    if parameters["orders"]:
        progress.begin("orders")
        _, start = best_order(asked, may, required, order_of(found.arrows), SHAKES, generator(seed, "shake", "0"))
        other = greedy(asked, may, required, "climb", start=start.astype(bool), targets=family)
        again = learned_dag(asked, other.arrows, may, knowledge, other.remarks, details)
        progress.end()
        if (again.score or 0.0) > (learned.score or 0.0) + SAME:
            found, learned = other, again
    return replace(learned, graph=MPDAG(names, _essential(found.arrows, cut_by(family), may)))


def essential_graph(dag: DAG, targets: Iterable[Iterable[str]]) -> MPDAG:
    """The DAGs that no distribution under the interventions ``targets`` (sets of nodes) tells from ``dag``.

    Beside its v-structures every arrow stands of which a target has exactly one end, and what follows from these
    (Hauser and Buhlmann 2012, theorem 10).
    """
    family = np.array([[n in set(target) for n in dag.names] for target in targets], dtype=bool)
    arrows = (dag.marks == ARROW) & (dag.marks.T == TAIL)
    everything = ~np.eye(len(dag), dtype=bool)
    return MPDAG(dag.names, _essential(arrows, cut_by(family.reshape(-1, len(dag))), everything))


def cut_by(family: np.ndarray) -> np.ndarray:
    """bool (d, d): the pairs of which some set has exactly one. family: bool (m, d), a row per set."""
    return (family[:, :, None] != family[:, None, :]).any(axis=0)


def _essential(arrows: np.ndarray, cut: np.ndarray, may: np.ndarray) -> np.ndarray:
    """The marks of the class of a DAG ([i, j] for i --> j), with what interventions and knowledge orient."""
    marks = np.zeros(arrows.shape, dtype=np.int8)
    marks[arrows] = ARROW
    marks.T[arrows] = TAIL
    found = class_of(marks)
    level = (found == TAIL) & (found.T == TAIL)
    known = level & arrows & (cut | (may & ~may.T))
    return meek(found, [(int(i), int(j)) for i, j in np.argwhere(known)])
