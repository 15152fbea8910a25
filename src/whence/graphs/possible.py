"""Who causes whom in every, or in no, member of a class of MAGs: what its PAG shows without listing members."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from whence.graphs.bits import closure, ones, rows, union
from whence.graphs.equivalent_mags import MagBits, joined, visible

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
        self.before = rows(onward(marks).T)
        self.heads = rows((marks == ARROW).T)  # at k: the nodes whose edge has an arrowhead at k
        self.open = rows((marks != 0) & (marks != TAIL) & (marks.T != TAIL))  # the edges that may be <->
        self._bits = MagBits(marks)
        self._parents = self._bits.parents
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
        """``"all"``, ``"some"`` or ``"none"`` where the PAG alone shows it, else None.

        ``parent`` and ``causes`` it always shows: a circle differs between members, and what may descend, but need
        not by ``certain``, does in some members. So does ``indirect`` where a and b are not adjacent, being the same.
        """
        third = ~(1 << a | 1 << b)
        if kind == "parent":
            sure, may = self.children[a] >> b & 1, self.onward[a] >> b & 1
        elif kind == "causes" or (kind == "indirect" and not self.adjacent[a] >> b & 1):
            sure, may = self.certain(a) >> b & 1, self.possible(a) >> b & 1
        elif kind == "indirect":
            sure = any(self.certain(c) >> b & 1 for c in ones(self.certain(a) & third))
            may = closure([row & third for row in self.onward], self.onward[a] & third) & self.before[b]
            return "all" if sure else None if may else "none"
        elif kind == "common_effect":
            sure, may = self.certain(a) & self.certain(b) & third, self.possible(a) & self.possible(b) & third
            return "all" if sure else None if may else "none"
        else:
            return self._common_cause(a, b) if self.certain(a) >> b & 1 else self._common_cause(b, a)
        return "all" if sure else "some" if may else "none"

    def _common_cause(self, a: int, b: int) -> str | None:
        """Where a is a cause of b in every member: whether it shares a common cause with b that is not by way of a.

        As for one MAG (``equivalent_mags.says``): what joins a and b when a's own arrows are cut, all that may be an
        arrow or <-> being counted before "none", and what is so in every member before "all".
        """
        if not self.certain(a) >> b & 1:
            return None
        cut = ~(1 << a)
        sure = [row & cut for row in self._parents]
        above_a, above_b = closure(sure, 1 << a), closure(sure, 1 << b)
        # Between two causes any edge will do, whichever way it points; an arrow of a would not.
        beside = union(self.adjacent, above_a & cut) | self.heads[a]
        if (beside | above_a) & above_b:
            return "all"
        may = [row & cut for row in self.before]
        across = list(self.open)
        for k in ones(self.children[a]):
            if not self._visible(a, k):
                across[a] |= 1 << k
                across[k] |= 1 << a
        return None if joined(may, across, a, b) else "none"

    def _visible(self, a: int, b: int) -> bool:
        """Whether a --> b excludes a hidden common cause in every member (Zhang 2008, definition 8 in a PAG)."""
        far = ~(self.adjacent[b] | 1 << b)
        return bool(self.heads[a] & far) or visible(self._bits, a, b)
