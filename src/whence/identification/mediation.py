"""Mediation: how much of an effect goes through mediators, and how much past them.

With treatment levels x and x', mediators M taken together, and an outcome Y:

- CDE, the controlled direct effect: Y(x, m) against Y(x', m), the mediators set to one value for everybody.
- NDE, the natural direct effect: Y(x, M(x')) against Y(x').
- NIE, the natural indirect effect: Y(x', M(x)) against Y(x').
- TDE and TIE, total direct and total indirect, the other pair: Y(x) against Y(x', M(x)), and against Y(x, M(x')).

NDE + TIE = NIE + TDE = the total effect.

The CDE follows by the ID algorithm, the others from P(y(x, m(x'))), see ``whence.identification.recanting``.

Sources: Robins and Greenland (1992), Identifiability and exchangeability for direct and indirect effects; Pearl
(2001), Direct and indirect effects; Shpitser (2013), see ``recanting``.
"""

from __future__ import annotations

import types
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from whence.core.errors import WhenceError, unknown_name
from whence.graphs.ancestry import ancestors, descendants
from whence.graphs.classes import ADMG, DAG
from whence.graphs.graph import Graph, matrices_from_edges
from whence.graphs.transform import latent_projection
from whence.identification.asked import check_apart, checked_graph, checked_nodes
from whence.identification.expression import Expression, Nested, P
from whence.identification.hedge import Hedge
from whence.identification.idc import estimand
from whence.identification.identify import identify
from whence.identification.mediated import NAMES, Mediated, NotMediated
from whence.identification.reasons import joined, path_text
from whence.identification.recanting import Recanting, Unrolled, formula, recanting, unroll
from whence.identification.result import Identified

Quantity = Literal["CDE", "NDE", "NIE", "TDE", "TIE"]
QUANTITIES: tuple[str, ...] = get_args(Quantity)


@dataclass(frozen=True)
class _Asked:
    """A checked question. case: the ancestors of outcomes and given by how they answer to the treatment."""

    graph: DAG | ADMG
    projected: ADMG
    x: str
    y: tuple[str, ...]
    m: tuple[str, ...]
    w: tuple[str, ...]
    quantity: str
    case: Unrolled

    @property
    def direct(self) -> bool:
        """Whether a path leads from the treatment to an outcome past the mediators."""
        return bool(self.case.moved)

    @property
    def carried(self) -> bool:
        """Whether one leads there through a mediator."""
        return bool(self.case.carried)

    @property
    def zero(self) -> bool:
        """Whether the graph alone says that there is no such effect."""
        return not (self.carried if self.quantity in ("NIE", "TIE") else self.direct)

    def ask(self, **changes: Any) -> Mediated | NotMediated:
        """The same question with changes to it."""
        now = {"graph": self.graph, "treatment": self.x, "outcome": self.y, "mediators": self.m,
               "quantity": self.quantity, "given": self.w}
        return _answer(_asked(**(now | changes)))


def mediation(graph: Graph | Any, treatment: str | Iterable[str], outcome: str | Iterable[str],
              mediators: str | Iterable[str], quantity: Quantity | str = "NDE",
              given: str | Iterable[str] = ()) -> Mediated | NotMediated:
    """Whether and how the part of an effect that goes through the mediators, or past them, can be found.

    graph: DAG (latent nodes are never used) or ADMG, or anything ``whence.graph`` reads. treatment: one node.
    mediators: one or several nodes, taken together. quantity: ``"CDE"``, ``"NDE"``, ``"NIE"``, ``"TDE"`` or ``"TIE"``.
    given: the effect within levels of these measured nodes, which neither the treatment nor (for the CDE) a mediator
    may affect.

    Without ``given`` the answer is complete: ``NotMediated`` means that no method gives the quantity from this graph.
    With ``given`` that is claimed for the CDE alone: a natural effect within levels that is answered is right, but one
    that is refused might follow some other way.
    An effect that is zero by the graph is ``Mediated`` with ``zero``.

    Raises ``WhenceError``: ``unknown_node``, ``latent_node``, ``role_conflict``, ``missing_role``, ``several_nodes``,
    ``given_after_treatment``, ``unknown_quantity``, ``unsupported_graph``.
    """
    asked = _asked(graph, treatment, outcome, mediators, quantity, given)
    answer = _answer(asked)
    return replace(answer, remedy=_remedy(asked, answer)) if isinstance(answer, NotMediated) else answer


def _asked(graph: Graph | Any, treatment: str | Iterable[str], outcome: str | Iterable[str],
           mediators: str | Iterable[str], quantity: str, given: str | Iterable[str]) -> _Asked:
    checked = checked_graph(graph, "Mediation analysis")
    if quantity not in QUANTITIES:
        raise unknown_name("quantity", quantity, QUANTITIES, code="unknown_quantity")
    x = checked_nodes(checked, treatment, "treatment")
    y = checked_nodes(checked, outcome, "outcome")
    m = checked_nodes(checked, mediators, "mediator")
    w = checked_nodes(checked, given, "given") if given else ()
    name, *others = x
    if others:
        raise WhenceError("Mediation is asked for one treatment at a time.", code="several_nodes", value=list(x),
                          hint="Ask for one treatment.")
    check_apart(treatment=x, outcome=y, mediator=m, given=w)
    first = (*x, *m) if quantity == "CDE" else x
    if after := sorted(descendants(checked, first) & set(w)):
        raise WhenceError(f"{joined(first)} may affect {after[0]!r}, so the effect cannot be asked within its levels.",
                          code="given_after_treatment", value=after,
                          hint="Ask within levels of nodes that come before the treatment.")
    projected = latent_projection(checked)
    return _Asked(checked, projected, name, tuple(sorted(y)), tuple(sorted(m)), tuple(sorted(w)), quantity,
                  unroll(projected, name, (*y, *w), m))


def _answer(asked: _Asked) -> Mediated | NotMediated:
    if asked.quantity == "CDE":
        found = estimand(asked.graph, (asked.x, *asked.m), asked.y, asked.w)
        return _granted(asked, found) if asked.zero or not isinstance(found, Hedge) else _refused(asked, found, None)
    # With given nodes their joint with the outcomes must follow: it is divided by P(given) afterwards.
    joint = estimand(asked.graph, asked.x, (*asked.y, *asked.w))
    problem = recanting(asked.case)
    if isinstance(joint, Hedge) or problem is not None:
        hedge = joint if isinstance(joint, Hedge) else None
        return _granted(asked, joint) if asked.zero and problem is None else _stopped(asked, hedge, problem)
    found = formula(asked.case, asked.w, primed=_primed(asked.quantity))
    assert not isinstance(found, Hedge), "each district of an identified total effect is identified"
    return _granted(asked, found)


def _primed(quantity: str) -> Literal["mediators", "outcomes"]:
    """Which answer to the second value x', the level of comparison, in the nested counterfactual of the quantity."""
    return "mediators" if quantity in ("NDE", "TIE") else "outcomes"


def _granted(asked: _Asked, found: Expression | Hedge) -> Mediated:
    x, y, m, w = asked.x, asked.y, asked.m, asked.w
    controlled = asked.quantity == "CDE"
    total = identify(asked.graph, x, y, w or None, quantity="CATE" if w else "ATE")
    named = P(y, w, (x, *m)) if controlled else Nested(y, x, m, w, _primed(asked.quantity))
    return Mediated(
        asked.quantity, x, y, m, named, None if isinstance(found, Hedge) else found, _assumptions(asked), asked.graph,
        w, _note(asked, found), asked.zero, _labels(asked),
        total.expression if isinstance(total, Identified) else None,
    )


def _labels(asked: _Asked) -> types.MappingProxyType[tuple[str, str], str]:
    """For the drawing: which of the treatment's arrows belong to which kind of path."""
    bits = asked.projected.bits
    said = {}
    for kind, nodes in (("direct", asked.case.moved), ("through mediators", asked.case.carried)):
        for name in bits.sorted_of(nodes):
            said[asked.x, name] = "both" if (asked.x, name) in said else kind
    drawn = {(a, b) for a, edge, b in asked.graph.edges() if edge == "-->"}
    return types.MappingProxyType({pair: text for pair, text in said.items() if pair in drawn})


def _note(asked: _Asked, found: Expression | Hedge) -> str:
    x, y, m = asked.x, joined(asked.y), joined(asked.m)
    said = []
    idle = sorted(set(asked.m) - (descendants(asked.projected, asked.x) & ancestors(asked.projected, asked.y)))
    if idle:
        no = "carries none" if len(idle) == 1 else "carry none"
        said.append(f"{joined(idle)} {no} of the effect: by the graph no path leads from {x} through {joined(idle)} to "
                    f"{y}.")
    if not asked.carried and not asked.direct:
        said.append(f"By the graph {x} does not affect {y} at all: every part of the effect is zero.")
    elif not asked.carried:
        said.append(f"By the graph {x} does not affect {y} through {m}: indirect effects are zero and the direct ones "
                    "are the total.")
    elif not asked.direct:
        said.append(f"By the graph {x} affects {y} only through {m}: direct effects are zero and the indirect ones "
                    "are the total.")
    if isinstance(found, Hedge):
        what = "P of the outcome under fixed mediators" if asked.quantity == "CDE" else "the total effect"
        said.append(f"It is zero although {what} is not identified, so there is no formula to show.")
    else:
        spare = sorted(n for n in found.free if n in asked.graph.names and n not in (asked.x, *asked.y, *asked.w)
                       and not (asked.quantity == "CDE" and n in asked.m))
        if spare:
            said.append(f"The value of the formula is the same at every level of {joined(spare)}.")
    return " ".join(said)


def _assumptions(asked: _Asked) -> tuple[str, ...]:
    x, y, m = asked.x, joined(asked.y), joined(asked.m)
    said = [
        f"The graph is right: it shows every common cause of {x}, {m}, {y} and the other nodes, and no arrow is "
        "missing.",
        "Every combination of values that the formula conditions on occurs.",
        f"One unit's {x} does not affect another unit's {y}, and each value of {x} and {m} means one thing, whether it "
        "came about or was set.",
    ]
    if asked.quantity != "CDE" and asked.direct and asked.carried:
        said.append(
            f"How {y} would respond under one value of {x} and what {m} would be under the other go together in one "
            "unit only as the graph shows (cross-world independence, which holds when the nodes are structural "
            "equations with independent errors, NPSEM-IE). No data can test this, not even an experiment."
        )
    return tuple(said)


# What stands in the way


def _stopped(asked: _Asked, hedge: Hedge | None, problem: Recanting | None) -> NotMediated:
    """A natural effect that is not identified, with word of the controlled one."""
    controlled = not isinstance(estimand(asked.graph, (asked.x, *asked.m), asked.y), Hedge)
    return replace(_refused(asked, hedge, problem), controlled=controlled)


def _refused(asked: _Asked, hedge: Hedge | None, problem: Recanting | None) -> NotMediated:
    x, y, m = asked.x, joined(asked.y), joined(asked.m)
    within = f" within levels of {joined(asked.w)}" if asked.w else ""
    what = f"The {NAMES[asked.quantity]} of {x} on {y}{within} cannot be found"
    witness: dict[str, Any] = {}
    if problem is not None:
        witness |= {"kind": "recanting_witness" if problem.single else "recanting_district",
                    "direct": [list(s) for s in problem.direct], "through": [list(s) for s in problem.through],
                    "hidden": [list(s) for s in problem.hidden], "district": list(problem.district)}
    if hedge is not None:
        witness |= {"kind": "hedge", "hedge": hedge.to_dict()}
        about = f"the effect of setting {x} and {m}" if asked.quantity == "CDE" else f"even the total effect of {x}"
        reason = (f"{what}: {about} is not identified. Hidden causes tie {joined(hedge.outer)} together in such a way "
                  "that models with different effects fit the same data (a hedge).")
    else:
        assert problem is not None
        reason = f"{what}: " + _recanted(problem, x, m)
    return NotMediated(witness["kind"], reason, types.MappingProxyType(witness), "", x, asked.y, asked.m, asked.graph,
                       asked.quantity, asked.w)


def _recanted(problem: Recanting, x: str, m: str) -> str:
    a, b = problem.ends
    if problem.single:
        return (f"{a} passes the effect of {x} on past {m} ({path_text(problem.direct)}) and also by way of {m} "
                f"({path_text(problem.through)}). The quantity depends on what {a} would be in one and the same unit "
                f"under both values of {x}, and a unit shows only one (a recanting witness).")
    return (f"hidden causes ({path_text(problem.hidden)}) tie how {a} responds to one value of {x} "
            f"({path_text(problem.direct)}) to how {b} responds to the other ({path_text(problem.through)}), and no "
            "unit shows both (a recanting district).")


def _remedy(asked: _Asked, no: NotMediated) -> str:
    """What would help, each tried on the graph before it is said."""
    said = []
    if no.controlled:
        said.append(f"The controlled direct effect, with {joined(asked.m)} set to one value for everybody, is "
                    "identified (quantity='CDE').")
    if no.code == "recanting_witness":
        with_it = sorted({*asked.m, no.witness["direct"][0][2]} - set(asked.y))
        if len(with_it) > len(asked.m) and isinstance(asked.ask(mediators=with_it), Mediated):
            said.append(f"With {joined(with_it)} together as the mediators it is identified: another question, the "
                        f"effect past all of them.")
    if (found := _worth_measuring(asked, no)) is not None:
        said.append(f"Measuring {found} would make it identified.")
    return " ".join(said) or "No single further measurement would make it identified in this graph."


def _worth_measuring(asked: _Asked, no: NotMediated) -> str | None:
    """A hidden node, or the hidden cause behind one ``<->`` of the witness, whose measurement removes the obstacle."""
    graph = asked.graph
    for name in sorted(graph.latents):
        seen = type(graph)(graph.names, graph.marks, graph.latents - {name}, **(
            {"bidirected": graph.bidirected} if isinstance(graph, ADMG) else {}))
        if isinstance(asked.ask(graph=seen), Mediated):
            return name
    arcs = sorted((a, b) for a, edge, b in graph.edges() if edge == "<->")
    # An arc that is no part of the witness leaves it as it is.
    near = {*no.witness.get("district", ()), *no.witness.get("hedge", {}).get("outer", ())}
    for a, b in arcs:
        if {a, b} <= near and isinstance(asked.ask(graph=_measured(graph, a, b)), Mediated):
            return f"the hidden common cause of {a} and {b}"
    return None


def _measured(graph: Graph, a: str, b: str) -> ADMG:
    """The graph with one ``a <-> b`` as a measured common cause."""
    new = "\0cause"
    edges = [(u, edge, v) for u, edge, v in graph.edges() if (edge, {u, v}) != ("<->", {a, b})]
    names = (*graph.names, new)
    marks, bidirected = matrices_from_edges(names, [*edges, (new, "-->", a), (new, "-->", b)])
    return ADMG(names, marks, graph.latents, bidirected=bidirected)
