"""When an outcome under one treatment, with mediators as under another, follows from what is measured.

The graph is unrolled: outcomes and what leads to them without meeting a mediator answer to the treatment itself,
mediators and what leads to them answer to its second value. A child of the treatment that is needed in both
roles is a recanting witness. A district of the ancestors of the outcomes in which some children answer to the one
value and some to the other is a recanting district. Without one, and with the total effect identified,

P(y(x, m(x'))) = sum over the rest of the product over districts D of P(D | do(its parents)), x or x' by district.

Sources: Avin, Shpitser and Pearl (2005), Identifiability of path-specific effects, theorem 5; Shpitser (2013),
Counterfactual graphical models for longitudinal mediation analysis with unobserved confounding, theorem 3;
Shpitser and Sherman (2018), Identification of personalized effects associated with causal pathways, theorem 4.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from whence.graphs.bits import closure, ones, shortest_path, topological, union
from whence.graphs.classes import ADMG
from whence.identification.expression import Expression, P, Primed, Product, Quotient, Sum, second
from whence.identification.hedge import Hedge
from whence.identification.id import identified
from whence.identification.reduction import ratio, total

Steps = tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Recanting:
    """Two children of the treatment in one district that would have to answer to two treatments at once.

    direct: a path from the treatment to an outcome without a mediator. through: one that meets a mediator. hidden:
    the ``<->`` path between their first nodes, within the ``district``; empty when these are the same node.
    """

    direct: Steps
    through: Steps
    hidden: Steps
    district: tuple[str, ...]

    @property
    def ends(self) -> tuple[str, str]:
        """The first node after the treatment on the direct path, and on that through a mediator."""
        return self.direct[0][2], self.through[0][2]

    @property
    def single(self) -> bool:
        """Whether it is one node, a recanting witness."""
        return not self.hidden


@dataclass(frozen=True)
class Unrolled:
    """The ancestors of the outcomes by how they answer to the treatment. All are bit sets over ``graph``.

    graph: over measured nodes. direct: outcomes and what leads to them without meeting a mediator. through:
    needed mediators and what leads to them. A node that treatment does not move may be in both.
    """

    graph: ADMG
    treatment: int
    outcomes: int
    mediators: int
    direct: int
    through: int

    @property
    def moved(self) -> int:
        """The children of the treatment whose answer to the treatment itself is needed."""
        return self.direct & self.graph.bits.children[self.treatment]

    @property
    def carried(self) -> int:
        """The children of the treatment whose answer to its second value is needed."""
        return self.through & self.graph.bits.children[self.treatment]

    def districts(self) -> list[int]:
        """Of the graph over the needed nodes without the treatment, effects before causes."""
        bits, left = self.graph.bits, self.direct | self.through
        spouses = [s & left for s in bits.spouses]
        found = []
        for v in reversed(topological(bits.parents, bits.children)):
            if left >> v & 1:
                found.append(closure(spouses, 1 << v))
                left &= ~found[-1]
        return found


def unroll(graph: ADMG, treatment: str, outcomes: Iterable[str], mediators: Iterable[str]) -> Unrolled:
    """Which nodes must answer to the treatment itself, and which to its second value."""
    bits = graph.bits
    x, y, m = bits.rank[treatment], bits.bits_of(outcomes), bits.bits_of(mediators)
    direct = closure([p & ~(m | 1 << x) for p in bits.parents], y)
    through = closure([p & ~(1 << x) for p in bits.parents], union(bits.parents, direct) & m)
    return Unrolled(graph, x, y, m, direct, through)


def recanting(case: Unrolled) -> Recanting | None:
    """A recanting witness, or the ends of a recanting district nearest to each other; None when there is none."""
    bits = case.graph.bits
    if both := case.moved & case.carried:
        return _found(case, ones(both)[0], ones(both)[0], both)
    within = case.direct | case.through
    spouses = [s & within for s in bits.spouses]
    pairs = []
    for district in case.districts():
        pairs += [(len(shortest_path(spouses, a, b)), a, b, district)
                  for a in ones(district & case.moved) for b in ones(district & case.carried)]
    return _found(case, *min(pairs)[1:]) if pairs else None


def _found(case: Unrolled, a: int, b: int, district: int) -> Recanting:
    bits, x = case.graph.bits, 1 << case.treatment
    within = case.direct | case.through

    def named(walk: Iterable[int], edge: str) -> Steps:
        return tuple((bits.names[u], edge, bits.names[v]) for u, v in pairwise(walk))

    direct = [case.treatment, *_walk([c & ~(x | case.mediators) for c in bits.children], a, case.outcomes)]
    onward = [c & ~x for c in bits.children]
    to = _walk(onward, b, union(bits.parents, case.direct) & case.mediators)
    after = _walk([c & ~(x | case.mediators) for c in onward], to[-1], case.outcomes)
    hidden = [] if a == b else shortest_path([s & within for s in bits.spouses], a, b)
    return Recanting(named(direct, "-->"), named([case.treatment, *to, *after[1:]], "-->"), named(hidden, "<->"),
                     bits.sorted_of(district))


def _walk(children: list[int], start: int, goal: int) -> list[int]:
    """A shortest path from a node into a set (just the node when it is inside), the lowest positions first."""
    if goal >> start & 1:
        return [start]
    walks = [walk for end in ones(goal) if (walk := shortest_path(children, start, end))]
    return min(walks, key=lambda walk: (len(walk), walk))


def formula(case: Unrolled, given: tuple[str, ...], *, primed: str) -> Expression | Hedge:
    """P(outcomes(x, mediators(x')) | given) from what is measured, for a case without recanting.

    given: measured nodes before the treatment, among the outcomes of ``case``. primed: ``"mediators"``, or
    ``"outcomes"`` for P(outcomes(x', mediators(x))). A hedge where a district is not identified.
    """
    bits, name = case.graph.bits, case.graph.bits.names[case.treatment]
    everything, factors = (1 << len(bits.names)) - 1, []
    for district in case.districts():
        found = identified(case.graph, everything & ~district, district)
        if isinstance(found, Hedge):
            return found
        second_value = bool(district & case.carried) if primed == "mediators" else bool(district & case.moved)
        factors.append(_renamed(found, name, second(name)) if second_value else found)
    over = [bits.names[v] for v in ones((case.direct | case.through) & ~case.outcomes)]
    joint = _conditional(total(over, factors), given)
    return _primed(joint, name)


def _conditional(joint: Expression, given: tuple[str, ...]) -> Expression:
    """The joint with ``given`` divided by P(given), which is dropped where it is a factor."""
    if not given:
        return joint
    over, body = (joint.over, joint.body) if isinstance(joint, Sum) else ((), joint)
    factors = list(body.factors) if isinstance(body, Product) else [body]
    for factor in factors:
        if isinstance(factor, P) and set(factor.outcomes) == set(given) and not factor.given:
            factors.remove(factor)
            return total(over, factors)
    return ratio(joint, P(given))


def _renamed(part: Expression, old: str, new: str) -> Expression:
    """``part`` with another name for a free variable."""
    if old not in part.free:
        return part
    if isinstance(part, P):
        swap = {old: new}
        return P(*(tuple(swap.get(v, v) for v in group) for group in (part.outcomes, part.given, part.do)))
    if isinstance(part, Product):
        return Product(tuple(_renamed(f, old, new) for f in part.factors))
    if isinstance(part, Quotient):
        return Quotient(_renamed(part.above, old, new), _renamed(part.below, old, new))
    assert isinstance(part, Sum)
    return Sum(part.over, _renamed(part.body, old, new))


def _primed(part: Expression, name: str) -> Expression:
    """``part`` with each probability that mentions the second value of ``name`` as a ``Primed`` one."""
    if second(name) not in part.variables:
        return part
    if isinstance(part, P):
        body = _renamed(part, second(name), name)
        assert isinstance(body, P)
        return Primed(body, name)
    if isinstance(part, Product):
        return Product(tuple(_primed(f, name) for f in part.factors))
    if isinstance(part, Quotient):
        return Quotient(_primed(part.above, name), _primed(part.below, name))
    assert isinstance(part, Sum)
    return Sum(part.over, _primed(part.body, name))
