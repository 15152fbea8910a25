"""Who causes whom in every, or in no, member of a class of MAGs: what its PAG shows without listing members."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from whence.graphs.bits import closure, ones, rows

ARROW, TAIL = 2, 3


def onward(marks: np.ndarray) -> np.ndarray:
    """Boolean, [k, j]: the step k *-* j is possibly directed, with no arrowhead at k and no tail at j.

    Those are a --> b, a o-> b, a o-o b (and a --o b, which only selection leaves). marks: of a MAG or PAG.
    """
    return (marks != 0) & (marks.T != ARROW) & (marks != TAIL)


class PagReach:
    """Possible and certain descent in a PAG."""

    def __init__(self, marks: np.ndarray) -> None:
        self.adjacent = rows(marks != 0)
        self.onward = rows(onward(marks))
        self.children = rows((marks == ARROW) & (marks.T == TAIL))

    def possible(self, a: int) -> int:
        """a and the nodes that a may cause: no other is a descendant of a in any member (Zhang 2006, lemma 7.2.1)."""
        return closure(self.onward, 1 << a)

    def certain(self, a: int) -> int:
        """a and nodes that descend from a in every member."""
        return closure(self._certain, 1 << a)

    @cached_property
    def _certain(self) -> list[int]:
        return [self._certain_steps(a) for a in range(len(self.adjacent))]

    def _certain_steps(self, a: int) -> int:
        """Children of a, and the ends of two uncovered possibly directed paths from a whose first nodes are not
        adjacent (Roumpelaki, Borboudakis, Triantafillou and Tsamardinos 2016, theorem 3.1): a cannot be a
        collider between those, so one path leaves it by a tail, and goes on directed.
        """
        found, met = self.children[a], {}
        steps = ones(self.onward[a])
        for u in steps:
            met[u] = self._uncovered(a, u)
        for at, u in enumerate(steps):
            for v in steps[at + 1:]:
                if not self.adjacent[u] >> v & 1:
                    found |= met[u] & met[v]
        return found

    def _uncovered(self, a: int, u: int) -> int:
        """The nodes on possibly directed walks a, u, ... on which no node is adjacent to the next but one."""
        met, steps, seen = 1 << u, [(a, u)], {(a, u)}
        while steps:
            s, t = steps.pop()
            for w in ones(self.onward[t] & ~(self.adjacent[s] | 1 << s | 1 << a)):
                if (t, w) not in seen:
                    seen.add((t, w))
                    met |= 1 << w
                    steps.append((t, w))
        return met

    def verdict(self, kind: str, a: int, b: int) -> str | None:
        """``"all"`` or ``"none"`` where the PAG alone shows it, else None."""
        third = ~(1 << a | 1 << b)
        if kind == "parent":
            sure, may = self.children[a] >> b & 1, self.onward[a] >> b & 1
        elif kind == "causes":
            sure, may = self.certain(a) >> b & 1, self.possible(a) >> b & 1
        elif kind == "indirect":
            sure = any(self.certain(c) >> b & 1 for c in ones(self.certain(a) & third))
            may = any(self.possible(c) >> b & 1 for c in ones(self.possible(a) & third))
        elif kind == "common_effect":
            sure, may = self.certain(a) & self.certain(b) & third, self.possible(a) & self.possible(b) & third
        else:
            return None
        return "all" if sure else None if may else "none"
