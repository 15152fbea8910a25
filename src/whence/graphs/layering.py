"""Layers for a left-to-right drawing: which column each node stands in.

Any graph can be layered. Arrows without an arrowhead at their start give the direction of time, cycles
among them are broken, undirected and circle edges follow one order that agrees with the arrows, and
bidirected edges ask for nothing. Nodes are integers and every tie goes to the smaller one.

Sources: Sugiyama, Tagawa, Toda (1981); compaction after Nikolov, Tarassov (2006), node promotion.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Edge = tuple[int, int]


def layers(d: int, forward: Sequence[Edge], weak: Sequence[Edge],
           left: Iterable[int] = (), right: Iterable[int] = ()) -> list[int]:
    """Column of each of d nodes, from 0.

    forward: pairs whose first node stands before the second, where no cycle forbids it. weak: pairs that
    need different columns in either order. left, right: nodes that stand left of all but their ancestors,
    right of all but their descendants, where both wishes can be met.
    """
    long = acyclic(d, forward)
    long += _along(_careful_order(d, long, weak), weak)
    edges = [(i, j, 1) for i, j in sorted(set(long))]
    wishes = _wishes(d, long, sorted(left), sorted(right))
    column = _longest_path(d, edges + wishes)
    _promote(d, edges, wishes, column)
    used = {c: k for k, c in enumerate(sorted(set(column)))}
    return [used[c] for c in column]


def acyclic(d: int, edges: Sequence[Edge]) -> list[Edge]:
    """The edges with those turned round that close a cycle in a depth-first walk from node 0 up."""
    children: list[list[int]] = [[] for _ in range(d)]
    incoming = [0] * d
    for i, j in sorted(edges):
        children[i].append(j)
        incoming[j] += 1
    state, back = [0] * d, set()
    for root in sorted(range(d), key=lambda v: (incoming[v] > 0, v)):
        if state[root]:
            continue
        state[root] = 1
        stack = [(root, iter(children[root]))]
        while stack:
            node, rest = stack[-1]
            child = next(rest, None)
            if child is None:
                state[node] = 2
                stack.pop()
            elif state[child] == 0:
                state[child] = 1
                stack.append((child, iter(children[child])))
            elif state[child] == 1:
                back.add((node, child))
    return [(j, i) if (i, j) in back else (i, j) for i, j in edges]


def _careful_order(d: int, edges: Sequence[Edge], weak: Sequence[Edge]) -> list[int]:
    """Ranks of a topological order: nodes with many placed weak neighbours first, then those with few in all."""
    children: list[list[int]] = [[] for _ in range(d)]
    beside: list[list[int]] = [[] for _ in range(d)]
    waiting = [0] * d
    for i, j in edges:
        children[i].append(j)
        waiting[j] += 1
    for i, j in weak:
        beside[i].append(j)
        beside[j].append(i)
    placed, rank = [0] * d, [0] * d
    free = {v for v in range(d) if not waiting[v]}
    for step in range(d):
        v = min(free, key=lambda u: (-placed[u], len(beside[u]), u))
        free.remove(v)
        rank[v] = step
        for u in beside[v]:
            placed[u] += 1
        for u in children[v]:
            waiting[u] -= 1
            if not waiting[u]:
                free.add(u)
    return rank


def _along(rank: Sequence[int], weak: Sequence[Edge]) -> list[Edge]:
    return [(i, j) if rank[i] < rank[j] else (j, i) for i, j in weak]


def _reach(d: int, edges: Sequence[Edge], start: Iterable[int], backwards: bool) -> set[int]:
    step: list[list[int]] = [[] for _ in range(d)]
    for i, j in edges:
        step[j if backwards else i].append(i if backwards else j)
    seen = set(start)
    stack = list(seen)
    while stack:
        new = [u for u in step[stack.pop()] if u not in seen]
        seen.update(new)
        stack.extend(new)
    return seen


def _wishes(d: int, edges: Sequence[Edge], left: Sequence[int], right: Sequence[int]) -> list[tuple[int, int, int]]:
    """Edges of length zero that keep ``left`` nodes left and ``right`` nodes right.

    They lead from ancestors of the left nodes to the rest, and from the rest to descendants of the right
    nodes; a cycle is possible only when a right node is an ancestor of a left one: then ``left`` is let go.
    """
    wishes: list[tuple[int, int, int]] = []
    before = _reach(d, edges, left, backwards=True)
    if right:
        after = _reach(d, edges, right, backwards=False)
        wishes += [(v, y, 0) for y in right for v in range(d) if v not in after]
    if left and not before.intersection(right):
        wishes += [(x, v, 0) for x in left for v in range(d) if v not in before]
    return wishes


def _longest_path(d: int, edges: Sequence[tuple[int, int, int]]) -> list[int]:
    children: list[list[tuple[int, int]]] = [[] for _ in range(d)]
    waiting = [0] * d
    for i, j, length in edges:
        children[i].append((j, length))
        waiting[j] += 1
    column = [0] * d
    free = [v for v in range(d) if not waiting[v]]
    while free:
        v = free.pop()
        for u, length in children[v]:
            column[u] = max(column[u], column[v] + length)
            waiting[u] -= 1
            if not waiting[u]:
                free.append(u)
    return column


def _promote(d: int, edges: Sequence[tuple[int, int, int]], wishes: Sequence[tuple[int, int, int]],
             column: list[int]) -> None:
    """Move nodes right, with all that stands directly in their way, while the edges get shorter in sum."""
    out: list[list[tuple[int, int, int]]] = [[] for _ in range(d)]
    into: list[list[int]] = [[] for _ in range(d)]
    for i, j, length in edges:
        out[i].append((j, length, 1))
        into[j].append(i)
    for i, j, length in wishes:
        out[i].append((j, length, 0))
    width = max(column, default=0)
    moved = True
    while moved:
        moved = False
        for v in range(d):
            group, stack = {v}, [v]
            while stack:
                u = stack.pop()
                for w, length, _ in out[u]:
                    if column[w] == column[u] + length and w not in group:
                        group.add(w)
                        stack.append(w)
            if max(column[u] for u in group) == width:
                continue
            longer = sum(i not in group for u in group for i in into[u])
            shorter = sum(weight for u in group for w, _, weight in out[u] if w not in group)
            if shorter > longer:
                for u in group:
                    column[u] += 1
                moved = True
