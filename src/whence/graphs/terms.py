"""A statement about two nodes of a class of DAGs as alternatives of arrows, and which members satisfy it.

In a member D, "a reaches b without passing w" holds exactly when D has the arrow a --> u for one of the first
steps u of possibly directed paths from a to b around w: undirected edges on which no node is adjacent to the
next but one, then arrows. (A shortest directed path of D has no chord; the other way, no member makes a new
v-structure, so such a path follows its first arrow.) Hence every statement of ``claims`` is "D has all arrows
of one of these terms", and what is left is to add arrows to the class, which Meek's rules decide exactly.

Sources: Meek (1995), theorem 4; Perkovic, Kalisch and Maathuis (2017), section 3; Fang, Liu, Geng, Zhu and He
(2022), "A local method for identifying causal relations under Markov equivalence" (the critical set).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import product

import numpy as np

from whence.graphs.bits import Bits, closure, ones
from whence.graphs.graph import ARROW, TAIL
from whence.graphs.orient import meek

Arrow = tuple[int, int]
Term = frozenset[Arrow]


def parent(bits: Bits, a: int, b: int) -> Iterator[Term]:
    """The arrow a --> b."""
    if (bits.children[a] | bits.neighbours[a]) >> b & 1:
        yield _term(bits, (a, b))


def causes(bits: Bits, a: int, b: int) -> Iterator[Term]:
    """A directed path from a to b."""
    for u, reached in _first_steps(bits, a, 0).items():
        if reached >> b & 1:
            yield _term(bits, (a, u))


def indirect(bits: Bits, a: int, b: int) -> Iterator[Term]:
    """A directed path of two arrows or more: a reaches, not by b, another parent p of b."""
    last = (bits.parents[b] | bits.neighbours[b]) & ~(1 << a)
    for u, reached in _first_steps(bits, a, 1 << b).items():
        for p in ones(reached & last):
            yield _term(bits, (a, u), (p, b))


def common_cause(bits: Bits, a: int, b: int) -> Iterator[Term]:
    """A third node that reaches a without passing b and b without passing a."""
    to_a, to_b = _toward(bits, a, 1 << b), _toward(bits, b, 1 << a)
    for c, (us, vs) in enumerate(zip(to_a, to_b, strict=True)):
        if us and vs and c not in (a, b):
            for u, v in product(ones(us), ones(vs)):
                yield _term(bits, (c, u), (c, v))


def common_effect(bits: Bits, a: int, b: int) -> Iterator[Term]:
    """A third node that a reaches without passing b and b without passing a."""
    third = ~(1 << a | 1 << b)
    from_b = _first_steps(bits, b, 1 << a)
    for u, reached in _first_steps(bits, a, 1 << b).items():
        for v, also in from_b.items():
            if reached & also & third:
                yield _term(bits, (a, u), (b, v))


TERMS: dict[str, Callable[[Bits, int, int], Iterator[Term]]] = {
    "parent": parent, "causes": causes, "indirect": indirect, "common_cause": common_cause,
    "common_effect": common_effect,
}


def _term(bits: Bits, *arrows: Arrow) -> Term:
    """The arrows that the class leaves open; those it has already are no condition."""
    return frozenset(arrow for arrow in arrows if bits.neighbours[arrow[0]] >> arrow[1] & 1)


def _first_steps(bits: Bits, a: int, avoid: int) -> dict[int, int]:
    """For each node u next to a, the nodes that a reaches in every member with a --> u (u among them)."""
    keep = ~(avoid | 1 << a)
    children = [row & keep for row in bits.children]
    found = {u: closure(children, 1 << u) for u in ones(bits.children[a] & keep)}
    for u in ones(bits.neighbours[a] & keep):
        met, steps, seen = 1 << u, [(a, u)], {(a, u)}
        while steps:
            s, t = steps.pop()
            for w in ones(bits.neighbours[t] & keep & ~(bits.adjacent[s] | 1 << s)):
                if (t, w) not in seen:
                    seen.add((t, w))
                    met |= 1 << w
                    steps.append((t, w))
        found[u] = closure(children, met)
    return found


def _toward(bits: Bits, target: int, avoid: int) -> list[int]:
    """For each node c, the nodes u such that c reaches ``target`` in every member with c --> u."""
    keep = (1 << len(bits.names)) - 1 & ~avoid
    above = closure([row & keep for row in bits.parents], 1 << target)
    steps = [0] * len(bits.names)
    waiting: list[Arrow] = []
    for c in ones(keep & ~(1 << target)):
        steps[c] = (bits.children[c] | bits.neighbours[c]) & above
        waiting += [(c, u) for u in ones(bits.neighbours[c] & above)]
    while waiting:
        u, w = waiting.pop()
        for c in ones(bits.neighbours[u] & keep & ~(bits.adjacent[w] | 1 << w | 1 << target)):
            if not steps[c] >> u & 1:
                steps[c] |= 1 << u
                waiting.append((c, u))
    return steps


def shortest(terms: Iterable[Term]) -> list[Term]:
    """The terms that contain no other, in a fixed order; only the empty one when it is there."""
    singles: set[Term] = set()
    others: set[Term] = set()
    for term in terms:
        if not term:
            return [term]
        (singles if len(term) == 1 else others).add(term)
    lone = {arrow for term in singles for arrow in term}
    kept = [term for term in others if not term & lone]
    return sorted([*singles, *kept], key=lambda term: (len(term), sorted(term)))


def add_arrows(marks: np.ndarray, arrows: Iterable[Arrow]) -> np.ndarray | None:
    """The class ``marks`` narrowed to the members with all these arrows, or None when there are none.

    marks: closed under Meek's rules. One arrow at a time: either end of an undirected edge of a closed graph
    is the head in some member, so only an arrow that the ones before have turned round stands in the way.
    """
    for a, b in arrows:
        if marks[a, b] == ARROW and marks[b, a] == TAIL:
            continue
        if marks[b, a] != TAIL or marks[a, b] != TAIL:
            return None
        marks = meek(marks, [(a, b)])
    return marks


class Spent(Exception):
    """The search has used its budget without an answer."""


def with_term(marks: np.ndarray, terms: Iterable[Term], budget: int = 2000) -> np.ndarray | None:
    """A part of the class whose members all have the arrows of one term, or None. Raises ``Spent``."""
    for tried, term in enumerate(terms):
        if tried >= budget:
            raise Spent
        found = add_arrows(marks, sorted(term))
        if found is not None:
            return found
    return None


def without_terms(marks: np.ndarray, terms: list[Term], budget: int = 2000) -> np.ndarray | None:
    """A part of the class in whose members every term lacks an arrow, or None. Raises ``Spent``.

    The shortest term open is broken by turning one of its arrows round, the others in turn when that leads
    nowhere; after a turn that fails its arrow is kept. Terms of one arrow need no choice, so the search is
    polynomial for them; ``budget`` limits the number of turns otherwise.
    """
    waiting = [marks]
    while waiting:
        marks = waiting.pop()
        term = _least_open(marks, terms)
        if term is None:
            return marks
        ways = []
        for a, b in term:
            if marks[b, a] == ARROW:  # turned round by the arrows kept before it
                ways.append(marks)
                break
            if marks[a, b] == TAIL:
                budget -= 1
                if budget < 0:
                    raise Spent
                ways.append(meek(marks, [(b, a)]))
                marks = meek(marks, [(a, b)])
        waiting += reversed(ways)
    return None


def _least_open(marks: np.ndarray, terms: Iterable[Term]) -> list[Arrow] | None:
    """The open arrows of a term that no member's arrow breaks yet, the fewest first; None when all are broken."""
    best: list[Arrow] | None = None
    for term in terms:
        if any(marks[b, a] == ARROW for a, b in term):
            continue
        left = sorted((a, b) for a, b in term if marks[a, b] == TAIL)
        if not left:
            return left
        if best is None or len(left) < len(best):
            best = left
            if len(best) == 1:
                break
    return best
