"""How many effects an estimated graph gets wrong: structural intervention and adjustment identification distance.

For each ordered pair (t, y) the estimated graph says how to get the effect of t on y, and the true graph says
whether that is right: adjusting for a set that is no valid adjustment set there is a mistake, and so is
claiming no effect where there is one, or claiming that the effect cannot be had where it can.
Sources: Peters and Bühlmann (2015), "Structural intervention distance for evaluating causal graphs"; Henckel,
Würtzen and Weichwald (2024), "Adjustment identification distance: a gadjid for causal structure learning".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from whence.core.errors import WhenceError
from whence.graphs.bits import Bits, closure, ones, union
from whence.graphs.classes import CPDAG, DAG
from whence.graphs.graph import Graph
from whence.graphs.metrics import check_same_nodes

STRATEGIES = ("parents", "ancestors", "oset")


@dataclass(frozen=True)
class AdjustmentDistance:
    """wrong: ordered pairs whose effect is got wrong. pairs: all ordered pairs, d (d - 1)."""

    wrong: int
    pairs: int

    @property
    def share(self) -> float:
        """The share of the pairs that are got wrong, 0 when there are no pairs."""
        return self.wrong / self.pairs if self.pairs else 0.0

    def to_dict(self) -> dict[str, Any]:
        return {"wrong": self.wrong, "pairs": self.pairs, "share": self.share}


def structural_intervention_distance(estimated: DAG, truth: DAG) -> AdjustmentDistance:
    """The effects got wrong by adjusting for the parents in ``estimated`` (SID); not symmetric.

    Raises ``WhenceError`` (``unsupported_graph``, ``different_nodes``).
    """
    _check(estimated, truth, DAG)
    return _distance(estimated, truth, "parents")


def adjustment_distance(estimated: DAG | CPDAG, truth: DAG | CPDAG, strategy: str = "oset") -> AdjustmentDistance:
    """The effects got wrong by adjusting as ``estimated`` says; not symmetric.

    strategy: the set that is adjusted for, in ``estimated``: ``"parents"`` or ``"ancestors"`` of the
    treatment, or the optimal set ``"oset"``. A CPDAG says that an effect cannot be had where a possibly
    directed path from t to y begins with an undirected edge.

    Raises ``WhenceError`` (``unknown_strategy``, ``unsupported_graph``, ``different_nodes``).
    """
    if strategy not in STRATEGIES:
        raise WhenceError(f"There is no strategy {strategy!r}.", code="unknown_strategy", value=strategy,
                          allowed=STRATEGIES, hint=f"Allowed: {', '.join(STRATEGIES)}.")
    _check(estimated, truth, DAG, CPDAG)
    return _distance(estimated, truth, strategy)


def _check(estimated: Graph, truth: Graph, *classes: type[Graph]) -> None:
    kinds = tuple(c.__name__ for c in classes)
    for given in (estimated, truth):
        if not isinstance(given, classes):
            kind = getattr(given, "kind", type(given).__name__)
            raise WhenceError(f"This distance is between graphs of class {' or '.join(kinds)}, not {kind}.",
                              code="unsupported_graph", value=kind, allowed=kinds)
    check_same_nodes(estimated, truth)


def _distance(estimated: Graph, truth: Graph, strategy: str) -> AdjustmentDistance:
    guess, true = _member_bits(estimated), _member_bits(truth)
    everyone = (1 << len(truth)) - 1
    wrong = 0
    for t in range(len(truth)):
        others = everyone & ~(1 << t)
        open_true = _not_amenable(truth.bits, t)
        open_guess = _not_amenable(estimated.bits, t)
        # Where the effect is identified, all members of the class agree on it, so one member speaks for them.
        below_true = closure(true.children, 1 << t) | open_true
        below_guess = closure(guess.children, 1 << t) & ~open_guess
        none = (estimated.bits.parents[t] if strategy == "parents" else ~(below_guess | open_guess)) & others
        wrong += (none & below_true).bit_count() + (open_guess & ~open_true).bit_count()
        asked = others & ~none & ~open_guess
        if strategy == "oset":
            sets = _optimal_sets(guess, t, asked)
        else:
            above = estimated.bits.parents if strategy == "parents" else estimated.bits.ancestors
            sets = {above[t] & others: asked}
        for z, outcomes in sets.items():
            wrong += (outcomes & (open_true | _spoiled(true, t, z))).bit_count()
    return AdjustmentDistance(wrong, len(truth) * (len(truth) - 1))


def _member_bits(graph: Graph) -> Bits:
    return graph.member.bits if isinstance(graph, CPDAG) else graph.bits


def _not_amenable(bits: Bits, t: int) -> int:
    """The nodes at the end of a possibly directed path from t that begins with an undirected edge.

    A CPDAG has no cycle with an arrow that --- and --> lead around, so plain reachability finds them.
    """
    if not bits.neighbours[t]:
        return 0
    rest = ~(1 << t)
    steps = [(c | n) & rest for c, n in zip(bits.children, bits.neighbours, strict=True)]
    return closure(steps, bits.neighbours[t])


def _optimal_sets(dag: Bits, t: int, outcomes: int) -> dict[int, int]:
    """Optimal set to the outcomes that it serves (Henckel, Perković and Maathuis 2022, definition 3.12)."""
    found: dict[int, int] = {}
    below = closure(dag.children, 1 << t) & ~(1 << t)
    for y in ones(outcomes):
        causal = below & dag.ancestors[y]
        z = union(dag.parents, causal) & ~(closure(dag.children, causal) | 1 << t)
        found[z] = found.get(z, 0) | 1 << y
    return found


def _spoiled(dag: Bits, t: int, z: int) -> int:
    """The outcomes for which z is no valid adjustment set for the effect of t in a DAG.

    By the complete criterion of Shpitser, VanderWeele and Robins (2010): a member of z descends from a node on
    a causal path, or a walk from t that is not causal is open given z (Henckel et al. 2024, section 4).
    """
    toward = union(dag.ancestors, z)  # z and the ancestors of z, where a collider is open
    rest = ~(1 << t)
    forbidden = closure(dag.children, closure(dag.children, dag.children[t]) & toward)
    # Arrived along a directed walk from t; from a child; by an arrowhead on a walk that is not causal.
    causal = up = down = 0
    new_causal, new_up, new_down = dag.children[t], dag.parents[t], 0
    while new_causal or new_up or new_down:
        causal, up, down = causal | new_causal, up | new_up, down | new_down
        passed_up = new_up & ~z
        climb = union(dag.parents, passed_up | (new_causal | new_down) & toward) & rest
        fall = union(dag.children, passed_up | new_down & ~z) & rest
        on = union(dag.children, new_causal & ~z)
        new_causal, new_up, new_down = on & ~causal, climb & ~up, fall & ~down
    return forbidden | up | down
