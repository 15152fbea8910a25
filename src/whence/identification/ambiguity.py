"""What a class of DAGs (CPDAG, MPDAG) leaves open about an effect.

An effect has one value in all DAGs of a class only if no possibly causal path starts with an undirected edge
out of a treatment (amenability). Once that holds, every member has the same forbidden nodes and the same
valid sets, so one member answers for all.

Sources: Perkovic, Kalisch, Maathuis (2017), Interpreting and using CPDAGs with background knowledge;
Perkovic (2020), Identifying causal effects in maximally oriented partially directed acyclic graphs (without
hidden nodes the condition is also necessary, whatever the method).
"""

from __future__ import annotations

from whence.graphs.bits import Bits, ones


def ambiguous_path(bits: Bits, treatments: int, outcomes: int) -> tuple[int, ...]:
    """A possibly causal path that starts with an undirected edge out of a treatment; ``()`` when there is none.

    Inner nodes are no treatments. A path through a parent of its own treatment would close a cycle, so it
    is not possibly causal; that only happens in an MPDAG.
    """
    for x in ones(treatments):
        if not bits.neighbours[x] & ~treatments:
            continue
        paths = possible_paths(bits, outcomes, treatments | bits.parents[x])
        starts = [paths[v] for v in ones(bits.neighbours[x]) if v in paths]
        if starts:
            return (x, *min(starts, key=len))
    return ()


def possible_paths(bits: Bits, targets: int, avoid: int = 0) -> dict[int, tuple[int, ...]]:
    """The nodes that may affect a target without passing ``avoid``, each with such a path to a target.

    The path can be chosen as an unshielded undirected one followed by a directed one.
    """
    paths: dict[int, tuple[int, ...]] = {v: (v,) for v in ones(targets & ~avoid)}
    level = list(paths)
    while level:
        found = [(u, v) for v in level for u in ones(bits.parents[v] & ~avoid)]
        level = []
        for u, v in found:
            if u not in paths:
                paths[u] = (u, *paths[v])
                level.append(u)
    edges = {(u, v): (u, *path) for v, path in paths.items() for u in ones(bits.neighbours[v] & ~avoid)}
    seen = set(edges)
    while edges:
        following = {}
        for (u, v), path in edges.items():
            paths.setdefault(u, path)
            for w in ones(bits.neighbours[u] & ~(avoid | bits.adjacent[v] | 1 << v)):
                if (w, u) not in seen:
                    seen.add((w, u))
                    following[w, u] = (w, *path)
        edges = following
    return paths
