"""Controls that a graph shows to be affected by the treatment where adjusting for them spoils its effect."""

from __future__ import annotations

from collections.abc import Iterable

from whence.core.result import Refused
from whence.graphs.ancestry import possible_descendants
from whence.graphs.graph import Graph
from whence.identification.identify import identify
from whence.identification.reasons import joined
from whence.identification.result import Identified


def post_treatment(
    graph: Graph, treatment: str | Iterable[str], outcome: str | Iterable[str], controls: Iterable[str]
) -> Refused | None:
    """``post_treatment_control`` when the graph forbids some control, None when it forbids none or decides nothing.

    Forbidden are the nodes on causal paths from treatment to outcome and all that follows from these (Shpitser,
    VanderWeele and Robins 2010): the first carry the effect away, the others open paths that are not causal. What the
    treatment may affect elsewhere does no harm where the controls are a valid set, and is refused with them where they
    are not. In a class of graphs, what is forbidden in some member. Raises the errors of ``identify``.
    """
    found = identify(graph, treatment, outcome)
    if not isinstance(found, Identified):
        return None
    named = tuple(sorted(name for name in set(controls) if name in graph))
    if found.adjustable and found.valid(named):
        return None
    wrong = sorted(possible_descendants(graph, found.treatment).intersection(named))
    if not wrong:
        return None
    rest = [name for name in named if name not in wrong]
    advice = f"Leave out {joined(wrong)}"
    if found.strategy != "adjustment":
        advice += "; no set of controls identifies the effect, another strategy does: leave the choice to the graph"
    elif found.valid(rest):
        advice += ", and the others are right" if rest else ""
    else:
        advice += f", and adjust for {joined(found.adjustment)}"
    return Refused(
        "post_treatment_control", f"By the graph {joined(found.treatment)} affects or may affect {joined(wrong)}, and "
        f"adjusting for {'it' if len(wrong) == 1 else 'them'} would take away or distort the effect on "
        f"{joined(found.outcome)}.", {"controls": list(wrong), "adjustment": list(found.adjustment)}, advice + ".",
    )
