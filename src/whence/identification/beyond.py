"""Where no adjustment set exists: the front door, then the ID algorithm, or the hedge against every method."""

from __future__ import annotations

from dataclasses import dataclass, replace

from whence.graphs.classes import ADMG, DAG
from whence.graphs.graph import Graph
from whence.identification.expression import Expression
from whence.identification.frontdoor import frontdoor_set
from whence.identification.hedge import Hedge
from whence.identification.idc import estimand
from whence.identification.instrument import first_instruments
from whence.identification.obstacles import UNTRIED, Obstacle
from whence.identification.reasons import Reason, joined


@dataclass(frozen=True)
class Route:
    """How the effect is identified without adjustment. strategy: ``"frontdoor"`` or ``"id"``."""

    strategy: str
    expression: Expression
    assumptions: tuple[str, ...]
    note: str
    mediators: tuple[str, ...] = ()


def beyond_adjustment(graph: Graph, x: tuple[str, ...], y: tuple[str, ...], w: tuple[str, ...]) -> Route | Hedge | None:
    """The front-door formula, that of the ID algorithm, or a hedge; None for a class of graphs."""
    if not isinstance(graph, (DAG, ADMG)):
        return None
    front = None if w else frontdoor_set(graph, x, y)
    if front is not None and front.mediators:
        return Route("frontdoor", front.expression, front.assumptions, "No adjustment set exists. The effect is "
                     f"identified by the front door through {joined(front.mediators)}.", front.mediators)
    found = estimand(graph, x, y, w)
    if isinstance(found, Hedge):
        return found
    spare = sorted(found.free.difference(x, y, w))
    note = "No adjustment set and no front door exists. The formula comes from the ID algorithm."
    if spare:
        note += f" Its value is the same at every level of {joined(spare)}."
    return Route("id", found, (
        f"The graph is right: it shows every common cause of {joined(x)}, {joined(y)} and the other nodes, and no "
        "arrow is missing.",
        "Every combination of values that the formula conditions on occurs.",
        f"One unit's {joined(x)} does not affect another unit's {joined(y)}, and each value of {joined(x)} means one "
        "thing.",
    ), note)


def with_hedge(obstacle: Obstacle, hedge: Hedge | None) -> Obstacle:
    """The obstacle to adjustment, and that every other method meets one as well."""
    if hedge is None:
        return obstacle
    reason = obstacle.reason.replace(UNTRIED, (
        f" No other method gives it from these measured nodes and this graph alone: hidden causes tie "
        f"{joined(hedge.outer)} together in such a way that models with different effects fit the same data (a hedge)."
    ))
    return replace(obstacle, reason=reason, witness=obstacle.witness | {"hedge": hedge.to_dict()})


def with_instruments(obstacle: Obstacle, graph: Graph, x: tuple[str, ...], y: tuple[str, ...],
                     w: tuple[str, ...]) -> Obstacle:
    """The obstacle, and the instruments that could give another quantity; for one treatment and one outcome."""
    if not isinstance(graph, (DAG, ADMG)) or (len(x), len(y), len(w)) != (1, 1, 0):
        return obstacle
    found = first_instruments(graph, *x, *y)
    if not found:
        return obstacle
    listed = [{"name": each.name, "given": list(each.given)} for each in found]
    remedy = (
        f"{obstacle.remedy} Without that, the graph offers the instrument {found[0]}. It gives the effect for those "
        f"whose {x[0]} it moves (LATE), or that of everyone if the effect is linear and the same for all; "
        "either rests on assumptions that the graph does not hold."
    )
    return replace(obstacle, remedy=remedy, witness=obstacle.witness | {"instruments": listed})


def with_bounds(obstacle: Obstacle, x: tuple[str, ...], y: tuple[str, ...], quantity: str) -> Obstacle:
    """The obstacle, and the call that bounds the effect; for one treatment and one outcome."""
    if (len(x), len(y)) != (1, 1) or quantity == "CATE":
        return obstacle
    asked = {"strategy": "adjustment", "treatments": list(x), "outcomes": list(y)}
    asked |= {} if quantity == "ATE" else {"quantity": quantity}
    return replace(obstacle, remedy=f"{obstacle.remedy} The effect of a treatment with few values can be bounded: "
                   f"whence.bounds(data, {asked}).")


def used(graph: Graph, x: tuple[str, ...], y: tuple[str, ...], expression: Expression,
         mediators: tuple[str, ...]) -> dict[str, Reason]:
    """For every node its part in the formula."""
    found = {}
    for name in graph.names:
        if name in x:
            found[name] = Reason("treatment", f"{name} is the treatment.")
        elif name in y:
            found[name] = Reason("outcome", f"{name} is the outcome.")
        elif name in graph.latents:
            found[name] = Reason("latent", f"{name} is not measured, and the formula does without it.")
        elif name in mediators:
            found[name] = Reason("mediator", f"{name} is in the front-door set: it carries the effect of {joined(x)} "
                                 f"on {joined(y)}.")
        elif name in expression.variables:
            found[name] = Reason("adjusted", f"{name} is used in the formula.")
        else:
            found[name] = Reason("other", f"{name} is not used in the formula.")
    return found
