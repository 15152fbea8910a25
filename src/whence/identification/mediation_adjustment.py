"""Which nodes can be adjusted for to find the parts of an effect by the usual formulas of mediation analysis.

With controls C, treatment X, mediators M and outcome Y, P(y(x, m(x'))) is the sum over m and c of P(y | x, m, c)
P(m | x', c) P(c) when C is an adjustment set for the effect of X on M and one for that of X and M together on Y
(Shpitser and VanderWeele 2011, A complete graphical criterion for the adjustment formula in mediation analysis,
International Journal of Biostatistics 7). For the controlled effect the second is enough.
"""

from __future__ import annotations

from collections.abc import Iterable

from whence.core.result import Refused
from whence.graphs.ancestry import ancestors, descendants
from whence.graphs.graph import Graph
from whence.identification.identify import identify
from whence.identification.mediated import NAMES, NotMediated
from whence.identification.mediation import mediation
from whence.identification.reasons import joined
from whence.identification.result import Identified


def fits(graph: Graph, treatment: str, outcome: str, mediators: tuple[str, ...], quantity: str,
         controls: Iterable[str]) -> bool:
    """Whether the usual formula with these controls gives the part of the effect."""
    names = [name for name in controls if name in graph]
    together = identify(graph, (treatment, *mediators), outcome)
    if not isinstance(together, Identified) or not together.valid(names):
        return False
    if quantity == "CDE":
        return True
    own = identify(graph, treatment, mediators)
    return isinstance(own, Identified) and own.valid(names)


def controls_for(graph: Graph, treatment: str, outcome: str, mediators: tuple[str, ...], quantity: str
                 ) -> tuple[str, ...] | None:
    """Controls with which the usual formula gives the part, sorted; None where none of those tried does.

    Tried: what identifies each of the effects it is made of, both together, and everything measured before the
    treatment that could matter; then what is not needed is taken away, in the order of names.
    """
    found = [identify(graph, t, y) for t, y in (((treatment, *mediators), outcome), (treatment, mediators))]
    sets = [set(one.adjustment) for one in found if isinstance(one, Identified)]
    ends = {treatment, outcome, *mediators}
    before = set(graph.names) - graph.latents - set(descendants(graph, (treatment,))) - ends
    sets += [set().union(*sets), before & set(ancestors(graph, ends))]
    for names in sets:
        if fits(graph, treatment, outcome, mediators, quantity, names):
            kept = sorted(names)
            for name in sorted(names):
                rest = [one for one in kept if one != name]
                kept = rest if fits(graph, treatment, outcome, mediators, quantity, rest) else kept
            return tuple(kept)
    return None


def spoiled(graph: Graph, treatment: str, outcome: str, mediators: tuple[str, ...], quantity: str,
            controls: tuple[str, ...]) -> Refused | None:
    """Why, by the graph, these controls do not give the part of the effect; None when they do.

    Refused: ``not_identified`` (whatever the controls), ``post_treatment_control``, ``wrong_controls``.
    """
    found = mediation(graph, treatment, outcome, mediators, quantity)
    if isinstance(found, NotMediated):
        return Refused("not_identified", found.reason, {"witness": dict(found.witness)}, found.remedy)
    if fits(graph, treatment, outcome, mediators, quantity, controls):
        return None
    right = controls_for(graph, treatment, outcome, mediators, quantity)
    advice = ("By the graph no set of controls does." if right is None else
              f"Adjust for {joined(right)}." if right else "Adjust for nothing.")
    after = sorted(set(descendants(graph, (treatment,))) & set(controls) - {treatment})
    evidence = {"controls": list(controls), "adjustment": None if right is None else list(right)}
    if after:
        return Refused("post_treatment_control", f"By the graph {treatment} affects {joined(after)}, and adjusting for "
                       f"{'it' if len(after) == 1 else 'them'} would take away or distort part of the effect.",
                       evidence, advice)
    return Refused("wrong_controls", f"By the graph the {NAMES[quantity]} does not follow from these controls: "
                   f"something else affects two of {treatment}, {joined(mediators)} and {outcome}.", evidence, advice)

