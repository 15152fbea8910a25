"""Why each node is in the adjustment set or out of it: one plain sentence and a role per node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from whence.graphs.ancestry import possible_steps
from whence.graphs.bits import Bits, closure
from whence.graphs.classes import MAG, PAG
from whence.graphs.graph import Graph
from whence.identification.adjustment import Problem, avoiding, connected
from whence.identification.ambiguity import possible_paths


@dataclass(frozen=True)
class Reason:
    """role: for drawing (``treatment``, ``outcome``, ``adjusted``, ``mediator``, ``excluded``, ``instrument``,
    ``latent``, ``other``). text: the sentence."""

    role: str
    text: str


@dataclass(frozen=True)
class _Relations:
    """Bit sets: who affects the treatments, and who the outcomes other than through a treatment.

    telling: nodes still dependent on the outcomes given the chosen set and the treatments. between: nodes
    that, added to the chosen set, might open a path: they depend on both of its ends. above, below: per node who
    may affect it, and what it may affect, by one step.
    """

    of_treatment: int
    may_of_treatment: int
    of_outcome: int
    may_of_outcome: int
    telling: int
    between: int
    above: Sequence[int]
    below: Sequence[int]


def explain(problem: Problem, graph: Graph, chosen: int) -> dict[str, Reason]:
    """The reason for every node of the graph.

    graph: as given, a class perhaps; the problem holds one of its members, and may hold hidden nodes beyond
    those of the graph. chosen: a valid set.
    """
    x, y, bits = problem.treatments, problem.outcomes, graph.bits
    cut, cut_children = problem.backdoor, problem.backdoor_children
    if isinstance(graph, (MAG, PAG)):
        above, below = possible_steps(graph)
        may_of_treatment, may_of_outcome = closure(above, x), avoiding(above, y, x)
    else:
        above, below = problem.parents, problem.children
        may_of_treatment, may_of_outcome = _set(possible_paths(bits, x)), _set(possible_paths(bits, y, x))
    causes = _Relations(
        closure(bits.parents, x) & ~x, may_of_treatment & ~x, avoiding(bits.parents, y, x) & ~y, may_of_outcome & ~y,
        connected(problem.parents, problem.children, y, chosen | x),
        connected(cut, cut_children, x, chosen) & connected(cut, cut_children, y, chosen),
        above, below,
    )
    said = _Words(problem, bits, chosen, causes)
    return {name: said.of(k) for k, name in enumerate(bits.names)}


def _set(nodes: dict[int, tuple[int, ...]]) -> int:
    return sum(1 << k for k in nodes)


def joined(names: Sequence[str]) -> str:
    """``"a"``, ``"a and b"``, ``"a, b and c"``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else "nothing"


def path_text(steps: Sequence[tuple[str, str, str]]) -> str:
    """A path in one line: ``"x <-- u --> y"``."""
    return "".join(f"{a} {edge} " for a, edge, _ in steps) + steps[-1][2] if steps else ""


@dataclass(frozen=True)
class _Words:
    problem: Problem
    bits: Bits
    chosen: int
    causes: _Relations

    def of(self, k: int) -> Reason:
        problem, name = self.problem, self.bits.names[k]
        bit = 1 << k
        if bit & problem.treatments:
            return Reason("treatment", f"{name} is the treatment.")
        if bit & problem.outcomes:
            return Reason("outcome", f"{name} is the outcome.")
        if bit & ~problem.measured:
            end = ", and its paths are blocked without it" if bit & self._confounders else ""
            return Reason("latent", f"{name} is not measured, so it cannot be adjusted for{end}.")
        if not problem.adjustable:
            return Reason("other", f"{name} is not needed: {self._treatment} cannot affect {self._outcome}.")
        if bit & self.chosen:
            return Reason("adjusted", self._inside(bit, name))
        return self._outside(bit, name)

    @property
    def _confounders(self) -> int:
        return self.causes.may_of_treatment & self.causes.may_of_outcome

    @property
    def _treatment(self) -> str:
        return joined(self.bits.sorted_of(self.problem.treatments))

    @property
    def _outcome(self) -> str:
        return joined(self.bits.sorted_of(self.problem.outcomes))

    def _affects(self, bit: int, which: str) -> str:
        """"affects" or "may affect", as the class tells, for a node that does so in some member."""
        return "affects" if bit & getattr(self.causes, which) else "may affect"

    def _affects_both(self, bit: int) -> str:
        return "affects both" if bit & self.causes.of_treatment & self.causes.of_outcome else "may affect both"

    def _inside(self, bit: int, name: str) -> str:
        x, y = self._treatment, self._outcome
        if bit & self.problem.given:
            return f"{name} is in because the effect is asked within its levels."
        needed = not self.problem.valid(self.chosen & ~bit)
        if bit & self._confounders and needed:
            return (f"{name} {self._affects_both(bit)} {x} and {y}: a common cause, and adjusting for it removes "
                    "the bias it brings.")
        if needed:
            return f"{name} blocks a non-causal path between {x} and {y} that would otherwise mix with the effect."
        if bit & self.causes.may_of_outcome & ~self.causes.may_of_treatment:
            verb = self._affects(bit, "of_outcome")
            return f"{name} {verb} {y} but not {x}: not needed against bias, it makes the estimate more precise."
        return (f"{name} is not needed against bias beside the others; it helps to predict {y}, which makes the "
                "estimate more precise.")

    def _outside(self, bit: int, name: str) -> Reason:
        problem, x, y = self.problem, self._treatment, self._outcome
        if bit & problem.forbidden:
            return self._forbidden(bit, name)
        if bit & self.causes.between and not problem.valid(self.chosen | bit):
            opened = path_text(named_path(problem, self.bits.names, problem.open_path(self.chosen | bit)))
            return Reason("excluded", f"Adjusting for {name} as well would open the non-causal path {opened}.")
        if bit & closure(self.causes.below, problem.treatments):
            verb = "comes" if bit & closure(self.bits.children, problem.treatments) else "may come"
            return Reason("other", f"{name} {verb} after {x} and does not lead to {y}: of no use against bias.")
        of_x, of_y = bit & self.causes.may_of_treatment, bit & self.causes.may_of_outcome
        if of_x and not of_y:
            verb = self._affects(bit, "of_treatment")
            return Reason("instrument", f"{name} {verb} {x} and reaches {y} only through it: adjusting for it adds "
                          "noise and would magnify any hidden bias.")
        if of_x and of_y:
            return Reason("other", f"{name} {self._affects_both(bit)} {x} and {y}, but the adjustment set already "
                          "blocks its non-causal paths.")
        if of_y and bit & self.causes.telling:
            verb = self._affects(bit, "of_outcome")
            return Reason("other", f"{name} {verb} {y} but not {x}: not needed against bias; adjusting for it as "
                          "well could make the estimate more precise.")
        if of_y:
            return Reason("other", f"{name} tells nothing more about {y} once the adjustment set is known.")
        return Reason("other", f"{name} lies on no open non-causal path between {x} and {y}: not needed.")

    def _forbidden(self, bit: int, name: str) -> Reason:
        problem, x, y = self.problem, self._treatment, self._outcome
        if bit & problem.causal:
            verb = "lies" if bit & self._between else "may lie"
            return Reason("mediator", f"{name} {verb} on a causal path from {x} to {y}: adjusting for it would take "
                          "away part of the effect.")
        if bit & closure(self.causes.below, problem.outcomes):
            verb = "is" if bit & closure(self.bits.children, problem.outcomes) else "may be"
            return Reason("excluded", f"{name} {verb} affected by the outcome {y}: adjusting for it would bias the "
                          "effect.")
        above = closure(self.causes.above, bit) & problem.causal & ~problem.outcomes
        verb = "is" if bit & closure(self.bits.children, above & self._between) else "may be"
        return Reason("excluded", f"{name} {verb} affected by {joined(self.bits.sorted_of(above)[:3])}, on a causal "
                      f"path from {x} to {y}: adjusting for it would distort the effect.")

    @property
    def _between(self) -> int:
        """Nodes on a causal path in every member of the class."""
        return closure(self.bits.children, self.problem.treatments) & self.causes.of_outcome


def named_path(problem: Problem, names: Sequence[str], path: Sequence[int]) -> tuple[tuple[str, str, str], ...]:
    """A path of the problem as ``(a, edge, b)`` steps; a hidden node beyond ``names`` is drawn as ``a <-> b``."""
    steps = []
    for at, (a, b) in enumerate(pairwise(path)):
        if b >= len(names):
            steps.append((names[a], "<->", names[path[at + 2]]))
        elif a < len(names):
            steps.append((names[a], "-->" if problem.children[a] >> b & 1 else "<--", names[b]))
    return tuple(steps)
