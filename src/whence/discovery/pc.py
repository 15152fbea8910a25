"""PC-stable: a class of causal graphs from conditional independence tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Remark
from whence.discovery.evidence import STATUSES, Status, TripleTable, pair_index
from whence.discovery.false_discovery import control_false_edges
from whence.discovery.independence import Tests
from whence.discovery.learned import Learned, class_under, constraints
from whence.discovery.orientation import break_cycles, fit_dag, judge_triples, triple_evidence
from whence.discovery.skeleton import Skeleton, skeleton
from whence.graphs.knowledge import Knowledge

CARD = Card(
    name="pc",
    task="discovery",
    title="PC-stable",
    summary="Removes the edge of every pair that some conditioning set makes independent, then orients what "
    "the independences determine. The answer does not depend on the order of the columns.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "No unmeasured variable causes two measured ones.",
        "Causes do not run in circles.",
        "Every independence in the population follows from the graph (faithfulness).",
        "The independence test fits the data: linear Gaussian for numbers, stratified counts for categories.",
    ),
    parameters=(
        Parameter("alpha", "float", 0.01, "level of the tests: a pair is joined unless a test's p-value exceeds it",
                  low=0.0, high=1.0, open_ends=True),
        Parameter("max_conditioning", "int", None, "largest conditioning set; None lets the data and the work "
                  "needed decide", low=0, optional=True),
        Parameter("test", "str", "auto", "the card of the independence test, such as 'fisher_z', 'chi2' or 'gcm'; "
                  "'auto' takes the one that fits the kinds of the columns"),
        Parameter("colliders", "choice", "max_p", "how common effects are told apart: by the largest p-value, by "
                  "most separating sets, or only where all separating sets agree",
                  choices=("max_p", "majority", "conservative")),
        Parameter("fdr", "float", None, "largest expected share of false edges among those kept; None for no control "
                  "beyond alpha", low=0.0, high=1.0, open_ends=True, optional=True),
        Parameter("missing", "choice", "testwise", "what to do about missing values: each test on the rows that have "
                  "its variables, or that corrected for columns whose values decide whether others are missing (MVPC, "
                  "numbers only)", choices=("testwise", "mvpc")),
        Parameter("stability", "int", 0, "bootstrap samples that show how often each edge is found; 0 for none",
                  low=0, high=100_000),
        Parameter("alpha_path", "bool", False, "whether to learn at other levels of the tests too, and show over which "
                  "of them each edge holds"),
    ),
    output="CPDAG, or MPDAG with knowledge",
    cost="grows with the number of pairs, and exponentially with the number of neighbours of a node",
    citations=(
        "Spirtes, P., Glymour, C. and Scheines, R. (2000). Causation, Prediction, and Search. MIT Press.",
        "Colombo, D. and Maathuis, M. H. (2014). Order-independent constraint-based causal structure learning. "
        "Journal of Machine Learning Research 15:3921-3962.",
        "Ramsey, J. (2016). Improving accuracy and scalability of the PC algorithm by maximizing p-value. "
        "arXiv:1610.00378.",
        "Li, J. and Wang, Z. J. (2009). Controlling the false discovery rate of the association/causality structure "
        "learned with the PC algorithm. Journal of Machine Learning Research 10:475-514.",
        "Ramsey, J., Zhang, J. and Spirtes, P. (2006). Adjacency-faithfulness and conservative causal inference. "
        "Uncertainty in Artificial Intelligence 22:401-408.",
        "Tu, R., Zhang, C., Ackermann, P., Mohan, K., Kjellström, H. and Zhang, K. (2019). Causal discovery in the "
        "presence of missing data. Proceedings of Machine Learning Research 89:1762-1770.",
        "Dor, D. and Tarsi, M. (1992). A simple algorithm to construct a consistent extension of a partially "
        "oriented graph. Technical report R-185, UCLA.",
    ),
    function="whence.discovery.pc:pc",
)


def pc(
    tests: Tests, names: tuple[str, ...], knowledge: Knowledge | None, parameters: Mapping[str, Any],
    progress: Progress = SILENT,
) -> Learned:
    """Learns a CPDAG, or with knowledge an MPDAG that agrees with it.

    tests: about the nodes ``names``, which must be sorted. When the tests contradict each other, so that no DAG
    follows all their verdicts on colliders, the weakest give way (``fit_dag``); each is in ``triples`` as
    ``"overruled"``.
    """
    alpha = parameters["alpha"]
    may, required = constraints(names, knowledge)
    found = skeleton(tests, names, may, required, alpha, parameters["max_conditioning"], progress)
    if parameters["fdr"] is not None:
        found, alpha = control_false_edges(found, required, alpha, parameters["fdr"])
    adjacent, broken = break_cycles(found.adjacent, may, required, found.evidence)
    found = _without(found, adjacent, broken)
    rule = parameters["colliders"]
    triples = judge_triples(found, tests, may, alpha, progress, rule)
    fit = fit_dag(adjacent, triples, may)
    told = triple_evidence(names, triples, fit)
    remarks = (*found.remarks, *about_colliders(told, rule, triples.largest, found.depth))
    return Learned(class_under(names, fit.marks, may, knowledge), found.evidence, told, remarks)


def _without(found: Skeleton, adjacent: np.ndarray, broken: list[tuple[int, int]]) -> Skeleton:
    """The skeleton without the edges that forced directions could not keep, with a remark for each."""
    if not broken:
        return found
    names, evidence = found.names, found.evidence
    i, j = np.triu_indices(len(names), 1)
    by_knowledge = evidence.by_knowledge.copy()
    remarks = list(found.remarks)
    for a, b in broken:
        by_knowledge[pair_index(len(names), a, b)] = True
        text = (
            f"The data join {names[a]} and {names[b]}, but the directions that knowledge leaves would then make "
            "a cycle. The edge was taken away."
        )
        remarks.append(Remark("knowledge_cycle", text, (names[a], names[b])))
    evidence = replace(evidence, present=adjacent[i, j], by_knowledge=by_knowledge)
    return Skeleton(names, adjacent, evidence, found.depth, tuple(remarks))


_SENTENCES: dict[Status, str] = {
    "ambiguous": "the tests do not agree whether {b} is a common effect of {a} and {c}; {decided}",
    "overruled": "the tests' verdict on {b} between {a} and {c} gave way to stronger evidence that contradicts it",
}
_DECIDED = {
    "max_p": "the largest p-value decided",
    "majority": "the largest p-value decided where the other verdicts left room",
    "conservative": "the largest p-value decided where the other verdicts left room",
}


def about_colliders(told: TripleTable, rule: str, largest: int, depth: int) -> list[Remark]:
    """A remark when sets were left out, one for the ambiguous triples and one for the overruled ones."""
    out = []
    if largest < depth:
        text = (
            f"Directions rest on conditioning sets of at most {largest} variables; larger ones, which the edges "
            "rest on, would need too many tests."
        )
        out.append(Remark("collider_search_cut", text, (), {"size": largest, "depth": depth}))
    for status, sentence in _SENTENCES.items():
        chosen = told.nodes[told.status == STATUSES.index(status)]
        if len(chosen):
            named = [[told.names[v] for v in abc] for abc in chosen[:50].tolist()]
            first = sentence.format(**dict(zip("abc", named[0], strict=True)), decided=_DECIDED[rule])
            more = f" (and {len(chosen) - 1} more like it)" if len(chosen) > 1 else ""
            about = tuple(told.names[v] for v in np.unique(chosen))
            evidence = {"triples": named, "count": len(chosen)}
            out.append(Remark(f"{status}_orientation", f"{first[0].upper()}{first[1:]}{more}.", about, evidence))
    return out
