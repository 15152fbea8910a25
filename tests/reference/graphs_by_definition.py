"""Graph notions straight from their definitions, by enumeration. Slow on purpose; no code shared with src.

A graph here is a list of ``(a, edge, b)`` triples and a list of names.
"""

from __future__ import annotations

import random
from itertools import combinations, pairwise, permutations, product

FLIP = {"-->": "<--", "<--": "-->", "<->": "<->", "---": "---"}


def all_dags(names):
    """Every DAG over ``names`` as a sorted tuple of (parent, child) pairs."""
    found = set()
    for order in permutations(names):
        pairs = list(combinations(order, 2))
        for keep in product((False, True), repeat=len(pairs)):
            found.add(tuple(sorted(p for p, k in zip(pairs, keep, strict=True) if k)))
    return sorted(found)


def random_dag_edges(names, density, rng: random.Random):
    order = list(names)
    rng.shuffle(order)
    return [(a, "-->", b) for a, b in combinations(order, 2) if rng.random() < density]


def below(edges, node):
    """The node and its descendants by -->."""
    found = {node}
    while True:
        more = {b for a, e, b in edges if e == "-->" and a in found}
        more |= {a for a, e, b in edges if e == "<--" and b in found}
        if more <= found:
            return found
        found |= more


def simple_paths(edges, x, y):
    """Every path without a repeated node, as lists of (a, edge, b) steps from x to y."""
    both = [*edges, *[(b, FLIP[e], a) for a, e, b in edges]]

    def extend(path, seen):
        end = path[-1][2] if path else x
        if end == y:
            yield list(path)
            return
        for step in both:
            if step[0] == end and step[2] not in seen:
                yield from extend([*path, step], seen | {step[2]})

    yield from extend([], {x})


def is_open(edges, path, given):
    """A path is open when each inner node lets it through."""
    for (_, before, node), (_, after, _) in pairwise(path):
        collider = before.endswith(">") and after.startswith("<")
        if collider and not below(edges, node) & set(given):
            return False
        if not collider and node in given:
            return False
    return True


def separated(edges, xs, ys, given):
    return not any(is_open(edges, p, given) for x in xs for y in ys for p in simple_paths(edges, x, y))


def v_structures(pairs):
    """Unshielded colliders of a DAG given as (parent, child) pairs."""
    joined = {frozenset(p) for p in pairs}
    return frozenset(
        (frozenset((a, b)), c)
        for (a, c), (b, c2) in combinations(pairs, 2)
        if c == c2 and frozenset((a, b)) not in joined
    )


def equivalence_key(pairs):
    """Verma and Pearl: same adjacencies and same v-structures."""
    return frozenset(frozenset(p) for p in pairs), v_structures(pairs)


def is_acyclic(pairs):
    left = set(pairs)
    while left:
        heads = {b for _, b in left}
        keep = {(a, b) for a, b in left if a in heads}
        if keep == left:
            return False
        left = keep
    return True


def members(directed, undirected):
    """DAGs with the given arrows, the undirected edges directed somehow, and no new v-structure."""
    given = v_structures_of_mixed(directed, undirected)
    found = []
    for flips in product((False, True), repeat=len(undirected)):
        extra = [(b, a) if flip else (a, b) for (a, b), flip in zip(undirected, flips, strict=True)]
        pairs = tuple(sorted([*directed, *extra]))
        if is_acyclic(pairs) and v_structures(pairs) == given:
            found.append(pairs)
    return found


def v_structures_of_mixed(directed, undirected):
    joined = {frozenset(p) for p in [*directed, *undirected]}
    return frozenset(
        (frozenset((a, b)), c)
        for (a, c), (b, c2) in combinations(sorted(directed), 2)
        if c == c2 and frozenset((a, b)) not in joined
    )


def union_of(dags):
    """Directed pairs common to all of ``dags`` and the pairs that point both ways among them."""
    directed, undirected = set(), set()
    for pair in {frozenset(p) for p in dags[0]}:
        a, b = sorted(pair)
        ways = {(a, b) in set(d) for d in dags}
        if len(ways) == 2:
            undirected.add((a, b))
        else:
            directed.add((a, b) if ways == {True} else (b, a))
    return sorted(directed), sorted(undirected)
