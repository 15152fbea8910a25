"""FCI: a class of causal graphs from independence tests where unmeasured causes are allowed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.result import Remark
from whence.discovery.ancestral_knowledge import Held
from whence.discovery.ancestral_orientation import Oriented, judged, orient, start
from whence.discovery.independence import Tests
from whence.discovery.learned import Learned
from whence.discovery.orientation import Triples
from whence.discovery.pc import about_colliders
from whence.discovery.possible_dsep import remove_links
from whence.discovery.separations import Separations
from whence.discovery.skeleton import skeleton
from whence.discovery.verified_colliders import collider_marks, verify
from whence.graphs.classes import PAG
from whence.graphs.knowledge import Knowledge
from whence.graphs.zhang import zhang

ASSUMPTIONS = (
    "Causes do not run in circles.",
    "Every independence in the population follows from the graph (faithfulness).",
    "The independence test fits the data: linear Gaussian for numbers, stratified counts for categories.",
    "Unless selection is allowed: whether a row was seen did not depend on what the columns hold.",
)
ALPHA = Parameter("alpha", "float", 0.01, "level of the tests: a pair is joined unless a test's p-value exceeds it",
                  low=0.0, high=1.0, open_ends=True)
MAX_CONDITIONING = Parameter("max_conditioning", "int", None, "largest conditioning set; None lets the data and the "
                             "work needed decide", low=0, optional=True)
TEST = Parameter("test", "str", "auto", "the card of the independence test, such as 'fisher_z', 'chi2' or 'gcm'; "
                 "'auto' takes the one that fits the kinds of the columns")
COLLIDERS = Parameter("colliders", "choice", "max_p", "how common effects are told apart: by the largest p-value, by "
                      "most separating sets, or only where all separating sets agree",
                      choices=("max_p", "majority", "conservative"))
MAX_PATH = Parameter("max_path", "int", None, "most edges on the paths along which nodes that may separate a pair are "
                     "looked for; None for any number", low=1, optional=True)
SELECTION = Parameter("selection", "bool", False, "whether the rows may have been selected by an effect of the "
                      "columns; undirected edges are then possible")
STABILITY = Parameter("stability", "int", 0, "bootstrap samples that show how often each edge is found; 0 for none",
                      low=0, high=100_000)
ALPHA_PATH = Parameter("alpha_path", "bool", False, "whether to learn at other levels of the tests too, and show over "
                       "which of them each edge holds")
RULES = ("Zhang, J. (2008). On the completeness of orientation rules for causal discovery in the presence of latent "
         "confounders and selection bias. Artificial Intelligence 172:1873-1896.")

CARD = Card(
    name="fci",
    task="discovery",
    title="Fast causal inference (FCI)",
    summary="Like PC, but unmeasured variables may cause several measured ones. The graph shows which marks all models "
    "that fit share: an arrowhead for \"does not cause\", a tail for \"causes\", a circle where models differ.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=ASSUMPTIONS,
    parameters=(ALPHA, MAX_CONDITIONING, TEST, COLLIDERS, MAX_PATH, SELECTION, STABILITY, ALPHA_PATH),
    output="PAG",
    cost="that of PC, and exponential in the number of nodes along paths of colliders for the few pairs that only such "
    "nodes may separate",
    citations=(
        "Spirtes, P., Glymour, C. and Scheines, R. (2000). Causation, Prediction, and Search. MIT Press.",
        RULES,
        "Colombo, D., Maathuis, M. H., Kalisch, M. and Richardson, T. S. (2012). Learning high-dimensional directed "
        "acyclic graphs with latent and selection variables. Annals of Statistics 40:294-321.",
        "Colombo, D. and Maathuis, M. H. (2014). Order-independent constraint-based causal structure learning. "
        "Journal of Machine Learning Research 15:3921-3962.",
        "Ramsey, J. (2016). Improving accuracy and scalability of the PC algorithm by maximizing p-value. "
        "arXiv:1610.00378.",
        "Dor, D. and Tarsi, M. (1992). A simple algorithm to construct a consistent extension of a partially "
        "oriented graph. Technical report R-185, UCLA.",
    ),
    function="whence.discovery.fci:fci",
)


def fci(
    tests: Tests, names: tuple[str, ...], knowledge: Knowledge | None, parameters: Mapping[str, Any],
    progress: Progress = SILENT,
) -> Learned:
    """Learns a PAG, with knowledge one whose marks are sharpened by it.

    tests: about the nodes ``names``, which must be sorted. Edges that only sets beyond the neighbours remove are
    looked for where the rules leave room for them (``remove_links``). When no graph has all that the tests say, the
    graph is that of the nearest MAG with the same edges, with the remark ``not_a_pag`` and, in ``triples``, the
    verdicts that were overruled. See ``Held.of`` for what knowledge means here.

    Raises ``WhenceError``: ``contradictory_knowledge``, and ``bad_parameter`` for knowledge with ``selection``.
    """
    held = held_by(names, knowledge, parameters["selection"])
    alpha, largest = parameters["alpha"], parameters["max_conditioning"]
    state, remarks = adjacencies(tests, names, held, alpha, largest, progress)
    verify(state, tests, alpha)
    known = zhang(start(collider_marks(state), held), lambda i, j: None, selection=parameters["selection"])
    remarks += remove_links(state, known, tests, alpha, largest, parameters["max_path"], progress)
    return finish(state, held, tests, parameters, remarks, progress)


def held_by(names: tuple[str, ...], knowledge: Knowledge | None, selection: bool) -> Held:
    """What knowledge holds; tails and arrowheads that it implies need rows that were not selected."""
    if knowledge and selection:
        raise WhenceError(
            "Knowledge about causes says nothing about marks when rows may have been selected.", code="bad_parameter",
            value=True, allowed=(False,), hint="Leave selection=False, or learn without knowledge.",
        )
    return Held.of(names, knowledge)


def adjacencies(
    tests: Tests, names: tuple[str, ...], held: Held, alpha: float, largest: int | None, progress: Progress
) -> tuple[Separations, list[Remark]]:
    """What sets of neighbours leave joined. Knowledge of direction removes no edge: a hidden cause may be behind it."""
    free = ~np.eye(len(names), dtype=bool)
    found = skeleton(tests, names, free, held.required, alpha, largest, progress)
    return Separations(found, held.required), list(found.remarks)


def finish(
    state: Separations, held: Held, tests: Tests, parameters: Mapping[str, Any], remarks: list[Remark],
    progress: Progress,
) -> Learned:
    """The PAG of a state whose edges stand."""
    rule = parameters["colliders"]
    triples = judged(state, held, tests, parameters["alpha"], progress, rule)
    return learned_pag(state, triples, orient(state, held, triples, parameters["selection"]), rule, remarks)


def learned_pag(
    state: Separations, triples: Triples, done: Oriented, rule: str, remarks: list[Remark]
) -> Learned:
    """The answer, with what there is to say about it."""
    told = (*remarks, *about_colliders(done.triples, rule, triples.largest, state.depth), *done.remarks)
    return Learned(PAG(state.names, done.marks), state.evidence(), done.triples, told)
