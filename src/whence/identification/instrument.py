"""Conditional instruments: nodes that move the treatment and reach the outcome through it alone, given a set.

Z is an instrument given W for the effect of x on y when, with the causal edges of x (those into nodes on directed
paths to y) taken out of the graph,

1. W separates Z from y there,
2. W does not separate Z from x in the graph itself,
3. W holds no node on a directed path from x to y and no descendant of one.

Where x --> y is the only causal path this is the definition of Brito and Pearl for that edge. Deciding it for a
given Z is NP-hard in general; but if any instrument exists, an ancestral one does, whose W are ancestors of Z or y,
and for those the separator nearest to y decides. So the search over all Z is complete, and polynomial.

Sources: Brito, Pearl (2002), Generalized instrumental variables, definition 2; Pearl (2009), Causality, section 7.4;
van der Zander, Textor, Liskiewicz (2015), Efficiently finding conditional instruments for causal inference,
definition 4.1, theorems 3.4 and 4.4.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from whence.core.errors import WhenceError
from whence.core.result import fields_to_plain
from whence.graphs.bits import closure, ones
from whence.graphs.graph import Graph
from whence.graphs.separation import separated
from whence.identification.adjustment import Problem, connected, spread
from whence.identification.asked import canonical, check_apart, checked_graph, checked_nodes
from whence.identification.reasons import joined, path_text


@dataclass(frozen=True)
class Instrument:
    """name: the instrument. given: what must be controlled for with it, no node of which can be dropped alone."""

    name: str
    given: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} given {joined(self.given)}" if self.given else self.name


@dataclass(frozen=True)
class Instruments:
    """At least one instrument exists.

    found: one conditioning set per ancestral instrument, those that need the fewest controls first, then by name.
    assumptions: sentences that an estimate with the first one rests on. excluded: per other measured node, one
    sentence: why it is none.
    """

    treatment: str
    outcome: str
    found: tuple[Instrument, ...]
    assumptions: tuple[str, ...]
    excluded: Mapping[str, str]
    graph: Graph = field(repr=False)

    @property
    def best(self) -> Instrument:
        """The one that needs the fewest controls."""
        return self.found[0]

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def __str__(self) -> str:
        shown = "; ".join(map(str, self.found))
        return f"Instruments for the effect of {self.treatment} on {self.outcome}: {shown}."


@dataclass(frozen=True)
class NoInstrument:
    """No node tried (every measured one, unless ``candidates`` were named) is an instrument; falsy.

    code: ``"no_instrument"``, or ``"no_effect"`` when no directed path leads from treatment to outcome. excluded: per
    node tried one sentence. witness: JSON-ready; ``paths`` holds, per node that cannot be kept apart from the
    outcome, the path past the treatment that stays open given all that could help.
    """

    code: str
    reason: str
    treatment: str
    outcome: str
    excluded: Mapping[str, str]
    witness: Mapping[str, Any]
    graph: Graph = field(repr=False)

    def __bool__(self) -> bool:
        return False

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def __str__(self) -> str:
        return " ".join((self.reason, *self.excluded.values()))


def instruments(graph: Graph | Any, treatment: str, outcome: str,
                candidates: Iterable[str] | None = None) -> Instruments | NoInstrument:
    """All ancestral instruments for the effect of one treatment on one outcome, each with what to control for.

    graph: DAG (latent nodes are never used) or ADMG, or anything ``whence.graph`` reads. candidates: the nodes tried
    as instruments; every measured one when None. With all of them ``NoInstrument`` means that there is
    none at all.

    Raises ``WhenceError``: ``unknown_node``, ``latent_node``, ``role_conflict``, ``missing_role``,
    ``unsupported_graph``.
    """
    problem, graph = _problem(graph, treatment, outcome)
    tried = graph.observed if candidates is None else checked_nodes(graph, candidates, "instrument")
    if candidates is not None:
        check_apart(treatment=(treatment,), outcome=(outcome,), instrument=tried)
    if not problem.causal:
        return NoInstrument(
            "no_effect", f"By the graph {treatment} cannot affect {outcome}: no path leads there in the direction of "
            "the arrows, so there is no effect to find.", treatment, outcome, types.MappingProxyType({}),
            types.MappingProxyType({}), graph,
        )
    found: list[Instrument] = []
    excluded: dict[str, str] = {}
    paths: dict[str, list[list[str]]] = {}
    past, near = _past(problem, graph), Nearness.of(problem)
    for name in sorted(set(tried) - {treatment, outcome}):
        z = graph.bits.rank[name]
        given = near.separator(z)
        if given is None:
            steps = _open_path(problem, past, z)
            paths[name] = [list(s) for s in steps]
            excluded[name] = (f"{name} reaches {outcome} past {treatment} whatever is controlled for: "
                              f"{path_text(steps)}.")
        elif not near.relates(z, given):
            excluded[name] = (f"{name} has no relation to {treatment}." if not given else f"{name} has no relation to "
                              f"{treatment} left given {joined(graph.bits.sorted_of(given))}, which it needs.")
        else:
            found.append(Instrument(name, graph.bits.sorted_of(given)))
    if not found:
        return NoInstrument(
            "no_instrument",
            f"No measured node tried is an instrument for the effect of {treatment} on {outcome}.",
            treatment, outcome, types.MappingProxyType(excluded),
            types.MappingProxyType({"kind": "no_instrument", "paths": paths}), graph,
        )
    found.sort(key=lambda each: (len(each.given), each.name))
    return Instruments(treatment, outcome, tuple(found), _assumptions(treatment, outcome, found[0]),
                       types.MappingProxyType(excluded), graph)


def first_instruments(graph: Graph, treatment: str, outcome: str) -> tuple[Instrument, ...]:
    """The first of those that ``instruments`` finds: all that need no controls, or where none does, all others.

    One search tells of every node whether it needs controls, which is why a refusal can afford to name these.
    """
    problem, graph = _problem(graph, treatment, outcome)
    if not problem.causal:
        return ()
    near, bits = Nearness.of(problem), graph.bits
    tried = problem.measured & ~(problem.treatments | problem.outcomes)
    free = [z for z in ones(tried & ~near.past) if near.relates(z, 0)]
    if free:
        return tuple(Instrument(bits.names[z]) for z in free)
    found = []
    for z in ones(tried):
        given = near.separator(z)
        if given is not None and near.relates(z, given):
            found.append(Instrument(bits.names[z], bits.sorted_of(given)))
    return tuple(sorted(found, key=lambda each: (len(each.given), each.name)))


def is_instrument(graph: Graph | Any, treatment: str, outcome: str, instrument: str,
                  given: str | Iterable[str] = ()) -> bool:
    """Whether ``instrument`` given exactly these nodes meets the definition.

    Raises ``WhenceError`` as ``instruments`` does.
    """
    problem, graph = _problem(graph, treatment, outcome)
    (name,) = checked_nodes(graph, instrument, "instrument")
    held = checked_nodes(graph, given, "given") if given else ()
    check_apart(treatment=(treatment,), outcome=(outcome,), instrument=(name,), given=held)
    return _valid(problem, graph.bits.rank[name], graph.bits.bits_of(held))


def _problem(graph: Graph | Any, treatment: str, outcome: str) -> tuple[Problem, Graph]:
    graph = checked_graph(graph, "The search for instruments")
    for role, name in (("treatment", treatment), ("outcome", outcome)):
        if not isinstance(name, str):
            raise WhenceError(f"An instrument is for one {role}.", code="several_nodes", value=list(name),
                              hint=f"Ask for one {role} at a time.")
        checked_nodes(graph, name, role)
    check_apart(treatment=(treatment,), outcome=(outcome,))
    bits = graph.bits
    measured = bits.bits_of(graph.observed)
    return Problem(*canonical(graph), bits.bits_of((treatment,)), bits.bits_of((outcome,)), measured), graph


@dataclass(frozen=True)
class Nearness:
    """What one search around the outcome tells about every node z that might be an instrument.

    All are bit sets. above: the ancestors of the outcome in the back-door graph. reached, border: what the outcome
    reaches there without entering a candidate, and the candidates it meets. past: the nodes connected to the
    outcome past the treatment given nothing. connections: per set held fixed, those connected to the treatment.
    """

    problem: Problem
    above: int
    reached: int
    border: int
    past: int
    connections: dict[int, int] = field(default_factory=dict)

    @staticmethod
    def of(problem: Problem) -> Nearness:
        above = closure(problem.backdoor, problem.outcomes)
        reached, border = spread(problem.backdoor, problem.backdoor_children, problem.outcomes,
                                 problem.candidates & above, above)
        past = connected(problem.backdoor, problem.backdoor_children, problem.outcomes, 0)
        return Nearness(problem, above, reached, border, past)

    def separator(self, z: int) -> int | None:
        """What to hold fixed so that z reaches the outcome through the treatment alone; None when nothing does.

        Nothing, where that does; else the ancestral separator nearest to the outcome, without its needless nodes,
        which leaves as much as possible connected to z (algorithm Nearest-Separator of van der Zander et al. 2015).
        """
        problem = self.problem
        if not self.past >> z & 1 and self.relates(z, 0):
            return 0
        if self._met(z):
            return None
        if self.above >> z & 1:
            within, border = self.above, self.border
        else:
            within = closure(problem.backdoor, problem.outcomes | 1 << z)
            usable = problem.candidates & within & ~(1 << z)
            reached, border = spread(problem.backdoor, problem.backdoor_children, problem.outcomes, usable, within)
            if reached >> z & 1:
                return None
        _, needed = spread(problem.backdoor, problem.backdoor_children, 1 << z, border, within)
        return border & needed

    def relates(self, z: int, given: int) -> bool:
        """Whether z and the treatment are connected given a set."""
        if given not in self.connections:
            problem = self.problem
            self.connections[given] = connected(problem.parents, problem.children, problem.treatments, given)
        return bool(self.connections[given] >> z & 1)

    def _met(self, z: int) -> bool:
        """Whether the outcome reaches z whatever is held fixed, as far as the one search shows it.

        More ancestors only add paths to the moral graph, so what is reached without z's ancestors stays reached; and
        a parent of z that is reached, and is not held fixed, is next to z.
        """
        return bool((self.reached | self.border) >> z & 1 or self.problem.backdoor[z] & self.reached)


def _related(problem: Problem, z: int, given: int) -> bool:
    return bool(connected(problem.parents, problem.children, 1 << z, given) & problem.treatments)


def _valid(problem: Problem, z: int, given: int) -> bool:
    if given & ~problem.candidates:
        return False
    past = connected(problem.backdoor, problem.backdoor_children, 1 << z, given)
    return not past & problem.outcomes and _related(problem, z, given)


def _past(problem: Problem, graph: Graph) -> Graph:
    """The graph without the causal edges of the treatment."""
    bits, marks = graph.bits, graph.marks.copy()
    (x,) = ones(problem.treatments)
    for k in ones(problem.causal & problem.children[x]):
        ends = graph.index[bits.names[x]], graph.index[bits.names[k]]
        marks[ends] = marks[ends[::-1]] = 0
    return type(graph)(graph.names, marks, graph.latents, graph.bidirected)


def _open_path(problem: Problem, past: Graph, z: int) -> tuple[tuple[str, str, str], ...]:
    """A path from z to the outcome in ``past`` that is open given all that could help."""
    names = past.bits.names
    within = closure(problem.backdoor, problem.outcomes | 1 << z)
    given = past.bits.set_of(problem.candidates & within & ~(1 << z))
    (y,) = ones(problem.outcomes)
    return tuple(separated(past, names[z], names[y], given).path)


def _assumptions(treatment: str, outcome: str, first: Instrument) -> tuple[str, ...]:
    held = f" given {joined(first.given)}" if first.given else ""
    return (
        f"As the graph says, {first.name} is related to {outcome} only through {treatment}{held}.",
        f"{first.name} is related to {treatment}{held}.",
        f"The effect of {treatment} is linear and the same for everyone; or {first.name} moves nobody's {treatment} in "
        "the other direction, and the effect is that of those it moves.",
    )
