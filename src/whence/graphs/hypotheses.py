"""The hypotheses about pairs of nodes that hold in every DAG of a class, by its members where they are few."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, permutations

from whence.graphs.bits import closure, ones

Hypothesis = tuple[str, int, int]


def equivalent_dags(parents: list[int]) -> Iterator[tuple[int, ...]]:
    """Every DAG Markov equivalent to one, as the bit sets of its nodes' parents, itself first.

    Each is reached by turning round one arrow a --> b whose ends have the same other parents (Chickering 1995,
    theorem 2).
    """
    start = tuple(parents)
    seen, waiting = {start}, [start]
    while waiting:
        one = waiting.pop()
        yield one
        for b, above in enumerate(one):
            for a in ones(above):
                if one[a] | 1 << a == above:
                    turned = list(one)
                    turned[b], turned[a] = above & ~(1 << a), one[a] | 1 << b
                    if tuple(turned) not in seen:
                        seen.add(tuple(turned))
                        waiting.append(tuple(turned))


def held(parents: tuple[int, ...]) -> set[Hypothesis]:
    """The hypotheses, (kind, a, b) as in ``claims``, that hold in one DAG; a < b in the symmetric kinds."""
    d = len(parents)
    children = [sum(1 << j for j in range(d) if parents[j] >> k & 1) for k in range(d)]
    below = [closure(children, 1 << k) for k in range(d)]
    up, down = ({(a, b): closure([row & ~(1 << b) for row in table], 1 << a) & ~(1 << a)
                 for a, b in permutations(range(d), 2)} for table in (parents, children))
    out: set[Hypothesis] = set()
    for a, b in permutations(range(d), 2):
        if children[a] >> b & 1:
            out.add(("parent", a, b))
        if any(below[c] >> b & 1 for c in ones(children[a] & ~(1 << b))):
            out.add(("indirect", a, b))
        if a < b and up[a, b] & up[b, a]:
            out.add(("common_cause", a, b))
        if a < b and down[a, b] & down[b, a]:
            out.add(("common_effect", a, b))
    return out


def held_in_all(parents: list[int], most: int = 2000) -> tuple[set[Hypothesis], bool]:
    """What holds in each of the first ``most`` members of a class, and whether those are all."""
    members = equivalent_dags(parents)
    left = set.intersection(*map(held, islice(members, most)))
    return left, next(members, None) is None
