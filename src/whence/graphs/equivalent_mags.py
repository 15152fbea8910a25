"""The MAGs of a class, one at a time, and what a MAG says about the graphs with hidden causes it stands for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from whence.graphs.bits import closure, ones, rows

ARROW, TAIL = 2, 3


class MagBits:
    """Parents, children, spouses and adjacent nodes of a MAG without ---, as bit sets."""

    def __init__(self, marks: np.ndarray) -> None:
        d, arrow, tail = len(marks), marks == ARROW, marks == TAIL
        # One call for all four tables: members are met by the hundred.
        table = rows(np.concatenate([tail & arrow.T, arrow & tail.T, arrow & arrow.T, marks != 0]))
        self.parents, self.children, self.spouses, self.adjacent = (table[k * d:k * d + d] for k in range(4))

    def above(self, k: int) -> int:
        """k and its ancestors."""
        return closure(self.parents, 1 << k)

    def below(self, k: int) -> int:
        """k and its descendants."""
        return closure(self.children, 1 << k)

    def put_tail(self, a: int, b: int) -> None:
        """Turn a <-> b into a --> b."""
        self.put_head(a, b)  # the same bits change back

    def put_head(self, a: int, b: int) -> None:
        """Turn a --> b into a <-> b."""
        self.children[a] ^= 1 << b
        self.parents[b] ^= 1 << a
        self.spouses[a] ^= 1 << b
        self.spouses[b] ^= 1 << a


def equivalent_mags(marks: np.ndarray, most: int, pag: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Every MAG without --- that is Markov equivalent to ``marks`` (itself first), ``most`` at the most.

    pag: the marks of its PAG where they are known, which spares looking at ends that never change. Each member is
    reached from another by changing one mark, a --> b to a <-> b or back.
    Source: Zhang and Spirtes (2005), "A transformational characterization of Markov equivalence for directed
    acyclic graphs with latent variables", lemma 1 and theorem 3.
    """
    free = rows((marks != 0 if pag is None else pag == 1).T)
    return islice(_walk(marks, free), most)


def _walk(marks: np.ndarray, free: list[int]) -> Iterator[np.ndarray]:
    seen, level = {marks.tobytes()}, [marks]
    while level:
        following = []
        for one in level:
            yield one
            for changed in _changes(one, free):
                key = changed.tobytes()
                if key not in seen:
                    seen.add(key)
                    following.append(changed)
        level = following


def _changes(marks: np.ndarray, free: list[int]) -> Iterator[np.ndarray]:
    """free: per node, the others on the edges to which its own end is not known."""
    s = MagBits(marks)
    for a, children in enumerate(s.children):
        for b in ones(children & free[a]):
            if may_change(s, a, b):
                yield _put(marks, b, a, ARROW)
    for a, spouses in enumerate(s.spouses):
        for b in ones(spouses & free[a]):
            s.put_tail(a, b)
            allowed = may_change(s, a, b)
            s.put_head(a, b)
            if allowed:
                yield _put(marks, b, a, TAIL)


def _put(marks: np.ndarray, b: int, a: int, mark: int) -> np.ndarray:
    out = marks.copy()
    out[b, a] = mark
    return out


def may_change(s: MagBits, a: int, b: int) -> bool:
    """Whether a --> b can become a <-> b without another class (lemma 1: t1, t2, t3)."""
    if union_below(s, s.children[a] & ~(1 << b)) >> b & 1 or s.below(b) >> a & 1:
        return False
    if s.parents[a] & ~s.parents[b] or s.spouses[a] & ~(s.parents[b] | s.spouses[b]):
        return False
    # t3: no discriminating path for a that ends with b. Its inner nodes are parents of b and spouses in a row
    # from a on; it starts at a node, not next to b, with an arrow at the last of them.
    inner = new = s.spouses[a] & s.parents[b]
    while new:
        start = spouses = 0
        for k in ones(new):
            start |= s.parents[k] | s.spouses[k]
            spouses |= s.spouses[k]
        if start & ~(s.adjacent[b] | 1 << b | 1 << a):
            return False
        new = spouses & s.parents[b] & ~inner & ~(1 << a)
        inner |= new
    return True


def union_below(s: MagBits, nodes: int) -> int:
    """``nodes`` and their descendants."""
    return closure(s.children, nodes)


def visible(s: MagBits, a: int, b: int) -> bool:
    """Whether a --> b excludes a hidden common cause of a and b (Zhang 2008, "Causal reasoning with ancestral
    graphs", definition 8): some node not next to b has an arrow at a, or a path of colliders that are parents
    of b leads from it into a.
    """
    far = ~(s.adjacent[b] | 1 << b)
    if (s.parents[a] | s.spouses[a]) & far:
        return True
    inner = new = s.spouses[a] & s.parents[b]
    while new:
        start = spouses = 0
        for k in ones(new):
            start |= s.parents[k] | s.spouses[k]
            spouses |= s.spouses[k]
        if start & far:
            return True
        new = spouses & s.parents[b] & ~inner
        inner |= new
    return False


def says(s: MagBits, kind: str, a: int, b: int) -> str:
    """``"all"``, ``"some"`` or ``"none"`` of the DAGs with hidden variables behind one MAG.

    Only ``common_cause`` can be ``"some"``: whether one node causes another is in the MAG.
    """
    if kind == "parent":
        holds = s.children[a] >> b & 1
    elif kind == "causes":
        holds = s.below(a) >> b & 1
    elif kind == "indirect":
        holds = s.below(a) & s.above(b) & ~(1 << a | 1 << b) if s.below(a) >> b & 1 else 0
    elif kind == "common_effect":
        holds = s.below(a) & s.below(b) & ~(1 << a | 1 << b)
    else:
        return _common_cause(s, a, b)
    return "all" if holds else "none"


def _common_cause(s: MagBits, a: int, b: int) -> str:
    """A common cause joins a and b by a path that leaves both against an arrow, without a collider.

    Where a is a cause of b, that is what is left when a's own arrows are cut: all of them, if hidden causes
    beside them are not counted (in every graph behind the MAG), and with a <-> b for each arrow beside which
    there may be one (in some; Zhang 2008, definition of the lower-manipulated MAG).
    """
    if s.below(b) >> a & 1:
        a, b = b, a
    up, across = list(s.parents), list(s.spouses)
    if s.below(a) >> b & 1:
        for k in ones(s.children[a]):
            up[k] &= ~(1 << a)
        if joined(up, across, a, b):
            return "all"
        for k in ones(s.children[a]):
            if not visible(s, a, k):
                across[a] |= 1 << k
                across[k] |= 1 << a
        return "some" if joined(up, across, a, b) else "none"
    return "all" if joined(up, across, a, b) else "none"


def joined(up: list[int], across: list[int], a: int, b: int) -> bool:
    """Whether a node, or an edge of ``across``, has directed ways to a and to b along ``up`` reversed."""
    above_a, above_b = closure(up, 1 << a), closure(up, 1 << b)
    return bool(above_a & above_b) or any(across[k] & above_b for k in ones(above_a))
