"""The front-door criterion: sets of measured mediators that identify an effect in spite of hidden confounding.

A set Z of measured nodes satisfies it for treatments X and outcomes Y when

1. Z meets every directed path from X to Y,
2. no back-door path from X to Z is open given nothing,
3. every back-door path from Z to Y is blocked by X.

Then P(y | do(x)) = sum over z of P(z | x) [sum over x' of P(y | x', z) P(x')].

Sources: Pearl (1995), Causal diagrams for empirical research, section 3.3; Jeong, Tian, Bareinboim (2022), Finding
and listing front-door adjustment sets, theorem 1 (the largest set decides); Wienoebst, van der Zander,
Liskiewicz (2024), Linear-time algorithms for front-door adjustment in causal graphs.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from whence.core.errors import WhenceError
from whence.core.result import fields_to_plain
from whence.graphs.bits import closure, ones, union
from whence.graphs.graph import Graph
from whence.identification.adjustment import avoiding, connected
from whence.identification.asked import canonical, check_apart, checked_graph, checked_nodes
from whence.identification.expression import Expression, P, Product, Sum
from whence.identification.reasons import joined, path_text


@dataclass(frozen=True)
class Mediation:
    """The search in a DAG. All sets are bit sets over its nodes.

    allowed: nodes a front-door set may hold. included: nodes it must hold, a subset of ``allowed``.
    """

    parents: list[int]
    children: list[int]
    treatments: int
    outcomes: int
    allowed: int
    included: int = 0

    def unconfounded(self, within: int) -> int:
        """The nodes of ``within`` without an open back-door path from a treatment: condition 2."""
        return within & ~connected(self._without_children_of(self.treatments), self._cut(self.treatments),
                                   self.treatments, 0)

    def shielded(self, within: int) -> int:
        """The largest subset that meets condition 3, by one walk from the outcomes, given the treatments.

        A member is a dead end while it is one, since its outgoing edges do not count. A walk that enters it by
        an arrowhead is a back-door path: the member leaves the set, and walks that waited at its outgoing edges
        go on. ``within`` must meet condition 2, so that no member is an ancestor of a treatment.
        """
        opens = closure(self.parents, self.treatments)
        left, waiting = within, 0
        heads, tails = 0, self.outcomes  # entered through an arrowhead, through a tail
        seen_heads, seen_tails = heads, tails
        while heads or tails:
            lost = heads & left
            left &= ~lost
            tails |= lost & waiting
            waiting |= tails & left
            tails &= ~left
            down, up = (tails | heads) & ~self.treatments, tails & ~self.treatments | heads & opens
            heads = union(self.children, down) & ~seen_heads
            tails = union(self.parents, up) & ~seen_tails
            seen_heads |= heads
            seen_tails |= tails
        return left

    def largest(self, within: int) -> int | None:
        """The union of all front-door sets inside ``within``, itself one; None when there is none."""
        found = self.shielded(self.unconfounded(within))
        return None if self.included & ~found or self.passed(found) & self.outcomes else found

    def smallest(self, found: int) -> int:
        """A front-door set inside ``found`` (one itself) from which no node can be dropped.

        Tries to drop off the causal paths first, all at once, then node by node, last name first.
        """
        causal = closure(self.children, self.treatments) & closure(self.parents, self.outcomes)
        for attempt in (self.included, found & causal | self.included):
            found = _first(self.largest(attempt & found), found)
        for k in reversed(ones(found & ~self.included)):
            if found >> k & 1:
                found = _first(self.largest(found & ~(1 << k)), found)
        return found

    def passed(self, mediators: int) -> int:
        """What directed paths from the treatments reach without meeting ``mediators``: condition 1."""
        return avoiding(self.children, self.treatments, mediators)

    def unmet_path(self, mediators: int) -> list[int]:
        """A shortest directed path from a treatment to an outcome that avoids ``mediators``; ``[]`` for none."""
        came = dict.fromkeys(ones(self.treatments), -1)
        level = list(came)
        while level:
            following = []
            for v in level:
                if self.outcomes >> v & 1:
                    return _back(came, v)
                for step in ones(self.children[v] & ~mediators):
                    if step not in came:
                        came[step] = v
                        following.append(step)
            level = following
        return []

    def _without_children_of(self, nodes: int) -> list[int]:
        return [above & ~nodes for above in self.parents]

    def _cut(self, nodes: int) -> list[int]:
        return [0 if nodes >> v & 1 else below for v, below in enumerate(self.children)]


def _first(found: int | None, otherwise: int) -> int:
    return otherwise if found is None else found


def _back(came: Mapping[int, int], v: int) -> list[int]:
    path = []
    while v >= 0:
        path.append(v)
        v = came[v]
    return path[::-1]


@dataclass(frozen=True)
class FrontDoor:
    """A front-door set exists.

    mediators: one from which no node can be dropped. largest: the union of all, itself valid. estimand: what is
    asked; expression: the same from what is measured (inside the brackets the treatment is summed over). no_effect:
    no directed path leads from treatment to outcome, so nothing needs to be mediated.
    """

    treatment: tuple[str, ...]
    outcome: tuple[str, ...]
    mediators: tuple[str, ...]
    largest: tuple[str, ...]
    estimand: Expression
    expression: Expression
    assumptions: tuple[str, ...]
    graph: Graph = field(repr=False)
    no_effect: bool = False

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def __str__(self) -> str:
        return (f"The effect of {joined(self.treatment)} on {joined(self.outcome)} is identified by the front door "
                f"through {joined(self.mediators) if self.mediators else 'nothing'}.\n{self.estimand} = "
                f"{self.expression}")


@dataclass(frozen=True)
class NoFrontDoor:
    """No front-door set exists; falsy.

    code: ``"unmediated_path"`` (a directed path that no usable node meets) or ``"not_usable"`` (a node that must be
    included cannot be). witness: JSON-ready, with that ``path`` as ``[a, edge, b]`` steps. excluded: for each
    node on it, or each that had to be included, one sentence: why it cannot serve.
    """

    code: str
    reason: str
    witness: Mapping[str, Any]
    excluded: Mapping[str, str]
    remedy: str
    treatment: tuple[str, ...]
    outcome: tuple[str, ...]
    graph: Graph = field(repr=False)

    def __bool__(self) -> bool:
        return False

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def __str__(self) -> str:
        return " ".join(part for part in (self.reason, *self.excluded.values(), self.remedy) if part)


def frontdoor(graph: Graph | Any, treatment: str | Iterable[str], outcome: str | Iterable[str],
              include: str | Iterable[str] = (), within: Iterable[str] | None = None) -> FrontDoor | NoFrontDoor:
    """Whether a front-door set exists, with a smallest and the largest one, or why there is none.

    graph: DAG (latent nodes are never used) or ADMG, or anything ``whence.graph`` reads. treatment, outcome: one
    name or several. include: nodes the set must hold. within: the only nodes it may hold; all measured
    ones when None. The answer is complete: ``NoFrontDoor`` means that no set meets the criterion.

    Raises ``WhenceError``: ``unknown_node``, ``latent_node``, ``role_conflict``, ``missing_role``,
    ``unsupported_graph``, ``not_within`` for an included node that is not in ``within``.
    """
    graph = checked_graph(graph, "The front-door criterion")
    x, y = checked_nodes(graph, treatment, "treatment"), checked_nodes(graph, outcome, "outcome")
    must = checked_nodes(graph, include, "mediator") if include else ()
    check_apart(treatment=x, outcome=y, mediator=must)
    usable = set(graph.observed) if within is None else set(checked_nodes(graph, within, "mediator") if within else ())
    usable -= {*x, *y}
    for name in must:
        if name not in usable:
            raise WhenceError(f"{name!r} must be included but is not among the nodes that may be.", code="not_within",
                              value=name, allowed=sorted(usable))
    bits = graph.bits
    search = Mediation(*canonical(graph), *map(bits.bits_of, (x, y, usable, must)))
    return _found(search, graph, x, y) or _refusal(search, graph, x, y)


def frontdoor_set(graph: Graph, x: tuple[str, ...], y: tuple[str, ...]) -> FrontDoor | None:
    """What ``frontdoor`` finds, or None without the reasons; for a DAG or ADMG and checked names."""
    bits = graph.bits
    usable = bits.bits_of(graph.observed) & ~bits.bits_of((*x, *y))
    return _found(Mediation(*canonical(graph), bits.bits_of(x), bits.bits_of(y), usable), graph, x, y)


def _found(search: Mediation, graph: Graph, x: tuple[str, ...], y: tuple[str, ...]) -> FrontDoor | None:
    bits, largest = graph.bits, search.largest(search.allowed)
    if largest is None:
        return None
    mediators, whole = bits.sorted_of(search.smallest(largest)), bits.sorted_of(largest)
    return FrontDoor(x, y, mediators, whole, P(y, (), x), frontdoor_formula(y, x, mediators),
                     _assumptions(x, y, mediators), graph, no_effect=not search.passed(0) & search.outcomes)


def frontdoor_formula(outcomes: tuple[str, ...], treatments: tuple[str, ...], mediators: tuple[str, ...]) -> Expression:
    """Sum over z of P(z | x) [sum over x of P(y | x, z) P(x)]; P(y) without mediators (no effect)."""
    if not mediators:
        return P(outcomes)
    inner = Sum(treatments, Product((P(outcomes, (*treatments, *mediators)), P(treatments))))
    return Sum(mediators, Product((P(mediators, treatments), inner)))


def _assumptions(x: tuple[str, ...], y: tuple[str, ...], mediators: tuple[str, ...]) -> tuple[str, ...]:
    if not mediators:
        return (f"As the graph says, {joined(x)} does not affect {joined(y)}.",)
    through = joined(mediators)
    return (
        f"As the graph says, {joined(x)} affects {joined(y)} only through {through}.",
        f"As the graph says, nothing hidden affects both {joined(x)} and {through}.",
        f"As the graph says, given {joined(x)}, nothing hidden affects both {through} and {joined(y)}.",
        f"Every combination of {through} that occurs occurs with every value of {joined(x)}.",
    )


def _refusal(search: Mediation, graph: Graph, x: tuple[str, ...], y: tuple[str, ...]) -> NoFrontDoor:
    bits = graph.bits
    good = search.unconfounded(search.allowed)
    found = search.shielded(good)
    lacking = search.included & ~found
    what = f"No front-door set identifies the effect of {joined(x)} on {joined(y)}"
    if lacking:
        about, code = ones(lacking), "not_usable"
        steps: list[tuple[str, str, str]] = []
        reason = f"{what} with {joined(bits.sorted_of(lacking))} in it."
    else:
        path, code = search.unmet_path(found), "unmediated_path"
        steps = [(bits.names[a], "-->", bits.names[b]) for a, b in pairwise(path)]
        about = path[1:-1]
        reason = f"{what}: no usable node lies on {path_text(tuple(steps))}."
    excluded = {bits.names[k]: _why(search, good, graph, k) for k in about}
    return NoFrontDoor(
        code, reason, types.MappingProxyType({"kind": code, "path": [list(s) for s in steps]}),
        types.MappingProxyType(excluded), _remedy(search, graph), x, y, graph,
    )


def _why(search: Mediation, good: int, graph: Graph, k: int) -> str:
    name = graph.bits.names[k]
    if name in graph.latents:
        return f"{name} is not measured."
    if search.treatments >> k & 1 or search.outcomes >> k & 1:
        return f"{name} is itself a treatment or an outcome."
    if not search.allowed >> k & 1:
        return f"{name} was not among the nodes that may be used."
    if not good >> k & 1:
        return f"A back-door path between the treatment and {name} is open."
    return f"A back-door path from {name} to the outcome stays open given the treatment."


def _remedy(search: Mediation, graph: Graph) -> str:
    """A hidden node whose measurement opens the front door, if a single one does."""
    for name in sorted(graph.latents):
        bit = 1 << graph.bits.rank[name]
        if search.largest(search.allowed | bit) is not None:
            return f"Measuring {name} would make a front-door set possible."
    return ""
