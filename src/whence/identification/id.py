"""The ID algorithm: an effect from what is measured, or the hedge that shows that no method can give it.

Every distribution the recursion passes down is kept as factors, one per node given those before it in one fixed
topological order; lines 6 and 7 take their conditionals from that distribution, never from P(v) again.

Source: Shpitser and Pearl (2006), Identification of joint interventional distributions in recursive semi-Markovian
causal models, figure 3; Tian (2002) for the nodes a factor may leave out (its district and that one's parents stay).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from whence.graphs.bits import Bits, closure, ones, topological, union
from whence.graphs.classes import ADMG
from whence.identification.expression import Expression, P
from whence.identification.hedge import Hedge, forest
from whence.identification.reduction import ratio, total


class _Hedged(Exception):
    """Line 5: the two sets of nodes that stand against the effect."""

    def __init__(self, outer: int, inner: int) -> None:
        super().__init__(outer, inner)
        self.outer, self.inner = outer, inner


@dataclass(frozen=True)
class _Graph:
    """bits: the graph over measured nodes. before: per node, those earlier in the topological order."""

    bits: Bits
    before: Sequence[int]

    def ancestors(self, nodes: int, within: int) -> int:
        return closure([p & within for p in self.bits.parents], nodes & within)

    def district(self, nodes: int, within: int) -> int:
        return closure([s & within for s in self.bits.spouses], nodes & within)

    def districts(self, within: int) -> list[int]:
        """The districts, the one with the last node first."""
        found = []
        while within:
            found.append(self.district(within & -within, within))
            within &= ~found[-1]
        return sorted(found, key=lambda d: -self.before[self.last_first(d)[0]].bit_count())

    def last_first(self, nodes: int) -> list[int]:
        """The members, effects before their causes."""
        return sorted(ones(nodes), key=lambda v: -self.before[v].bit_count())


@dataclass(frozen=True)
class _Distribution:
    """P of the nodes, as the sum over ``summed`` of the product of ``factors``.

    factors: for each node and each summed one, its probability given earlier ones; None for the
    distribution that was observed, of which nothing is summed out.
    """

    graph: _Graph
    nodes: int
    summed: int = 0
    factors: Mapping[int, Expression] | None = None

    def marginal(self, nodes: int) -> _Distribution:
        """The same over a subset that holds the parents of its members."""
        if self.factors is None:
            return _Distribution(self.graph, nodes)
        return _Distribution(self.graph, nodes, self.summed | self.nodes & ~nodes, self.factors)

    def of(self, nodes: int) -> Expression:
        """P of some of the nodes as an expression."""
        bits = self.graph.bits
        if self.factors is None:
            return P(bits.sorted_of(nodes))
        return self._total(self.nodes | self.summed, (self.nodes | self.summed) & ~nodes)

    def conditional(self, v: int) -> Expression:
        """P of a node given those of the nodes before it.

        The factors that no summed node ties to that of v stand above and below the line and cancel.
        """
        bits, before = self.graph.bits, self.graph.before[v]
        if self.factors is None:
            family = self.graph.district(1 << v, self.nodes & (before | 1 << v))
            return P((bits.names[v],), bits.sorted_of((family | union(bits.parents, family)) & ~(1 << v)))
        inside, over = self._needed((self.nodes | self.summed) & (before | 1 << v), self.summed & before)
        tied, ties = 1 << v, self._free(v) & over
        while more := [u for u in ones(inside & ~tied) if self._free(u) & ties]:
            for u in more:
                tied |= 1 << u
                ties |= self._free(u) & over
        if not ties:
            return self.factors[v]
        return ratio(self._total(tied, ties), self._total(tied & ~(1 << v), ties))

    def _free(self, v: int) -> int:
        assert self.factors is not None
        bits = self.graph.bits
        return bits.bits_of(self.factors[v].free)

    def _needed(self, inside: int, over: int) -> tuple[int, int]:
        """Without the summed nodes that occur in their own factor only, which sums to one."""
        for v in self.graph.last_first(inside & over):
            if not any(self._free(u) >> v & 1 for u in ones(inside & ~(1 << v))):
                inside, over = inside & ~(1 << v), over & ~(1 << v)
        return inside, over

    def _total(self, inside: int, over: int) -> Expression:
        assert self.factors is not None
        inside, over = self._needed(inside, over)
        return total(self.graph.bits.sorted_of(over), [self.factors[v] for v in self.graph.last_first(inside)])


def identified(graph: ADMG, x: int, y: int) -> Expression | Hedge:
    """P(y | do(x)) from the distribution of the measured nodes, or a hedge.

    graph: without latent nodes (see ``latent_projection``). x, y: disjoint bit sets. The expression may depend
    on nodes other than x and y: its value is the same whatever theirs.
    """
    bits, before, seen = graph.bits, [0] * len(graph), 0
    for v in topological(bits.parents, bits.children):
        before[v] = seen
        seen |= 1 << v
    try:
        return _id(y, x, _Distribution(_Graph(bits, before), seen))
    except _Hedged as found:
        return forest(graph, x, y, found.outer, found.inner)


def _id(y: int, x: int, p: _Distribution) -> Expression:
    graph, v = p.graph, p.nodes
    # Line 1: no intervention is left.
    if not x:
        return p.of(y)
    # Line 2: what is no ancestor of the outcomes can be ignored.
    above = graph.ancestors(y, v)
    if above != v:
        return _id(y, x & above, p.marginal(above))
    # Line 3: intervening on what affects the outcomes only through x changes nothing.
    without = v & ~x & ~graph.ancestors(y, v & ~x)
    if without:
        return _id(y, x | without, p)
    # Line 4: each district without x on its own.
    parts = graph.districts(v & ~x)
    if len(parts) > 1:
        return total(graph.bits.sorted_of(v & ~(y | x)), [_id(s, v & ~s, p) for s in parts])
    (s,) = parts
    around = graph.district(s, v)
    # Line 5: everything is one district: x and s cannot be told apart.
    if around == v:
        raise _Hedged(v, s)
    # Line 6: s is a district of its own.
    if around == s:
        return total(graph.bits.sorted_of(s & ~y), [p.conditional(k) for k in graph.last_first(s)])
    # Line 7: go on inside the district around s, with its own distribution.
    return _id(y, x & around, _Distribution(graph, around, 0, {k: p.conditional(k) for k in ones(around)}))
