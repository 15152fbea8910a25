"""From a graph and a question to an estimand: is the effect identified, and how?

``identify`` answers with ``Identified`` (an adjustment set or another route, why each node is in or out, the formula)
or with ``NotIdentified`` (a falsy value with the open path, hedge or undecided edge, and what would help).
"""

from __future__ import annotations

import functools
import html
import itertools
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, get_args

import numpy as np

from whence.core.errors import WhenceError, unknown_name
from whence.core.result import fields_to_plain
from whence.graphs.ancestry import bits_of, possible_descendants
from whence.graphs.bits import ones
from whence.graphs.graph import Graph
from whence.identification.adjustment import Problem
from whence.identification.ambiguity import ambiguous_path
from whence.identification.asked import check_apart, checked_nodes
from whence.identification.beyond import Route, beyond_adjustment, used, with_hedge
from whence.identification.expression import Expression, P, adjustment_formula
from whence.identification.joint import averaged, checked_joint, checked_levels
from whence.identification.obstacles import Obstacle, unblocked, undecided
from whence.identification.reasons import Reason, explain, joined
from whence.identification.spec import Quantity, Spec

STRATEGIES = ("auto", "adjustment")
KINDS = ("DAG", "CPDAG", "MPDAG", "ADMG")


@dataclass(frozen=True)
class Identified:
    """The effect is identified, by adjustment unless ``strategy`` says otherwise.

    quantity: ATE, ATT, ATC or CATE. adjustment: what to adjust for, measured nodes only, ``given`` included.
    estimand: what is asked, as a probability; expression: the same from what is measured. assumptions:
    sentences the answer rests on. note: how to read it. no_effect: no directed path leads from treatment
    to outcome, so the effect is zero by the graph. adjustable: whether a set blocks all non-causal paths;
    False beside ``no_effect``, where a comparison would show confounding alone, and for another strategy.
    strategy: ``"adjustment"``, ``"frontdoor"`` (through ``mediators``) or ``"id"`` (the ID algorithm).
    """

    quantity: str
    treatment: tuple[str, ...]
    outcome: tuple[str, ...]
    adjustment: tuple[str, ...]
    estimand: Expression
    expression: Expression
    assumptions: tuple[str, ...]
    graph: Graph = field(repr=False)
    problem: Problem = field(repr=False, compare=False, metadata={"plain": False})
    given: tuple[str, ...] = ()
    note: str = ""
    no_effect: bool = False
    adjustable: bool = True
    strategy: str = "adjustment"
    mediators: tuple[str, ...] = ()

    @functools.cached_property
    def _explained(self) -> dict[str, Reason]:
        if self.strategy != "adjustment":
            return used(self.graph, self.treatment, self.outcome, self.expression, self.mediators)
        return explain(self.problem, self.graph.bits, bits_of(self.graph, self.adjustment))

    @property
    def reasons(self) -> Mapping[str, str]:
        """For every node of the graph, one sentence: why it is in the adjustment set (or the formula) or out of it."""
        return types.MappingProxyType({name: reason.text for name, reason in self._explained.items()})

    @property
    def roles(self) -> Mapping[str, str]:
        """For every node its role in the drawing (the roles of ``whence.graphs.svg``)."""
        return types.MappingProxyType({name: reason.role for name, reason in self._explained.items()})

    def valid(self, names: str | Iterable[str]) -> bool:
        """Whether adjusting for exactly these nodes identifies the effect, by the complete criterion.

        Raises ``WhenceError`` (``unknown_node``).
        """
        return self.problem.valid(bits_of(self.graph, names))

    def minimal_sets(self, limit: int | None = None) -> Iterator[tuple[str, ...]]:
        """All adjustment sets from which no node can be dropped, lazily, at most ``limit``.

        The one nearest to the outcome comes first; the order does not depend on the order of the nodes.
        """
        sets = (self.graph.bits.sorted_of(found) for found in self.problem.minimal())
        return itertools.islice(sets, limit)

    def distribution(self, joint: np.ndarray, names: Iterable[str], do: Mapping[str, int] | int) -> np.ndarray:
        """P(outcome | do(treatment = value), given) from a discrete joint distribution of measured nodes.

        joint: probabilities or counts, one axis per name. do: the level (position on its axis) of each
        treatment; a number for a single treatment. Returns one axis per outcome, then one per given
        node; each slice over the outcomes sums to 1.

        Raises ``WhenceError``: ``positivity`` when a needed combination never occurs, ``bad_joint``,
        ``unknown_variable``, ``bad_level``; ``unsupported_quantity`` for ATT and ATC, which average over
        another population.
        """
        if self.quantity in ("ATT", "ATC"):
            raise WhenceError(
                f"The distribution is that of the whole population, not of the {self.quantity}.",
                code="unsupported_quantity", value=self.quantity, allowed=("ATE", "CATE"),
                hint="Identify with quantity='ATE' to get it.",
            )
        names = tuple(names)
        table = checked_joint(joint, names, self.expression.variables | set(self.treatment))
        levels = checked_levels(do, self.treatment, dict(zip(names, table.shape, strict=True)))
        values = self.expression.evaluate(table, names)
        for name, level in levels.items():
            axis = names.index(name)
            values = values.take([level if values.shape[axis] > 1 else 0], axis=axis)
        spare = sorted(self.expression.free.difference(self.treatment, self.outcome, self.given))
        values = averaged(values, table, names, spare) if spare else values
        if np.isnan(values).any():
            raise WhenceError(
                f"Some combination of {joined(self.adjustment) if self.adjustment else 'values'} that occurs never "
                f"occurs together with {', '.join(f'{n} at level {v}' for n, v in levels.items())}.",
                code="positivity", value=levels, hint="The effect there cannot be learned from this distribution.",
            )
        keep = [names.index(name) for name in (*self.outcome, *self.given)]
        values = np.broadcast_to(values, [table.shape[k] if k in keep else 1 for k in range(table.ndim)])
        rest = tuple(k for k in range(values.ndim) if k not in keep)
        left = [k for k in range(values.ndim) if k in keep]
        return np.squeeze(values, axis=rest).transpose([left.index(k) for k in keep])

    def to_spec(self, **changes: Any) -> Spec:
        """The spec that estimates this effect, with ``changes`` to its fields.

        Raises ``WhenceError``: ``nothing_to_estimate`` when no set blocks the non-causal paths (the effect is
        zero by the graph and a comparison would show confounding), ``no_estimator`` when the effect is identified
        in another way than by adjustment, ``unknown_field``.
        """
        if self.strategy != "adjustment":
            raise WhenceError(f"There is no estimator for the strategy {self.strategy!r} yet. {self.note}",
                              code="no_estimator", value=self.strategy, allowed=("adjustment",),
                              hint="On a discrete joint distribution use .distribution().")
        if not self.adjustable:
            raise WhenceError(self.note, code="nothing_to_estimate", value=list(self.treatment),
                              hint="Ask with a graph in which the treatment can affect the outcome.")
        allowed = [f.name for f in fields(Spec)]
        for name in changes:
            if name not in allowed:
                raise unknown_name("spec field called", name, allowed, code="unknown_field")
        base: dict[str, Any] = {
            "strategy": self.strategy, "treatments": self.treatment, "outcomes": self.outcome,
            "quantity": self.quantity, "controls": self.adjustment, "assumptions": self.assumptions,
        }
        return Spec(**(base | changes))

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self) | {"reasons": dict(self.reasons), "roles": dict(self.roles)}

    def __str__(self) -> str:
        return (f"{self._headline} {self._advice}".strip() + f"\n{self.estimand} = {self.expression}"
                + (f"\n{self.note}" if self.note else ""))

    @property
    def _headline(self) -> str:
        return f"The effect of {joined(self.treatment)} on {joined(self.outcome)} is identified ({self.quantity})."

    @property
    def _advice(self) -> str:
        if not self.adjustable:
            return "There is no adjustment set." if self.strategy == "adjustment" else ""
        return f"Adjust for: {', '.join(self.adjustment) or 'nothing'}."

    def _repr_html_(self) -> str:
        rows = "".join(f"<li>{html.escape(text)}</li>" for text in self.reasons.values())
        note = f"<p>{html.escape(self.note)}</p>" if self.note else ""
        return (f"<div><p><b>{html.escape(self._headline)}</b> {html.escape(self._advice)}</p>"
                f"<p>{html.escape(f'{self.estimand} = {self.expression}')}</p>{note}"
                f"<details><summary>Why each node is in or out</summary><ul>{rows}</ul></details></div>")


@dataclass(frozen=True)
class NotIdentified:
    """The effect is not identified; falsy. In a DAG or ADMG, for ATE and CATE, by no method, without more assumptions.

    code: ``"open_path"`` or ``"undecided_edge"``. reason: the sentence. witness: JSON-ready, with the
    ``path`` as ``[a, edge, b]`` steps: a non-causal path that stays open given everything that may be
    adjusted for and could help (``adjusted``), or a possibly causal path whose first ``edge`` has no
    direction; ``hedge``: the nodes that no method can tell apart
    (``whence.identification.hedge``). remedy: what to measure or to decide.
    """

    code: str
    reason: str
    witness: Mapping[str, Any]
    remedy: str
    treatment: tuple[str, ...]
    outcome: tuple[str, ...]
    graph: Graph = field(repr=False)
    quantity: str = "ATE"

    def __bool__(self) -> bool:
        return False

    @property
    def roles(self) -> Mapping[str, str]:
        """For treatment, outcome and hidden nodes their role in the drawing."""
        named = dict.fromkeys(self.graph.latents, "latent")
        named |= dict.fromkeys(self.treatment, "treatment") | dict.fromkeys(self.outcome, "outcome")
        return types.MappingProxyType(named)

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def __str__(self) -> str:
        return f"{self.reason} {self.remedy}"

    def _repr_html_(self) -> str:
        return f"<div><p><b>Not identified.</b> {html.escape(self.reason)}</p><p>{html.escape(self.remedy)}</p></div>"


def identify(graph: Graph | Any, treatment: str | Iterable[str], outcome: str | Iterable[str],
             given: str | Iterable[str] | None = None, quantity: str = "ATE",
             strategy: str = "auto") -> Identified | NotIdentified:
    """Whether and how the effect of treatment on outcome follows from measured data.

    graph: DAG (latent nodes are never used), CPDAG, MPDAG or ADMG, or anything ``whence.graph`` reads.
    treatment, outcome: one name or several. given: the effect within levels of these measured nodes, which
    the treatment must not affect; makes the quantity CATE. quantity: ATE, ATT, ATC or CATE. strategy:
    ``"adjustment"``, or ``"auto"``: where no adjustment set exists, the front door and the ID algorithm too (ATE or
    CATE in a DAG or ADMG).

    The adjustment set is the O-set, the most precise one, when all its nodes are measured, otherwise a
    minimal set near the outcome. Criterion and algorithm are complete: ``NotIdentified`` means that no set works,
    and with a hedge that no method does.

    Raises ``WhenceError``: unknown or overlapping names, latent treatment, outcome or given node, a given node
    that the treatment may affect, a quantity or kind of graph that adjustment does not cover.
    Sources: see ``whence.identification.adjustment`` and ``ambiguity``.
    """
    graph = _checked_graph(graph)
    x = checked_nodes(graph, treatment, "treatment")
    y = checked_nodes(graph, outcome, "outcome")
    w = checked_nodes(graph, given, "condition") if given else ()
    quantity = _checked_quantity(quantity, x, w)
    if strategy not in STRATEGIES:
        raise unknown_name("strategy", strategy, STRATEGIES, code="unknown_strategy")
    _check_roles(graph, x, y, w)
    bits = graph.bits
    if graph.kind in ("CPDAG", "MPDAG"):
        path = ambiguous_path(bits, bits.bits_of(x), bits.bits_of(y))
        if path:
            return _refusal(undecided(bits, x, y, path, hidden=bool(graph.latents)), x, y, graph, quantity)
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
        return _refusal(with_hedge(unblocked(problem, bits.names, x, y), route), x, y, graph, quantity)
    adjustment = bits.sorted_of(chosen)
    weights = tuple(f"{name}′" for name in x) if quantity in ("ATT", "ATC") else ()
    return Identified(
        quantity, x, y, adjustment, P(y, (*w, *weights), x), adjustment_formula(y, x, adjustment, w, weights),
        _assumptions(graph, x, y, adjustment), graph, problem, w, note=_weights_note(quantity, x),
    )


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
    return NotIdentified(obstacle.code, obstacle.reason, types.MappingProxyType(obstacle.witness), obstacle.remedy,
                         x, y, graph, quantity)


def _problem(graph: Graph, x: tuple[str, ...], y: tuple[str, ...], w: tuple[str, ...]) -> Problem:
    """The question in a DAG: a member of a class, or an ADMG with a hidden node for each <-> edge."""
    bits = graph.bits
    directed: Graph = getattr(graph, "member", graph)
    parents, children = list(directed.bits.parents), list(directed.bits.children)
    for a, spouses in enumerate(bits.spouses):
        for b in ones(spouses >> a << a):
            children.append(1 << a | 1 << b)
            parents[a] |= 1 << len(parents)
            parents[b] |= 1 << len(parents)
            parents.append(0)
    return Problem(parents, children, bits.bits_of(x), bits.bits_of(y), bits.bits_of(graph.observed), bits.bits_of(w))


def _assumptions(graph: Graph, x: tuple[str, ...], y: tuple[str, ...], adjustment: tuple[str, ...]) -> tuple[str, ...]:
    levels = f"every combination of {joined(adjustment)}" if adjustment else "the population"
    which = "The true graph is one of the class" if graph.kind in ("CPDAG", "MPDAG") else "The graph is right"
    t, o = joined(x), joined(y)
    return (
        f"{which}: it shows every common cause of {t}, {o} and the other nodes, and no arrow is missing.",
        f"Every compared value of {t} occurs in {levels}.",
        f"One unit's {t} does not affect another unit's {o}, and each value of {t} means one thing.",
    )


def _weights_note(quantity: str, x: tuple[str, ...]) -> str:
    if quantity not in ("ATT", "ATC"):
        return ""
    group = "treated" if quantity == "ATT" else "untreated"
    return f"{x[0]}′ is the value that the {group} have: the average is over them."


# Checks of what was asked


def _checked_graph(graph: Graph | Any) -> Graph:
    if not isinstance(graph, Graph):
        from whence.graphs.build import graph as as_graph

        graph = as_graph(graph)
    if graph.kind not in KINDS:
        raise WhenceError(
            f"Identification by adjustment works on {', '.join(KINDS)}, not on a {graph.kind}.",
            code="unsupported_graph", value=graph.kind, allowed=KINDS,
        )
    return graph


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
    if quantity not in get_args(Quantity):
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
