"""From an adjacency graph and separating sets to a valid PAG: verdicts on colliders, rules, and the nearest graph."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from whence.core.errors import WhenceError
from whence.core.progress import Progress
from whence.core.result import Remark
from whence.discovery.ancestral_knowledge import Held
from whence.discovery.evidence import TripleTable
from whence.discovery.fit_mag import class_within, fit_mag
from whence.discovery.independence import Middles, Tests
from whence.discovery.orientation import Fit, Triples, judge_triples, triple_evidence
from whence.discovery.separations import Separations
from whence.graphs.classes import MAG
from whence.graphs.graph import ARROW, CIRCLE, TAIL, edge_text
from whence.graphs.zhang import member_of_pag, zhang

_FLOOR = 1e-300  # p-values below this are compared as if they were this


@dataclass(frozen=True, eq=False)
class Oriented:
    """marks: int8 (d, d), those of a PAG, sharpened by knowledge. triples: the verdicts and what became of them."""

    marks: np.ndarray
    triples: TripleTable
    remarks: tuple[Remark, ...]


def judged(state: Separations, held: Held, tests: Tests, alpha: float, progress: Progress, rule: str) -> Triples:
    """Verdicts on the unshielded triples as in ``judge_triples``, from the separating set itself where no set of
    neighbours separates the ends, and from knowledge where it speaks."""
    free = ~np.eye(len(state.names), dtype=bool)
    triples = judge_triples(state.skeleton(), tests, free, alpha, progress, rule)
    triples = _with_later_sets(state, triples)
    a, b, c = triples.nodes.T
    left, right = held.marks[a, b], held.marks[c, b]
    out, into = (left == TAIL) | (right == TAIL), (left == ARROW) & (right == ARROW)
    forced = out | into
    return replace(triples, collider=np.where(forced, into, triples.collider),
                   weight=np.where(forced, 0, triples.weight), open=triples.open & ~forced, forced=forced)


def _with_later_sets(state: Separations, triples: Triples) -> Triples:
    """The triples whose ends only a later search separated follow the set it found."""
    at = [k for k, (a, _, c) in enumerate(triples.nodes.tolist()) if state.later(a, c)]
    if not at:
        return triples
    separating, p_value = triples.found.separating.copy(), triples.found.p_value.copy()
    collider, weight = triples.collider.copy(), triples.weight.copy()
    ambiguous, unsaid = triples.ambiguous.copy(), triples.open.copy()
    for k in at:
        a, b, c = triples.nodes[k].tolist()
        without = int(b not in state.given(a, c))
        separating[k, without] += 1
        p_value[k, without] = np.fmax(p_value[k, without], state.p_value(a, c))
        logs = np.log(np.fmax(np.nan_to_num(p_value[k], nan=0.0), _FLOOR))
        collider[k], ambiguous[k], unsaid[k] = bool(without), separating[k].min() > 0, False
        weight[k] = 1 + round(1e6 * abs(logs[1] - logs[0]))
    return replace(triples, found=Middles(separating, p_value), collider=collider, weight=weight, ambiguous=ambiguous,
                   open=unsaid)


def start(marks: np.ndarray, held: Held) -> np.ndarray:
    """``marks`` with the ends that knowledge holds."""
    return np.where((marks != 0) & (held.marks != 0), held.marks, marks).astype(np.int8)


def orient(state: Separations, held: Held, triples: Triples, selection: bool) -> Oriented:
    """The colliders, Zhang's rules, and where no graph has all that the tests say, the nearest graph that there is."""
    marks = start(np.where(state.adjacent, CIRCLE, 0), held)
    for a, b, c in triples.nodes[triples.collider & ~triples.forced].tolist():
        marks[a, b] = marks[c, b] = ARROW
    return settle(state, held, triples, zhang(marks, state.separator, selection=selection), selection)


def settle(state: Separations, held: Held, triples: Triples, wanted: np.ndarray, selection: bool) -> Oriented:
    """The PAG of a MAG that has these marks; where none has, that of the nearest one, and what it overrules.

    First the MAG that Zhang's construction makes of the marks is tried: when they are those of a PAG, it is a member.
    """
    mag = None if held else member_of_pag(wanted)
    if mag is None or not is_mag(mag):
        mag = fit_mag(wanted, triples, held)
    marks = class_within(mag, held)
    return Oriented(marks, _told(state, triples, mag), _differences(state, held, wanted, marks))


def is_mag(marks: np.ndarray) -> bool:
    """Whether these are the marks of a maximal ancestral graph."""
    try:
        MAG(tuple(f"{k:09d}" for k in range(len(marks))), marks)
    except WhenceError:
        return False
    return True


def _told(state: Separations, triples: Triples, marks: np.ndarray) -> TripleTable:
    a, b, c = triples.nodes.T
    made = (marks[a, b] == ARROW) & (marks[c, b] == ARROW)
    overruled = (made != triples.collider) & (triples.weight > 0) & ~triples.open
    return triple_evidence(state.names, triples, Fit(marks, made, overruled))


def _differences(state: Separations, held: Held, wanted: np.ndarray, marks: np.ndarray) -> tuple[Remark, ...]:
    """What the nearest graph has otherwise than the tests and rules said, and edges that it needs beside theirs."""
    names = state.names
    out = []
    extra = np.argwhere(np.triu((marks != 0) & (wanted == 0))).tolist()
    for i, j in extra:
        text = (f"{names[i]} and {names[j]} are joined although a test separates them: with the directions that "
                "knowledge leaves, nothing could.")
        out.append(Remark("inseparable_pair", text, (names[i], names[j])))
    other = (wanted != 0) & (marks != wanted)
    if held:  # knowledge may leave the rules short of what the graph shows
        other &= wanted != CIRCLE
    pairs = np.argwhere(np.triu(other | other.T)).tolist()
    if pairs:
        changed = [[names[i], _edge(wanted, i, j), _edge(marks, i, j), names[j]] for i, j in pairs]
        a, said, have, b = changed[0]
        text = (
            f"No graph has all that the tests say together: their verdicts contradict each other. The graph is that of "
            f"the nearest model; it differs at {int(other.sum()):,} of {int((wanted != 0).sum()):,} edge ends, such as "
            f"{a} {have} {b} instead of {a} {said} {b}."
        )
        about = tuple(names[k] for k in sorted({k for pair in pairs for k in pair}))
        evidence = {"ends_changed": int(other.sum()), "ends": int((wanted != 0).sum()), "edges": changed[:50]}
        out.append(Remark("not_a_pag", text, about, evidence))
    return tuple(out)


def _edge(marks: np.ndarray, i: int, j: int) -> str:
    return edge_text(int(marks[j, i]), int(marks[i, j]))
