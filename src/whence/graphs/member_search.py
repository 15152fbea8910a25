"""Claims about a PAG settled by its members: built ones first, then all of them in turn while the budget lasts."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from whence.graphs.equivalent_mags import MagBits, equivalent_mags, says
from whence.graphs.pag_members import likely_members

Asked = tuple[str, int, int]


@dataclass
class Met:
    """What the members met so far say of each claim, by its place in ``asked``.

    known: the verdict where the marks of the PAG show it. holds, fails, open_in: a member (its marks) in which the
    claim holds, fails, or is open. tried: how many members were met. complete: whether they are all members.
    """

    asked: list[Asked]
    known: list[str | None]
    holds: dict[int, np.ndarray] = field(default_factory=dict)
    fails: dict[int, np.ndarray] = field(default_factory=dict)
    open_in: dict[int, np.ndarray] = field(default_factory=dict)
    tried: int = 0
    complete: bool = False

    def verdict(self, k: int) -> str:
        """``"all"``, ``"some"``, ``"none"`` or ``"undecided"``."""
        known = self.known[k]
        if known is not None:
            return known
        if k in self.open_in or (k in self.holds and k in self.fails):
            return "some"
        return "undecided" if not self.complete else "all" if k in self.holds else "none"

    def shown(self, k: int) -> bool:
        """Whether claim k is decided and members are known that show it: both kinds when it is "some"."""
        if self.known[k] in ("all", "none"):
            return k in self.holds or k in self.fails
        return k in self.open_in or (k in self.holds and k in self.fails)

    def meet(self, marks: np.ndarray) -> None:
        """Ask one member about the claims not shown yet."""
        self.tried += 1
        bits = MagBits(marks)
        for k, one in enumerate(self.asked):
            if not self.shown(k):
                place = {"all": self.holds, "none": self.fails, "some": self.open_in}[says(bits, *one)]
                place.setdefault(k, marks)

    def undecided(self) -> bool:
        return any(self.verdict(k) == "undecided" for k in range(len(self.asked)))


def settle(met: Met, marks: np.ndarray, start: np.ndarray, budget: int) -> None:
    """Meet members of the PAG ``marks``, of which ``start`` is one, until every claim is decided and, where members
    can be built that show it, shown both ways; at most ``budget`` of them.
    """
    _, a, b = met.asked[0]
    for one in islice(likely_members(marks, a, b), budget // 2):
        met.meet(one)
        if all(map(met.shown, range(len(met.asked)))):
            return
    left = budget - budget // 2
    for tried, one in enumerate(equivalent_mags(start, left, marks), 1):
        if not met.undecided():
            return
        met.meet(one)
        if tried == left:
            return
    met.complete = True
