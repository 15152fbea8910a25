"""Heights of ordered nodes: straight long edges, nodes near the middle of their neighbours, no overlap.

Source: Brandes, Koepf (2001), Fast and simple horizontal coordinate assignment: four extreme alignments,
then the mean of the two middle ones. Blocks are compacted by longest paths in the graph of blocks, which
avoids the flaw of the published compaction (Brandes, Walter, Zink 2020, erratum). Rows become columns here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

Near = Mapping[int, Sequence[int]]
Separation = Callable[[int, int], float]


def align(order: Sequence[Sequence[int]], before: Near, after: Near, inner: frozenset[int] | set[int],
          separation: Separation) -> dict[int, float]:
    """Height of every node.

    order: the columns, top to bottom. before, after: neighbours in the previous and next column.
    inner: the places where long edges pass. separation(u, v): least distance of neighbours in a column.
    """
    conflicts = _conflicts(order, before, inner)
    candidates: list[dict[int, float]] = []
    for near, columns in ((before, list(order)), (after, list(reversed(order)))):
        for turned in (False, True):
            rows = [list(reversed(c)) for c in columns] if turned else [list(c) for c in columns]
            apart = (lambda u, v: separation(v, u)) if turned else separation
            root = _blocks(rows, near, conflicts)
            height = _compact(rows, root, apart)
            candidates.append({v: -y for v, y in height.items()} if turned else height)
    return _balance(candidates)


def _conflicts(order: Sequence[Sequence[int]], before: Near, inner: frozenset[int] | set[int]) -> set[tuple[int, int]]:
    """Edges that cross the passage of a long edge (type 1 conflicts): they give way (Algorithm 1)."""
    found: set[tuple[int, int]] = set()
    for above, column in pairwise(order):
        at = {v: p for p, v in enumerate(above)}
        low, scan = -1, 0
        for p, v in enumerate(column):
            twin = next((u for u in before[v] if u in inner), None) if v in inner else None
            if twin is None and p < len(column) - 1:
                continue
            high = at[twin] if twin is not None else len(above)
            for w in column[scan : p + 1]:
                for u in before[w]:
                    if (at[u] < low or at[u] > high) and not (u in inner and w in inner):
                        found.add((u, w))
            scan, low = p + 1, high
    return found


def _blocks(rows: Sequence[Sequence[int]], near: Near, conflicts: set[tuple[int, int]]) -> dict[int, int]:
    """Root of the block of each node: chains of median neighbours that do not cross (Algorithm 2)."""
    root = {v: v for row in rows for v in row}
    for above, row in pairwise(rows):
        at = {v: p for p, v in enumerate(above)}
        limit = -1
        for v in row:
            ends = sorted(near[v], key=at.__getitem__)
            middle = len(ends) - 1
            for m in sorted({middle // 2, (middle + 1) // 2} if ends else ()):
                u = ends[m]
                if root[v] == v and limit < at[u] and not {(u, v), (v, u)} & conflicts:
                    root[v], limit = root[u], at[u]
    return root


def _compact(rows: Sequence[Sequence[int]], root: Mapping[int, int], separation: Separation) -> dict[int, float]:
    """Least heights of the blocks, then each block as near to those after it as it can come."""
    gaps: dict[int, dict[int, float]] = {r: {} for r in root.values()}
    for row in rows:
        for u, v in pairwise(row):
            a, b = root[u], root[v]
            gaps[a][b] = max(gaps[a].get(b, 0.0), separation(u, v))
    waiting = dict.fromkeys(gaps, 0)
    for follow in gaps.values():
        for b in follow:
            waiting[b] += 1
    height = dict.fromkeys(gaps, 0.0)
    free, sequence = [r for r in gaps if not waiting[r]], []
    while free:
        a = free.pop()
        sequence.append(a)
        for b, gap in gaps[a].items():
            height[b] = max(height[b], height[a] + gap)
            waiting[b] -= 1
            if not waiting[b]:
                free.append(b)
    for a in reversed(sequence):
        if gaps[a]:
            height[a] = max(height[a], min(height[b] - gap for b, gap in gaps[a].items()))
    return {v: height[r] for v, r in root.items()}


def _balance(candidates: Sequence[dict[int, float]]) -> dict[int, float]:
    """Shift all candidates to the narrowest one, then take the mean of the two middle heights."""
    narrow = min(candidates, key=lambda c: max(c.values()) - min(c.values()))
    shifted = []
    for k, c in enumerate(candidates):
        edge = max if k % 2 else min
        shift = edge(narrow.values()) - edge(c.values())
        shifted.append({v: y + shift for v, y in c.items()})
    result = {}
    for v in narrow:
        ys = sorted(c[v] for c in shifted)
        result[v] = (ys[1] + ys[2]) / 2
    return result
