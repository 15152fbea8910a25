"""Covariate adjustment in a DAG with hidden nodes: the complete criterion and its sets, by reachability.

A set Z identifies P(y | do(x)) by adjustment exactly when it is measured, holds no forbidden node (a
descendant of a node on a causal path), and separates x from y once the first edges of the causal paths are
taken out (the proper back-door graph). Everything works on bit sets, so nothing enumerates paths or subsets.

For a MAG or PAG the DAG is the canonical one of a member, with a hidden node for each <-> edge. Once the effect is
amenable (``whence.identification.amenability``) and no forbidden node of any member is used, a set that separates
there does so in every member.

Sources: Shpitser, VanderWeele, Robins (2010); Perkovic, Textor, Kalisch, Maathuis (2018), Complete graphical
characterization and construction of adjustment sets; van der Zander, Liskiewicz, Textor (2019), Separators and
adjustment sets in causal graphs; Henckel, Perkovic, Maathuis (2022), Graphical criteria for efficient total
effect estimation (the O-set); Takata (2010), Space-optimal, backtracking algorithms to list the minimal
vertex separators of a graph.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from whence.graphs.bits import closure, ones, union


@dataclass(frozen=True)
class Problem:
    """Effect of treatments on outcomes in a DAG. All sets are bit sets over its nodes.

    parents, children: per node. measured: nodes that may be adjusted for. given: nodes that must be in
    every set (the effect within their levels), non-descendants of the treatments. possible: for a class of
    which the DAG is one member, the causal and the forbidden nodes of all members together.
    """

    parents: Sequence[int]
    children: Sequence[int]
    treatments: int
    outcomes: int
    measured: int
    given: int = 0
    possible: tuple[int, int] | None = None

    @functools.cached_property
    def causal(self) -> int:
        """Nodes on causal paths from a treatment to an outcome that meet no other treatment; no treatments."""
        if self.possible is not None:
            return self.possible[0]
        forward = avoiding(self.children, union(self.children, self.treatments), self.treatments)
        return forward & avoiding(self.parents, self.outcomes, self.treatments)

    @functools.cached_property
    def forbidden(self) -> int:
        """The causal nodes and all their descendants: adjusting for one takes away or distorts the effect."""
        if self.possible is not None:
            return self.possible[1]
        return closure(self.children, self.causal)

    @functools.cached_property
    def candidates(self) -> int:
        """The nodes an adjustment set may hold."""
        return self.measured & ~(self.forbidden | self.treatments | self.outcomes)

    @functools.cached_property
    def backdoor(self) -> list[int]:
        """Parents in the proper back-door graph: edges from treatments into causal nodes are gone."""
        cut = list(self.parents)
        for v in ones(self.causal):
            cut[v] &= ~self.treatments
        return cut

    @functools.cached_property
    def backdoor_children(self) -> list[int]:
        cut = list(self.children)
        for x in ones(self.treatments):
            cut[x] &= ~self.causal
        return cut

    @functools.cached_property
    def relevant(self) -> int:
        """Ancestors of treatments, outcomes and given nodes in the back-door graph: minimal sets lie here."""
        return closure(self.backdoor, self.treatments | self.outcomes | self.given)

    @functools.cached_property
    def largest(self) -> int:
        """The candidates among the relevant nodes: if any set is valid, this one is (van der Zander et al.)."""
        return self.candidates & self.relevant

    @functools.cached_property
    def adjustable(self) -> bool:
        """Whether a valid adjustment set exists."""
        return self.adjustable_with(0)

    def adjustable_with(self, extra: int) -> bool:
        """Whether a valid set would exist if ``extra`` were measured as well."""
        allowed = (self.measured | extra) & ~(self.forbidden | self.treatments | self.outcomes)
        if self.given & ~allowed:
            return False
        return not self._spread(self.treatments, allowed & self.relevant, self.relevant)[0] & self.outcomes

    def valid(self, adjusted: int) -> bool:
        """Whether adjusting for exactly this set gives the effect."""
        if adjusted & ~self.candidates or self.given & ~adjusted:
            return False
        within = closure(self.backdoor, self.treatments | self.outcomes | adjusted)
        return not self._spread(self.treatments, adjusted, within)[0] & self.outcomes

    def _spread(self, start: int, blocked: int, within: int) -> tuple[int, int]:
        return spread(self.backdoor, self.backdoor_children, start, blocked, within)

    def optimal(self) -> int | None:
        """The O-set with the given nodes: parents of causal nodes that are not forbidden.

        None when a node of it is hidden, when an outcome lies on no causal path, or when the given nodes
        open a path. Among valid sets it has the smallest asymptotic variance in linear models.
        """
        if not self.causal or self.outcomes & ~self.causal:
            return None
        chosen = union(self.parents, self.causal) & ~(self.forbidden | self.treatments) | self.given
        return chosen if self.valid(chosen) else None

    def nearest(self) -> int | None:
        """A minimal valid set, as near to the outcomes as possible; None when no set is valid."""
        if not self.adjustable:
            return None
        _, near = self._spread(self.outcomes, self.largest, self.relevant)
        _, needed = self._spread(self.treatments, near | self.given, self.relevant)
        return needed & near | self.given

    def minimal(self) -> Iterator[int]:
        """All minimal valid sets (each holds the given nodes), one by one with polynomial delay.

        They are the minimal separators of treatments and outcomes in the moral graph of the relevant
        nodes (van der Zander et al.). Branching as in Takata (2010): a separator either holds a node v
        of the one nearest to the outcomes, or has v on their side. The nearest one comes first.
        """
        if not self.adjustable:
            return
        usable = self.largest & ~self.given
        stack = [(self.outcomes, 0)]
        while stack:
            side, fixed = stack.pop()
            grown, border = self._spread(side, usable & ~side | self.given, self.relevant)
            if grown & self.treatments:
                continue
            _, separator = self._spread(self.treatments, border | self.given, self.relevant)
            separator &= ~self.given
            if fixed & ~separator:
                continue
            free = separator & ~fixed
            if not free:
                yield separator | self.given
                continue
            grown, _ = self._spread(self.outcomes, separator | self.given, self.relevant)
            v = free & -free
            stack.append((grown | v, fixed))
            stack.append((grown, fixed | v))

    def open_path(self, adjusted: int) -> list[int]:
        """A shortest non-causal path from a treatment to an outcome left open by the set; ``[]`` when none.

        Breadth first over (node, whether the edge came in at an arrowhead). A collider passes when it
        or a descendant is adjusted for.
        """
        opens = closure(self.backdoor, adjusted)
        came: dict[tuple[int, bool], tuple[int, bool] | None] = {(x, False): None for x in ones(self.treatments)}
        level = list(came)
        while level:
            following = []
            for state in level:
                v, headed = state
                if self.outcomes >> v & 1:
                    return _trace(came, state)
                blocked = adjusted >> v & 1
                first = came[state] is None
                up = (opens >> v & 1) if headed else first or not blocked
                steps = [(p, False) for p in ones(self.backdoor[v])] if up else []
                if not blocked:
                    steps += [(c, True) for c in ones(self.backdoor_children[v])]
                for step in steps:
                    if step not in came:
                        came[step] = state
                        following.append(step)
            level = following
        return []


def spread(parents: Sequence[int], children: Sequence[int], start: int, blocked: int, within: int) -> tuple[int, int]:
    """What ``start`` reaches in the moral graph of ``within`` without entering ``blocked``; and the border.

    within: a set that holds the parents of its members. Each family (a node and its parents) is a clique of
    the moral graph and is opened once.
    """
    seen, border, opened, level = start, 0, 0, start
    while level:
        families = (union(children, level) & within | level) & ~opened
        opened |= families
        met = (families | union(parents, families)) & ~seen
        border |= met & blocked
        level = met & ~blocked
        seen |= level
    return seen, border


def connected(parents: Sequence[int], children: Sequence[int], start: int, given: int) -> int:
    """The nodes d-connected to ``start`` (disjoint from ``given``) given a set, ``start`` included."""
    opens = closure(parents, given)
    heads, tails = 0, start  # entered through an arrowhead, through a tail
    seen_heads, seen_tails = heads, tails
    while heads or tails:
        down, up = (tails | heads) & ~given, tails & ~given | heads & opens
        heads, tails = union(children, down) & ~seen_heads, union(parents, up) & ~seen_tails
        seen_heads |= heads
        seen_tails |= tails
    return seen_heads | seen_tails


def _trace(came: dict[tuple[int, bool], tuple[int, bool] | None], state: tuple[int, bool] | None) -> list[int]:
    path = []
    while state is not None:
        path.append(state[0])
        state = came[state]
    return path[::-1]


def avoiding(table: Sequence[int], start: int, avoid: int) -> int:
    """``start`` without ``avoid`` and all reached by steps of ``table`` that never enter ``avoid``."""
    seen = new = start & ~avoid
    while new:
        new = union(table, new) & ~(seen | avoid)
        seen |= new
    return seen
