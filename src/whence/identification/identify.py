"""From a graph and a question to an estimand: is the effect identified, and how?

``identify`` answers with ``Identified`` (an adjustment set or another route, why each node is in or out, the formula)
or with ``NotIdentified`` (a falsy value with the open path, hedge or undecided edge, and what would help). With
mediators it answers with ``Mediated`` or ``NotMediated``, see ``whence.identification.mediation``.
"""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Any, get_args, overload

from whence.core.errors import WhenceError, unknown_name
from whence.graphs.ancestry import possible_descendants
from whence.graphs.classes import MAG, PAG
from whence.graphs.graph import Graph
from whence.identification.adjustment import Problem
from whence.identification.ambiguity import ambiguous_path
from whence.identification.amenability import possibly_causal, unsure_path
from whence.identification.asked import canonical, check_apart, checked_kind, checked_nodes
from whence.identification.beyond import Route, beyond_adjustment, with_bounds, with_hedge, with_instruments
from whence.identification.expression import P, adjustment_formula
from whence.identification.mediated import NAMES as PARTS
from whence.identification.mediated import Mediated, NotMediated
from whence.identification.obstacles import Obstacle, no_member, unblocked, undecided, unsure
from whence.identification.reasons import joined
from whence.identification.result import Identified as Identified
from whence.identification.result import NotIdentified as NotIdentified
from whence.identification.spec import Quantity

STRATEGIES = ("auto", "adjustment")
KINDS = ("DAG", "CPDAG", "MPDAG", "ADMG", "MAG", "PAG")


@overload
def identify(graph: Graph | Any, treatment: str | Iterable[str], outcome: str | Iterable[str],
             given: str | Iterable[str] | None = None, quantity: str = "ATE", strategy: str = "auto", *,
             mediators: None = None) -> Identified | NotIdentified: ...


@overload
def identify(graph: Graph | Any, treatment: str | Iterable[str], outcome: str | Iterable[str],
             given: str | Iterable[str] | None = None, quantity: str = "ATE", strategy: str = "auto", *,
             mediators: str | Iterable[str]) -> Mediated | NotMediated: ...


def identify(graph: Graph | Any, treatment: str | Iterable[str], outcome: str | Iterable[str],
             given: str | Iterable[str] | None = None, quantity: str = "ATE", strategy: str = "auto", *,
             mediators: str | Iterable[str] | None = None) -> Identified | NotIdentified | Mediated | NotMediated:
    """Whether and how the effect of treatment on outcome follows from measured data.

    graph: DAG (latent nodes are never used), CPDAG, MPDAG, ADMG, MAG or PAG, or anything ``whence.graph`` reads. The
    answer for a class (CPDAG, MPDAG, PAG) holds in all its members, and that for a MAG or PAG in every DAG with hidden
    causes that it stands for.
    treatment, outcome: one name or several. given: the effect within levels of these measured nodes, which
    the treatment must not affect; makes the quantity CATE. quantity: ATE, ATT, ATC or CATE. strategy:
    ``"adjustment"``, or ``"auto"``: where no adjustment set exists, the front door and the ID algorithm too (ATE or
    CATE in a DAG or ADMG). mediators: with these the part of the effect past them (quantity CDE, NDE or TDE) or through
    them (NIE or TIE), in a DAG or ADMG; the answer is then ``Mediated`` or ``NotMediated``.

    The adjustment set is the O-set, the most precise one, when all its nodes are measured, otherwise a
    minimal set near the outcome. Criterion and algorithm are complete: ``NotIdentified`` means that no set works,
    and with a hedge that no method does. A PAG that is the class of no MAG, as one learned from few data may be,
    is answered with ``NotIdentified`` as well (``not_a_pag``).

    Raises ``WhenceError``: unknown or overlapping names, latent treatment, outcome or given node, a given node
    that the treatment may affect, a quantity or kind of graph that adjustment does not cover, edges that tell of
    selection (``selection_edges``), mediators without a quantity of theirs or the other way round.
    Sources: see ``whence.identification.adjustment``, ``ambiguity``, ``amenability`` and ``mediation``.
    """
    if mediators is not None or quantity in PARTS:
        return _part(graph, treatment, outcome, mediators, quantity, given, strategy)
    graph = checked_kind(graph, "Identification by adjustment", KINDS)
    x = checked_nodes(graph, treatment, "treatment")
    y = checked_nodes(graph, outcome, "outcome")
    w = checked_nodes(graph, given, "condition") if given else ()
    quantity = _checked_quantity(quantity, x, w)
    if strategy not in STRATEGIES:
        raise unknown_name("strategy", strategy, STRATEGIES, code="unknown_strategy")
    _check_selection(graph)
    _check_roles(graph, x, y, w)
    obstacle = _left_open(graph, x, y)
    if obstacle is not None:
        return _refusal(obstacle, x, y, graph, quantity)
    bits = graph.bits
    problem = _problem(graph, x, y, w)
    if not problem.causal:
        return _without_effect(graph, problem, x, y, w, quantity)
    chosen = problem.optimal()
    if chosen is None:
        chosen = problem.nearest()
    if chosen is None:
        route = beyond_adjustment(graph, x, y, w) if strategy == "auto" and quantity in ("ATE", "CATE") else None
        if isinstance(route, Route):
            return Identified(quantity, x, y, (), P(y, w, x), route.expression, route.assumptions, graph, problem, w,
                              route.note, adjustable=False, strategy=route.strategy, mediators=route.mediators)
        obstacle = with_hedge(unblocked(problem, graph, x, y), route)
        return _refusal(with_instruments(obstacle, graph, x, y, w), x, y, graph, quantity)
    adjustment = bits.sorted_of(chosen)
    weights = tuple(f"{name}′" for name in x) if quantity in ("ATT", "ATC") else ()
    return Identified(
        quantity, x, y, adjustment, P(y, (*w, *weights), x), adjustment_formula(y, x, adjustment, w, weights),
        _assumptions(graph, x, y, adjustment), graph, problem, w, note=_weights_note(quantity, x),
    )


def _part(graph: Graph | Any, treatment: str | Iterable[str], outcome: str | Iterable[str],
          mediators: str | Iterable[str] | None, quantity: str, given: str | Iterable[str] | None,
          strategy: str) -> Mediated | NotMediated:
    """The part of an effect that mediators carry, or that goes past them."""
    from whence.identification.mediation import mediation

    if mediators is None:
        raise WhenceError(f"The {PARTS[quantity]} needs the mediators that it goes through or past.",
                          code="missing_role", value="mediators", hint="Pass mediators=, for example mediators='dose'.")
    if quantity in get_args(Quantity) and quantity not in PARTS:
        raise WhenceError(f"With mediators a part of the effect is asked for, not the {quantity}.",
                          code="unsupported_quantity", value=quantity, allowed=tuple(PARTS),
                          hint="Leave the mediators out for the whole effect.")
    if strategy != "auto":
        raise WhenceError("A strategy is chosen for a whole effect, not for a part of it.", code="unknown_strategy",
                          value=strategy, allowed=("auto",))
    return mediation(graph, treatment, outcome, mediators, quantity, given or ())


def _without_effect(graph: Graph, problem: Problem, x: tuple[str, ...], y: tuple[str, ...], w: tuple[str, ...],
                    quantity: str) -> Identified:
    """No directed path from treatment to outcome: P(y | do(x)) is P(y), whatever is hidden."""
    chosen = problem.nearest()
    note = (f"By the graph {joined(x)} cannot affect {joined(y)}: no path leads there in the direction of the arrows, "
            "so the effect is zero.")
    if chosen is None:
        note += (" No measured set blocks the non-causal paths between them, so a comparison would show confounding "
                 "alone.")
    else:
        note += " An estimate with the adjustment set should be near zero; it tests the graph."
    adjustment = graph.bits.sorted_of(chosen or 0)
    return Identified(
        quantity, x, y, adjustment, P(y, w, x), P(y, w), _assumptions(graph, x, y, adjustment), graph, problem, w,
        note=note, no_effect=True, adjustable=chosen is not None,
    )


def _refusal(obstacle: Obstacle, x: tuple[str, ...], y: tuple[str, ...], graph: Graph, quantity: str) -> NotIdentified:
    obstacle = with_bounds(obstacle, x, y, quantity)
    return NotIdentified(obstacle.code, obstacle.reason, types.MappingProxyType(obstacle.witness), obstacle.remedy,
                         x, y, graph, quantity)


def _left_open(graph: Graph, x: tuple[str, ...], y: tuple[str, ...]) -> Obstacle | None:
    """Why the members of the class have no common answer, whatever is adjusted for; None when that is not so."""
    bits, treatments, outcomes = graph.bits, graph.bits.bits_of(x), graph.bits.bits_of(y)
    if graph.kind in ("CPDAG", "MPDAG"):
        path = ambiguous_path(bits, treatments, outcomes)
        return undecided(bits, x, y, path, hidden=bool(graph.latents)) if path else None
    if not isinstance(graph, (MAG, PAG)):
        return None
    try:
        getattr(graph, "member", graph)
    except WhenceError as error:
        return no_member(error, x, y)
    path = unsure_path(graph, treatments, outcomes)
    return unsure(graph, x, y, path) if path else None


def _problem(graph: Graph, x: tuple[str, ...], y: tuple[str, ...], w: tuple[str, ...]) -> Problem:
    """The question in a DAG: a member of a class, with a hidden node for each <-> edge."""
    bits = graph.bits
    parents, children = canonical(getattr(graph, "member", graph))
    treatments, outcomes = bits.bits_of(x), bits.bits_of(y)
    possible = possibly_causal(graph, treatments, outcomes) if isinstance(graph, (MAG, PAG)) else None
    return Problem(parents, children, treatments, outcomes, bits.bits_of(graph.observed), bits.bits_of(w), possible)


def _assumptions(graph: Graph, x: tuple[str, ...], y: tuple[str, ...], adjustment: tuple[str, ...]) -> tuple[str, ...]:
    levels = f"every combination of {joined(adjustment)}" if adjustment else "the population"
    which = "The true graph is one of the class" if graph.kind in ("CPDAG", "MPDAG", "PAG") else "The graph is right"
    t, o = joined(x), joined(y)
    if isinstance(graph, (MAG, PAG)):
        shown = (f"{which}: hidden common causes are only where it allows them, no arrow is missing, and which units "
                 "were observed does not depend on the nodes.")
    else:
        shown = f"{which}: it shows every common cause of {t}, {o} and the other nodes, and no arrow is missing."
    return (
        shown,
        f"Every compared value of {t} occurs in {levels}.",
        f"One unit's {t} does not affect another unit's {o}, and each value of {t} means one thing.",
    )


def _weights_note(quantity: str, x: tuple[str, ...]) -> str:
    if quantity not in ("ATT", "ATC"):
        return ""
    group = "treated" if quantity == "ATT" else "untreated"
    return f"{x[0]}′ is the value that the {group} have: the average is over them."


# Checks of what was asked


def _check_selection(graph: Graph) -> None:
    if not isinstance(graph, (MAG, PAG)):
        return
    selected = [list(edge) for edge in graph.edges() if edge[1] in ("---", "--o", "o--")]
    if selected:
        raise WhenceError(
            f"{' '.join(selected[0])} tells that units were selected by an effect of the nodes, and identification "
            "here does not cover such selection.", code="selection_edges", value=selected,
            hint="Ask with a graph of all units: a MAG or PAG without edges that have a tail at both ends.",
        )


def _check_roles(graph: Graph, x: tuple[str, ...], y: tuple[str, ...], w: tuple[str, ...]) -> None:
    check_apart(treatment=x, outcome=y, given=w)
    after = sorted(possible_descendants(graph, x) & set(w)) if w else []
    if after:
        raise WhenceError(
            f"{joined(x)} affects or may affect {after[0]!r}, so the effect within its levels is not one of "
            "adjustment.", code="given_after_treatment", value=after,
            hint="Ask within levels of nodes that come before the treatment.",
        )


def _checked_quantity(quantity: str, x: tuple[str, ...], w: tuple[str, ...]) -> str:
    if quantity not in get_args(Quantity) or quantity in PARTS:
        raise unknown_name("quantity", quantity, get_args(Quantity), code="unknown_quantity")
    if quantity == "LATE":
        raise WhenceError("LATE needs an instrument; adjustment does not give it.", code="unsupported_quantity",
                          value=quantity, allowed=("ATE", "ATT", "ATC", "CATE"))
    if quantity in ("ATT", "ATC") and (w or len(x) > 1):
        raise WhenceError(f"{quantity} is for one treatment without given nodes.", code="unsupported_quantity",
                          value=quantity, allowed=("ATE", "CATE"))
    if quantity == "CATE" and not w:
        raise WhenceError("CATE needs the nodes within whose levels the effect is asked.", code="missing_role",
                          value="given", hint="Pass given=, for example given='sex'.")
    return "CATE" if w else quantity
