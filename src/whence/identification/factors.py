"""A joint distribution and an effect as products with one factor per district; which factors can be computed.

Source: Tian, Pearl (2002), A general identification condition for causal effects, lemmas 1 to 4; whether a factor can
be computed is asked of the ID algorithm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from whence.graphs.bits import Bits, closure, ones, union
from whence.graphs.classes import ADMG, DAG
from whence.graphs.graph import Graph
from whence.graphs.transform import latent_projection
from whence.identification.asked import check_apart, checked_graph, checked_nodes
from whence.identification.hedge import Hedge
from whence.identification.id import identified

MOST_APART = 300  # response types that a node's independence of others is written out for


@dataclass(frozen=True)
class Question:
    """The effect of node x on node y. graph: over the measured nodes. causes: the sets that one hidden cause reaches.

    Nodes are positions in name order and sets of them bit sets, as in ``graph.bits``.
    """

    graph: ADMG
    x: int
    y: int
    causes: tuple[int, ...] | None = None

    @property
    def bits(self) -> Bits:
        return self.graph.bits

    @property
    def names(self) -> tuple[str, ...]:
        return self.graph.bits.names

    def outside(self, nodes: int) -> int:
        """The parents of a set that are not in it."""
        return union(self.bits.parents, nodes) & ~nodes

    def one_cause(self, nodes: int) -> bool:
        """Whether one hidden cause may reach all of them: in an ADMG, whether <-> joins every pair."""
        if self.causes is not None:
            return nodes.bit_count() < 2 or any(not nodes & ~each for each in self.causes)
        return all(not nodes & ~(self.bits.spouses[v] | 1 << v) for v in ones(nodes))

    def strangers(self, v: int, within: int) -> int:
        """The members of a set that share no hidden cause with v."""
        return within & ~self.bits.spouses[v] & ~(1 << v)


def question(graph: Graph | Any, treatment: str, outcome: str) -> Question:
    """Raises ``WhenceError``: ``unknown_node``, ``latent_node``, ``role_conflict``, ``unsupported_graph``."""
    checked = checked_graph(graph, "The search for bounds")
    (treatment,), (outcome,) = (checked_nodes(checked, (name,), role)
                                for name, role in ((treatment, "treatment"), (outcome, "outcome")))
    check_apart(treatment=(treatment,), outcome=(outcome,))
    projected = latent_projection(checked)
    rank = projected.bits.rank
    causes = _causes(checked, projected) if isinstance(checked, DAG) else None
    return Question(projected, rank[treatment], rank[outcome], causes)


def _causes(graph: DAG, projected: ADMG) -> tuple[int, ...]:
    """What each latent node reaches through latent nodes alone (Evans 2016, lemmas 1 and 2)."""
    bits, hidden = graph.bits, graph.bits.bits_of(graph.latents)
    below = [children if hidden >> v & 1 else 0 for v, children in enumerate(bits.children)]
    reached = (closure(below, 1 << v) & ~hidden for v in ones(hidden))
    return tuple(projected.bits.bits_of(bits.set_of(each)) for each in reached)


@dataclass(frozen=True)
class Factors:
    """What an effect is made of.

    table: the product of the districts' factors, axes in name order. misfit: its total distance from what was given.
    open: the districts that the effect needs a term of which cannot be computed. needed: the nodes on which the
    outcome depends under the intervention. rest: per arm the outcome's score times the terms that can be computed,
    with the treatment at its level, summed over what no term of ``open`` depends on.
    """

    asked: Question
    table: np.ndarray = field(repr=False)
    misfit: float
    needed: int
    open: tuple[int, ...]
    arms: tuple[int, ...]
    rest: tuple[np.ndarray, ...] = field(repr=False)

    @property
    def district(self) -> int:
        """All open districts together."""
        return sum(self.open)

    @property
    def roots(self) -> list[int]:
        """The nodes of the open districts without parents that share no hidden cause with some other.

        Those are left out of which the others have too many response types to tell independence of each.
        """
        inside, parents = self.district, self.asked.bits.parents
        return [v for v in ones(inside)
                if not parents[v] and 1 < self._types(self.asked.strangers(v, inside)) <= MOST_APART]

    def _types(self, nodes: int) -> float:
        """How many response types the nodes have, all functions of their parents counted."""
        levels, parents = self.table.shape, self.asked.bits.parents
        log = sum(math.log(levels[v]) * math.prod(levels[p] for p in ones(parents[v])) for v in ones(nodes))
        return math.exp(min(log, 100.0))

    @property
    def sharp(self) -> bool:
        """Whether the linear constraints on the open district are all there are.

        With one hidden cause over all but a root without parents, any law of the types in which the root is independent
        of its strangers arises: let its own cause be the root, and let those that cause reaches look at it.
        """
        asked, inside = self.asked, self.district
        if len(self.open) > 1:
            return False
        return asked.one_cause(inside) or any(
            asked.one_cause(inside & ~asked.strangers(v, inside)) and asked.one_cause(inside & ~(1 << v))
            for v in self.roots
        )


def factors(asked: Question, table: np.ndarray, scores: np.ndarray, arms: Sequence[int]) -> Factors:
    """The parts of E[score of y | do(x = level)] for the levels of ``arms``."""
    bits = asked.bits
    split = districts(bits, (1 << len(bits.names)) - 1)
    fitted = _product([_given(factor(asked, table, each)) for each in split], table.shape)
    fitted = np.nan_to_num(fitted)
    fitted /= fitted.sum()
    needed = closure([p & ~(1 << asked.x) for p in bits.parents], 1 << asked.y)
    terms = {each: factor(asked, fitted, each & needed) for each in split if each & needed}
    score = scores.reshape([-1 if v == asked.y else 1 for v in range(table.ndim)])
    left = [each for each, term in terms.items() if term is None]
    while True:
        known = {each: _given(term) for each, term in terms.items() if each not in left}
        unseen: set[int] = set()
        rest = [_rest(asked, known, needed, sum(left), score, level, unseen) for level in arms]
        if not unseen:
            break
        left += sorted(unseen)  # not determined where its causes never take the levels asked for
    return Factors(asked, fitted, float(np.abs(fitted - table).sum()), needed, tuple(sorted(left)), tuple(arms),
                   tuple(rest))


def _rest(asked: Question, known: dict[int, np.ndarray], needed: int, inside: int, score: np.ndarray, level: int,
          unseen: set[int]) -> np.ndarray:
    terms = {each: term.take([min(level, term.shape[asked.x] - 1)], axis=asked.x) for each, term in known.items()}
    shape = np.broadcast_shapes(score.shape, *(term.shape for term in terms.values()))
    whole = _product(list(terms.values()), shape)
    unseen.update(each for each, term in terms.items() if (np.isnan(term) & np.isnan(whole)).any())
    target = needed & inside
    keep = target | asked.outside(target)
    return (whole * score).sum(axis=tuple(v for v in range(whole.ndim) if not keep >> v & 1), keepdims=True)


def districts(bits: Bits, within: int) -> list[int]:
    """The sets of nodes that <-> ties together."""
    spouses, found = [s & within for s in bits.spouses], []
    while within:
        found.append(closure(spouses, within & -within))
        within &= ~found[-1]
    return found


def factor(asked: Question, table: np.ndarray, nodes: int) -> np.ndarray | None:
    """P(nodes | do(all others)) from the joint distribution; None where the graph does not identify it.

    One axis per node of the graph, of length 1 where it does not depend on it. NaN where it is not determined.
    """
    everything = (1 << table.ndim) - 1
    found = identified(asked.graph, everything & ~nodes, nodes)
    if isinstance(found, Hedge):
        return None
    values = found.evaluate(table, asked.names)
    keep = nodes | asked.outside(nodes)
    spare = tuple(v for v in range(values.ndim) if not keep >> v & 1)
    seen = ~np.isnan(values)
    count = seen.sum(axis=spare, keepdims=True)
    total = np.where(seen, values, 0.0).sum(axis=spare, keepdims=True)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return np.broadcast_to(mean, [table.shape[v] if keep >> v & 1 else 1 for v in range(table.ndim)])


def _given(term: np.ndarray | None) -> np.ndarray:
    assert term is not None  # a whole district is always identified
    return term


def _product(terms: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Where one factor is zero the product is, whatever the others."""
    whole, zero = np.ones(shape), np.zeros(shape, dtype=bool)
    for term in terms:
        whole = whole * term
        zero = zero | (term == 0)
    return np.where(zero, 0.0, whole)
