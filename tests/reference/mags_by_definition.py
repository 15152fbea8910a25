"""MAGs and their classes straight from the definitions, for few nodes and many graphs at once.

No code shared with src. A batch of graphs is an int8 array (n, d, d) with the marks 0 none, 2 arrowhead,
3 tail at [., i, j] for j's end of i-j. Separation is reachability over (node, entered by arrowhead or not).
"""

from __future__ import annotations

import itertools

import numpy as np

# (mark at j's end, mark at i's end) of the edges -->, <--, <->, --- between i and j, and of no edge.
CHOICES = np.array([(2, 3), (3, 2), (2, 2), (3, 3), (0, 0)], dtype=np.int8)


def orientations(d, edges, choices=CHOICES[:4]):
    """Every way to put marks on ``edges`` (pairs i < j)."""
    codes = np.indices((len(choices),) * len(edges)).reshape(len(edges), -1).T if edges else np.zeros((1, 0), int)
    out = np.zeros((len(codes), d, d), dtype=np.int8)
    for k, (i, j) in enumerate(edges):
        out[:, i, j], out[:, j, i] = choices[codes[:, k]].T
    return out


def closure(relation):
    """Reflexive transitive closure of boolean (n, d, d)."""
    d = relation.shape[-1]
    out = relation | np.eye(d, dtype=bool)
    for _ in range(int(np.ceil(np.log2(max(d, 2))))):
        out = (out.astype(np.float32) @ out.astype(np.float32)) > 0
    return out


def ancestral(marks):
    """Which graphs have no directed cycle, no spouse that is an ancestor, no arrowhead at an end of ---."""
    t = marks.transpose(0, 2, 1)
    above = closure((marks == 2) & (t == 3))  # [i, j]: i is an ancestor of j
    off = ~np.eye(marks.shape[-1], dtype=bool)
    cyclic = (above & above.transpose(0, 2, 1) & off).any((1, 2))
    almost = ((marks == 2) & (t == 2) & above).any((1, 2))
    head = (marks == 2).any(1)
    line = ((marks == 3) & (t == 3)).any(1)
    return ~(cyclic | almost | (head & line).any(1))


def models(marks):
    """bool (n, 2^d, d, d): whether i and j are m-connected given each set Z, for i, j outside Z."""
    n, d = len(marks), marks.shape[-1]
    t = marks.transpose(0, 2, 1)
    below = closure((marks == 2) & (t == 3))
    out = np.zeros((n, 2**d, d, d), dtype=bool)
    for code in range(2**d):
        z = np.array([code >> k & 1 for k in range(d)], dtype=bool)
        opens = (below & z).any(2)  # has a descendant in Z
        step = np.zeros((n, 2, d, 2, d), dtype=bool)  # from (entered by head?, node) to (by head?, node)
        for entered, leaving, arriving in itertools.product((0, 1), repeat=3):
            edge = (t == (2 if leaving else 3)) & (marks == (2 if arriving else 3))
            collider = entered and leaving
            passes = opens if collider else np.broadcast_to(~z, (n, d))
            step[:, entered, :, arriving, :] |= edge & passes[:, :, None]
        reach = closure(step.reshape(n, 2 * d, 2 * d)).reshape(n, 2, d, 2, d)
        # A walk starts at i as if entered by a tail, whatever the first edge.
        found = reach[:, 0].any(2)
        outside = ~z[:, None] & ~z[None, :]
        out[:, code] = found & outside
    return out


def maximal(marks, connected):
    """Which graphs let every pair without an edge be separated by some set."""
    d = marks.shape[-1]
    codes = np.arange(2**d)
    ok = np.ones(len(marks), dtype=bool)
    for i, j in itertools.combinations(range(d), 2):
        sets = (codes >> i & 1 | codes >> j & 1) == 0
        ok &= (marks[:, i, j] != 0) | ~connected[:, sets, i, j].all(1)
    return ok


def mags(marks):
    """The MAGs among ``marks`` and their models, one bytes key each."""
    marks = marks[ancestral(marks)]
    connected = models(marks)
    keep = maximal(marks, connected)
    packed = np.packbits(connected[keep].reshape(int(keep.sum()), -1), axis=1)
    return marks[keep], [row.tobytes() for row in packed]


def common(marks):
    """The marks that all graphs of a class share, 1 (circle) where they differ."""
    return np.where((marks == marks[0]).all(0), marks[0], 1).astype(np.int8)


def groups(marks, keys):
    """Positions of the graphs of each class."""
    found = {}
    for at, key in enumerate(keys):
        found.setdefault(key, []).append(at)
    return list(found.values())


def alike(one):
    """All MAGs with the edges and separations of the MAG ``one`` (d, d), edge by edge.

    A wrong unshielded collider, a cycle or an arrowhead at --- stays wrong whatever is added, so it is dropped
    at once; separations are compared at the end. Same edges and separations make them maximal as well.
    """
    d = len(one)
    edges = [(i, j) for i, j in itertools.combinations(range(d), 2) if one[i, j]]
    batch = np.zeros((1, d, d), dtype=np.int8)
    for i, j in edges:
        batch = np.repeat(batch, 4, axis=0)
        batch[:, i, j], batch[:, j, i] = np.tile(CHOICES[:4], (len(batch) // 4, 1)).T
        ok = ancestral(batch)
        for a, b, c in [(i, j, k) for k in range(d)] + [(j, i, k) for k in range(d)]:
            if one[b, c] and c != a and not one[a, c]:
                known = (batch[:, a, b] != 0) & (batch[:, c, b] != 0)
                collider = (batch[:, a, b] == 2) & (batch[:, c, b] == 2)
                ok &= ~known | (collider == (one[a, b] == 2 and one[c, b] == 2))
        batch = batch[ok]
    keep = [(models(part) == models(one[None])).all((1, 2, 3)) for part in np.array_split(batch, len(batch) // 500 + 1)]
    return batch[np.concatenate(keep)]


def skeletons(d):
    """One list of edges for each graph on d nodes up to renaming."""
    pairs = list(itertools.combinations(range(d), 2))
    orders = list(itertools.permutations(range(d)))
    found = {}
    for code in range(2 ** len(pairs)):
        edges = [p for k, p in enumerate(pairs) if code >> k & 1]
        key = min(tuple(sorted(tuple(sorted((p[a], p[b]))) for a, b in edges)) for p in orders)
        found.setdefault(key, edges)
    return list(found.values())


def classes(d, edges, choices=CHOICES[:4]):
    """Every Markov equivalence class of MAGs with these edges, as an array of its members."""
    marks = orientations(d, edges, choices)
    marks = marks[ancestral(marks)]
    parts = [mags(part) for part in np.array_split(marks, len(marks) // 5000 + 1)]
    every = np.concatenate([found for found, _ in parts])
    return [every[at] for at in groups(every, [key for _, keys in parts for key in keys])]
