"""Greedy equivalence search in NumPy: the reference of ``cpp/ges.cpp``, with every operator tried at every step.

A CPDAG is a bool (d, d) matrix: [i, j] for i --> j and for i --- j, which has [j, i] too. So is the essential graph of
a class under interventions, where ``cut`` (d, d) marks the pairs of which some target has exactly one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

LEAST = 1e-7
PLAIN, TURNING, EXTREME, CLIMB = 0, 1, 2, 3
_KINDS = ("insert", "delete", "turn")


class _Operator(NamedTuple):
    gain: float
    kind: str
    y: int
    x: int
    clique: tuple[int, ...]


def ges(score: Any, may: np.ndarray, required: np.ndarray, targets: np.ndarray, start: np.ndarray, refine: int,
        out: np.ndarray) -> tuple[int, int, bool]:
    """See ``cpp/ges.cpp`` for the arguments and the values."""
    search = _Search(score, may.astype(bool), required.astype(bool), cut_by(targets), start.astype(bool))
    if refine == EXTREME:
        search.extreme()
    elif refine == CLIMB:
        search.climb()
    else:
        search.phases(turning=refine == TURNING)
    out[:] = search.graph
    return search.steps, search.trials, False


def cut_by(targets: np.ndarray) -> np.ndarray:
    """bool (d, d): the pairs of which some row of ``targets`` (m, d) has exactly one."""
    t = targets.astype(bool)
    return (t[:, :, None] != t[:, None, :]).any(axis=0)


class _Search:
    def __init__(self, score: Any, may: np.ndarray, required: np.ndarray, cut: np.ndarray, start: np.ndarray) -> None:
        self.score, self.may, self.required, self.cut = score, may, required, cut
        self.constrained = bool(required.any() or not (may | np.eye(len(may), dtype=bool)).all())
        self.graph = class_of(start.T.copy(), cut)
        first = [self._local(y, [x]) - self._local(y, []) for y, x in itertools.permutations(range(len(may)), 2)]
        self.least = max(LEAST, 1e-12 * max(first, default=0.0))
        self.steps = self.trials = 0
        self.barred = (-1, -1)
        self.met: set[bytes] = set()
        self.kept: set[bytes] = set()

    def _local(self, y: int, parents: Any) -> float:
        return self.score.local(y, np.array(sorted(int(z) for z in parents), dtype=np.int32))

    def phases(self, turning: bool) -> None:
        moved = True
        while moved:
            moved = False
            for kind in _KINDS if turning else _KINDS[:2]:
                while self._step(kind):
                    moved = True
            if not turning:
                return

    def climb(self) -> None:
        self.met = set()
        while any(self._step(kind) for kind in ("delete", "turn", "insert")):
            pass

    def extreme(self) -> None:
        self.climb()
        while any(self._attempt(operator) for operator in self._operators("delete", -np.inf)):
            pass

    def _attempt(self, operator: _Operator) -> bool:
        self.trials += 1
        before, total = self.graph, self._total()
        self.met = set()
        self.barred = operator.y, operator.x
        done = self._apply(operator)
        if done:
            self.climb()
        self.barred = (-1, -1)
        if done and self._total() > total + self.least and self.graph.tobytes() not in self.kept:
            self.kept.add(self.graph.tobytes())
            self.climb()
            return True
        self.graph = before
        return False

    def _total(self) -> float:
        dag = extension(self.graph)
        assert dag is not None
        return sum(self._local(y, np.flatnonzero(dag[:, y])) for y in range(len(dag)))

    def _step(self, kind: str) -> bool:
        return any(self._apply(operator) for operator in self._operators(kind, self.least))

    def _apply(self, operator: _Operator) -> bool:
        if operator.kind == "insert" and (operator.y, operator.x) == self.barred:
            return False
        dag = changed(self.graph, operator.kind, operator.y, operator.x, operator.clique)
        if dag is None:
            return False
        after = class_of(dag, self.cut)
        if (self.constrained and not agrees(after, self.may)) or after.tobytes() in self.met:
            return False
        self.met.add(after.tobytes())
        self.graph = after
        self.steps += 1
        return True

    def _operators(self, kind: str, least: float) -> list[_Operator]:
        found = [_Operator(gain, kind, y, x, clique) for y, x, clique in valid_operators(self.graph, kind)
                 if self._permitted(kind, y, x) and (gain := self.gain(kind, y, x, clique)) > least]
        return sorted(found, key=lambda o: (-o.gain, o.y, o.x, len(o.clique), o.clique))

    def _permitted(self, kind: str, y: int, x: int) -> bool:
        if kind == "insert":
            return bool(self.may[y, x] or self.may[x, y])
        if kind == "delete":
            return not (self.required[y, x] or self.required[x, y])
        return bool(self.may[y, x] and not self.required[x, y])

    def gain(self, kind: str, y: int, x: int, clique: tuple[int, ...]) -> float:
        """What the operator adds to the score."""
        g = self.graph
        parents = {*np.flatnonzero(g[:, y] & ~g[y]).tolist(), *clique}
        without = self._local(y, parents - {x})
        change = self._local(y, parents | {x}) - without
        if kind == "delete":
            return -change
        if kind == "turn":
            other = set(np.flatnonzero(g[:, x] & ~g[x]).tolist()) - {y}
            if g[x, y]:
                other |= {c for c in clique if g[c, x] or g[x, c]}
            change += self._local(x, other) - self._local(x, other | {y})
        return change


def valid_operators(g: np.ndarray, kind: str) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """(child, the other end, clique) of every valid operator of a kind; sources in ``cpp/ges_operators.hpp``."""
    adjacent, level = g | g.T, g & g.T
    for y, x in itertools.permutations(range(len(g)), 2):
        if {"insert": adjacent[x, y], "delete": not g[x, y], "turn": not g[y, x]}[kind]:
            continue
        common = set(np.flatnonzero(level[y] & adjacent[x]).tolist())
        for clique in _cliques(level[y], adjacent):
            inside = set(clique)
            if x in inside:
                continue
            if kind == "delete":
                valid = inside <= common
            elif kind == "insert":
                valid = common <= inside and not _reaches(g, y, x, inside)
            elif level[x, y]:
                valid = bool(inside - common) and _apart(level, y, inside - common, common - inside, inside & common)
            else:
                valid = common <= inside and not _reaches(g, y, x, inside | set(np.flatnonzero(level[x]).tolist()))
            if valid:
                yield y, x, clique


def _cliques(near: np.ndarray, adjacent: np.ndarray) -> Iterator[tuple[int, ...]]:
    nodes = np.flatnonzero(near).tolist()
    for k in range(len(nodes) + 1):
        some = False
        for chosen in itertools.combinations(nodes, k):
            if all(adjacent[a, b] for a, b in itertools.combinations(chosen, 2)):
                some = True
                yield chosen
        if not some:
            return


def _reaches(g: np.ndarray, y: int, x: int, blocked: set[int]) -> bool:
    """Whether a semi-directed path other than y --> x leads from y to x past ``blocked``."""
    seen, line = {y, *blocked}, [y]
    while line:
        v = line.pop()
        for u in np.flatnonzero(g[v]).tolist():
            if u == x and v != y:
                return True
            if u not in seen and u != x:
                seen.add(u)
                line.append(u)
    return False


def _apart(level: np.ndarray, y: int, some: set[int], others: set[int], blocked: set[int]) -> bool:
    """Whether ``blocked`` separates two sets of neighbours of y in the undirected graph among its neighbours."""
    within = set(np.flatnonzero(level[y]).tolist()) - blocked
    seen, line = set(some), list(some)
    while line:
        for u in np.flatnonzero(level[line.pop()]).tolist():
            if u in within and u not in seen:
                seen.add(u)
                line.append(u)
    return not seen & others


def changed(g: np.ndarray, kind: str, y: int, x: int, clique: tuple[int, ...]) -> np.ndarray | None:
    """A member of the class with the parents that the operator needs, changed by it; None when there is none."""
    level, into = g & g.T, {y: {*clique}}
    if kind == "delete" and level[x, y]:
        into[y].add(x)
    if kind == "turn":
        into[x] = {c for c in clique if g[c, x] or g[x, c]} | {y} if level[x, y] else set()
    part = g.copy()
    for child, parents in into.items():
        for n in np.flatnonzero(level[child]).tolist():
            part[child, n], part[n, child] = n not in parents, n in parents
    dag = extension(part)
    if dag is not None:
        dag[y, x], dag[x, y] = False, kind != "delete"
    return dag


def extension(g: np.ndarray) -> np.ndarray | None:
    """A DAG with the same adjacencies, arrows and colliders (Dor and Tarsi 1992), or None."""
    left, dag, rest = list(range(len(g))), g.copy(), g.copy()
    while left:
        for x in left:
            around = np.flatnonzero(rest[:, x] | rest[x])
            level = np.flatnonzero(rest[x] & rest[:, x])
            if len(level) == rest[x].sum() and all((rest[n] | rest[:, n])[around[around != n]].all() for n in level):
                break
        else:
            return None
        dag[x, level] = False
        rest[x] = rest[:, x] = False
        left.remove(x)
    return dag


def class_of(dag: np.ndarray, cut: np.ndarray | None = None) -> np.ndarray:
    """The CPDAG of a DAG, or with ``cut`` its essential graph."""
    adjacent = dag | dag.T
    g = adjacent.copy()
    if cut is not None:
        g[dag.T & cut] = False
    for a, b in itertools.combinations(range(len(dag)), 2):
        if not adjacent[a, b]:
            for c in np.flatnonzero(dag[a] & dag[b]):
                g[c, a] = g[c, b] = False
    return closed(g)


def closed(g: np.ndarray) -> np.ndarray:
    """``g`` closed under the rules of Meek (1995)."""
    g, adjacent = g.copy(), g | g.T | np.eye(len(g), dtype=bool)
    moved = True
    while moved:
        moved = False
        for b, c in np.argwhere(g & g.T):
            if g[b, c] and g[c, b] and _rule(g, adjacent, b, c):
                g[c, b], moved = False, True
    return g


def _rule(g: np.ndarray, adjacent: np.ndarray, b: int, c: int) -> bool:
    arrow = g & ~g.T
    if (arrow[:, b] & ~adjacent[c]).any() or (arrow[b] & arrow[:, c]).any():
        return True
    sides = np.flatnonzero(g[b] & g[:, b] & arrow[:, c])
    if not adjacent[np.ix_(sides, sides)].all():
        return True
    far = g[b] & g[:, b] & ~adjacent[c]
    return any((arrow[:, a] & far).any() for a in np.flatnonzero(arrow[:, c] & adjacent[b]))


def agrees(g: np.ndarray, may: np.ndarray) -> bool:
    """Whether the class has a member whose arrows all are in ``may`` ([y, z] for z --> y)."""
    g, allowed = g.copy(), may.T
    if (g & ~g.T & ~allowed).any() or (g & g.T & ~allowed & ~allowed.T).any():
        return False
    g[g & g.T & ~allowed] = False
    g = closed(g)
    return not (g & ~g.T & ~allowed).any() and extension(g) is not None
