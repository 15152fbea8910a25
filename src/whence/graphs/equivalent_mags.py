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
        arrow, tail = marks == ARROW, marks == TAIL
        self.parents = rows(tail & arrow.T)
        self.children = rows(arrow & tail.T)
        self.spouses = rows(arrow & arrow.T)
        self.adjacent = rows(marks != 0)

    def above(self, k: int) -> int:
        """k and its ancestors."""
        return closure(self.parents, 1 << k)

    def below(self, k: int) -> int:
        """k and its descendants."""
        return closure(self.children, 1 << k)


def equivalent_mags(marks: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """Every MAG without --- that is Markov equivalent to ``marks`` (itself first), ``most`` at the most.

    Each is reached from another by changing one mark, a --> b to a <-> b or back.
    Source: Zhang and Spirtes (2005), "A transformational characterization of Markov equivalence for directed
    acyclic graphs with latent variables", lemma 1 and theorem 3.
    """
    return islice(_walk(marks), most)


def _walk(marks: np.ndarray) -> Iterator[np.ndarray]:
    seen, level = {marks.tobytes()}, [marks]
    while level:
        following = []
        for one in level:
            yield one
            for changed in _changes(one):
                key = changed.tobytes()
                if key not in seen:
                    seen.add(key)
                    following.append(changed)
        level = following


def _changes(marks: np.ndarray) -> Iterator[np.ndarray]:
    s = MagBits(marks)
    for a, children in enumerate(s.children):
        for b in ones(children):
            if _may_change(s, a, b):
                yield _put(marks, b, a, ARROW)
    for a, spouses in enumerate(s.spouses):
        for b in ones(spouses):
            changed = _put(marks, b, a, TAIL)
            if _may_change(MagBits(changed), a, b):
                yield changed


def _put(marks: np.ndarray, b: int, a: int, mark: int) -> np.ndarray:
    out = marks.copy()
    out[b, a] = mark
    return out


def _may_change(s: MagBits, a: int, b: int) -> bool:
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


def says(marks: np.ndarray, kind: str, a: int, b: int) -> str:
    """``"all"``, ``"some"`` or ``"none"`` of the DAGs with hidden variables behind one MAG.

    Only ``common_cause`` can be ``"some"``: whether one node causes another is in the MAG.
    """
    s = MagBits(marks)
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
        if _joined(up, across, a, b):
            return "all"
        for k in ones(s.children[a]):
            if not visible(s, a, k):
                across[a] |= 1 << k
                across[k] |= 1 << a
        return "some" if _joined(up, across, a, b) else "none"
    return "all" if _joined(up, across, a, b) else "none"


def _joined(up: list[int], across: list[int], a: int, b: int) -> bool:
    above_a, above_b = closure(up, 1 << a), closure(up, 1 << b)
    return bool(above_a & above_b) or any(across[k] & above_b for k in ones(above_a))
