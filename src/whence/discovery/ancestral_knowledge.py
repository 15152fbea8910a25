"""What background knowledge says about the ends of edges where unmeasured causes are allowed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.core.errors import WhenceError
from whence.discovery.learned import constraints
from whence.graphs.bits import closure, ones, rows
from whence.graphs.graph import ARROW, TAIL
from whence.graphs.knowledge import Knowledge


@dataclass(frozen=True, eq=False)
class Held:
    """Ends that knowledge fixes.

    marks: int8 (d, d), the mark at j's end of i - j if they are joined, 0 where it is open. required: bool (d, d),
    arrows that must be there. never: per node, the bit set of those that cannot be its ancestors.
    """

    marks: np.ndarray
    required: np.ndarray
    never: tuple[int, ...]

    def __bool__(self) -> bool:
        return bool(self.marks.any()) or any(self.never)

    @staticmethod
    def of(names: tuple[str, ...], knowledge: Knowledge | None) -> Held:
        """Knowledge about a graph whose arrows mean "causes, possibly through others".

        A required arrow is an arrow. A node of a later tier is no ancestor of one of an earlier tier. A forbidden
        arrow a --> b puts an arrowhead at a, if a and b are joined at all: an unmeasured cause of both may still
        join them. Where required arrows lead from a to b, a does cause b whatever else is said.

        Raises ``WhenceError`` (``contradictory_knowledge``) when required arrows lead back to an earlier tier.
        """
        d = len(names)
        may, required = constraints(names, knowledge)
        marks = np.zeros((d, d), dtype=np.int8)
        marks[~may.T] = ARROW
        parents = rows(required.T)
        above = [closure(parents, 1 << k) & ~(1 << k) for k in range(d)]
        for k, upstream in enumerate(above):
            for a in ones(upstream):
                marks[k, a], marks[a, k] = TAIL, ARROW
        np.fill_diagonal(marks, 0)
        never = _later(names, knowledge) if knowledge else (0,) * d
        for k in range(d):
            for a in ones(above[k] & never[k]):
                raise WhenceError(
                    f"Required arrows lead from {names[a]} to {names[k]}, but by its tier {names[a]} cannot be a cause "
                    f"of {names[k]}.", code="contradictory_knowledge", value=[names[a], names[k]],
                    hint="The statements contradict each other: withdraw one.",
                )
        return Held(marks, required, never)


def _later(names: tuple[str, ...], knowledge: Knowledge) -> tuple[int, ...]:
    """Per node, the nodes that its tier keeps from being its ancestors."""
    tier = np.array([knowledge.tier_of.get(name, -1) for name in names])
    known = (tier[:, None] >= 0) & (tier[None, :] >= 0)
    later = tier[None, :] > tier[:, None] if knowledge.within_tiers else tier[None, :] >= tier[:, None]
    return tuple(rows(known & later & ~np.eye(len(names), dtype=bool)))
