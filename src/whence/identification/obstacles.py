"""Why an effect is not identified by adjustment: the witness, the sentence and what would help."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from whence.core.errors import WhenceError
from whence.graphs.bits import Bits, ones
from whence.graphs.classes import MAG, PAG
from whence.graphs.graph import Graph, edge_text
from whence.identification.adjustment import Problem
from whence.identification.reasons import joined, named_path, path_text

UNTRIED = " Other routes, such as the front door or an instrument, have not been tried."


@dataclass(frozen=True)
class Obstacle:
    """code: stable identifier. reason, remedy: sentences. witness: JSON-ready."""

    code: str
    reason: str
    remedy: str
    witness: dict[str, Any]


def undecided(bits: Bits, treatment: Sequence[str], outcome: Sequence[str], path: Sequence[int],
              hidden: bool) -> Obstacle:
    """A possibly causal path starts with an undirected edge: the members of the class disagree.

    hidden: whether the graph has hidden nodes; without them no other method could identify the effect
    either (Perkovic 2020).
    """
    steps = tuple(
        (bits.names[a], "-->" if bits.children[a] >> b & 1 else "---", bits.names[b])
        for a, b in pairwise(path)
    )
    a, b = steps[0][0], steps[0][2]
    end = ("Whether another method could identify it has not been tried." if hidden else
           "No method can identify it from this class alone.")
    return Obstacle(
        "undecided_edge",
        f"The effect of {joined(treatment)} on {joined(outcome)} is not identified by covariate adjustment: the edge "
        f"{a} --- {b} may point either way, and the path {path_text(steps)} is causal in some of the graphs of "
        f"the class and not in others, so they give different effects. {end}",
        f"Decide the direction of {a} --- {b}, for example from the order in time or from an experiment, and ask "
        "again with that knowledge.",
        {"kind": "undecided_edge", "edge": [a, "---", b], "path": [list(s) for s in steps]},
    )


def unsure(graph: Graph, treatment: Sequence[str], outcome: Sequence[str], path: Sequence[int]) -> Obstacle:
    """A possibly causal path of a MAG or PAG starts with an edge that is undecided or may hide a common cause."""
    names = graph.bits.names
    steps = tuple((names[a], _between(graph, names[a], names[b]), names[b]) for a, b in pairwise(path))
    a, edge, b = steps[0]
    first, decided = f"{a} {edge} {b}", edge == "-->"
    if decided:
        why = (f"nothing in the graph rules out a hidden common cause of {a} and {b} behind {first}, so what follows "
               f"the path {path_text(steps)} may mix with it.")
        remedy = (f"A measured cause of {a} without an edge to {b} would rule the hidden common cause out. Where it is "
                  "known that there is none, draw the graph as a DAG or an ADMG, in which each hidden cause is shown.")
    else:
        why = (f"the graph leaves open whether {a} affects {b} ({first}), and the path {path_text(steps)} is causal in "
               "some of the graphs of the class and not in others, so they give different effects.")
        remedy = (f"Decide what {first} is, for example from the order in time or from an experiment, and ask again "
                  "with a graph that shows it: a MAG, an ADMG or a DAG.")
    code = "invisible_edge" if decided else "undecided_edge"
    return Obstacle(
        code,
        f"The effect of {joined(treatment)} on {joined(outcome)} is not identified by covariate adjustment: {why} "
        "Whether another method could identify it has not been tried.", remedy,
        {"kind": code, "edge": [a, edge, b], "path": [list(s) for s in steps]},
    )


def _between(graph: Graph, a: str, b: str) -> str:
    i, j = graph.position(a), graph.position(b)
    return edge_text(int(graph.marks[j, i]), int(graph.marks[i, j]))


def no_member(error: WhenceError, treatment: Sequence[str], outcome: Sequence[str]) -> Obstacle:
    """The PAG is the class of no MAG, so there is nothing that an answer could be true of."""
    return Obstacle(
        "not_a_pag", f"Whether the effect of {joined(treatment)} on {joined(outcome)} is identified cannot be said. "
        f"{error.message}", "A graph learned from data can contradict itself in this way: more data, other thresholds "
        "or knowledge about the order of the nodes may mend it.", {"kind": "not_a_pag", "at": error.value},
    )


def unblocked(problem: Problem, graph: Graph, treatment: Sequence[str], outcome: Sequence[str]) -> Obstacle:
    """No measured set blocks all non-causal paths; the witness stays open given all that may be adjusted for.

    In a PAG the path is drawn as in one MAG of the class, ``member`` in the witness; one stays open in each.
    """
    names = graph.bits.names
    path = problem.open_path(problem.largest)
    steps = named_path(problem, names, path)
    usable = [names[k] for k in ones(problem.largest)]
    even = f"even given {joined(usable)}, " if usable else ""
    drawn = {"member": graph.member.to_dict()["edges"]} if isinstance(graph, PAG) else {}
    where = " (drawn as in one graph of the class)" if drawn else ""
    return Obstacle(
        "open_path",
        f"The effect of {joined(treatment)} on {joined(outcome)} is not identified by covariate adjustment: no set of "
        f"measured nodes blocks every non-causal path; {even}{path_text(steps)} stays open{where}.{UNTRIED}",
        _remedy(problem, names, path, "could" if isinstance(graph, (MAG, PAG)) else "would"),
        {"kind": "open_path", "path": [list(s) for s in steps], "adjusted": usable} | drawn,
    )


def _remedy(problem: Problem, names: Sequence[str], path: Sequence[int], surely: str) -> str:
    helpful = _fewest(problem, path)
    if helpful is None:
        return ("Measuring hidden nodes would not make adjustment work: some node is at once a confounder of one "
                "treatment and an effect of another. A formula for treatments over time would be needed.")
    said = [_hidden_name(problem, names, k) for k in helpful]
    return f"Measuring {joined(said)} {surely} make covariate adjustment possible."


def _fewest(problem: Problem, path: Sequence[int]) -> list[int] | None:
    """Hidden nodes whose measurement suffices: a single one if possible, else a set without a spare member.

    A single one must lie on the open path, since it has to block it.
    """
    hidden = ~problem.measured & (1 << len(problem.parents)) - 1
    for k in path:
        if hidden >> k & 1 and problem.adjustable_with(1 << k):
            return [k]
    whole = dataclasses.replace(problem, measured=problem.measured | hidden).nearest()
    if whole is None:
        return None
    needed = whole & hidden
    for k in ones(needed):
        if problem.adjustable_with(needed & ~(1 << k)):
            needed &= ~(1 << k)
    return ones(needed)


def _hidden_name(problem: Problem, names: Sequence[str], k: int) -> str:
    if k < len(names):
        return names[k]
    return f"the hidden common cause of {joined([names[v] for v in ones(problem.children[k])])}"
