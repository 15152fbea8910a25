"""Bounds on an effect from a discrete joint distribution and any graph small enough, by linear programming.

The law of the measured nodes is a product of one factor per district, the nodes that hidden causes tie together. A
district's factor is linear in the shares of its response types, and shares of different districts are unrelated. The
effect is a sum of products of one term per district. Under one treatment every term but that of the treatment's own
district can be computed: outside it, nothing that the outcome no longer depends on is a cause of what it does
depend on, so it sums out (Tian, Pearl 2002). The effect is therefore linear in the shares of one district, and a
linear program gives its bounds. They are sharp when one hidden cause may reach the whole district.

Where several hidden causes hold the district together without any reaching all of it, the bounds are valid, and those
further constraints are used that are linear: every term of its nodes that can be computed, and that a node without
causes is independent of the response types of the nodes it shares no hidden cause with.

A term that the distribution leaves open, because its causes never take the levels asked for, counts as unknown too;
several unknown districts are taken as one, which is valid.

Sources: Balke, Pearl (1997); Tian, Pearl (2002), A general identification condition for causal effects; Evans
(2016), Graphs for margins of Bayesian networks; Jonzon, Gabriel, Sjolander and others (2022), A general method for
deriving tight symbolic bounds on causal effects.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from whence.core.errors import WhenceError
from whence.core.result import Refused, to_plain
from whence.graphs.bits import ones
from whence.graphs.graph import Graph
from whence.identification.bounds import DIRECTIONS, Bounded, Direction, checked_values
from whence.identification.district_program import MOST_TYPES, Program, program
from whence.identification.factors import Factors, Question, factors, question
from whence.identification.joint import checked_joint
from whence.identification.linear_program import least, loosened, smallest_change
from whence.identification.reasons import joined
from whence.identification.response_types import Rule, TooManyTypes

FITS = 1e-6  # total change of a distribution below which it is taken for rounding
Range = tuple[float, float]


def graph_bounds(graph: Graph | Any, joint: np.ndarray, names: Iterable[str], treatment: str, outcome: str, *,
                 treated: int = 1, control: int | None = 0, values: Sequence[float] | None = None,
                 monotone: Mapping[tuple[str, str], Direction] | None = None, nearest: bool = False,
                 ) -> Bounded | Refused:
    """The effects that fit the graph and the joint distribution of its measured nodes.

    graph: DAG (latent nodes may have any number of levels) or ADMG, or anything ``whence.graph`` reads. joint:
    probabilities or counts, one axis per name; every measured node must be named. treated, control: levels of the
    treatment; without a control the mean outcome under ``treated``. values: the number each outcome level
    stands for (0, 1, ... when None; a 1 among zeros gives a probability). monotone: per arrow (a, b) "increasing"
    where nobody's b falls as a rises and all else stays, "decreasing" where nobody's rises. nearest: where the
    distribution does not fit, as in any sample, use those that fit best (least total change) and say so.

    Where the effect can be computed the bounds meet. Refused: ``contradicted`` (no model with this graph has the
    distribution), ``too_many_types``. Raises ``WhenceError``: ``unknown_node``, ``latent_node``, ``role_conflict``,
    ``unsupported_graph``, ``bad_joint``, ``unknown_variable``, ``bad_level``, ``bad_values``, ``no_edge``,
    ``unknown_direction``.
    """
    asked = question(graph, treatment, outcome)
    names = tuple(names)
    table = checked_joint(joint, names, asked.names)
    table = table.sum(axis=tuple(k for k, name in enumerate(names) if name not in asked.names))
    kept = [name for name in names if name in asked.names]
    table = table.transpose([kept.index(name) for name in asked.names])
    scores = checked_values(values, table.shape[asked.y])
    _check_levels(treated, control, table.shape[asked.x])
    rules = _rules(asked, monotone or {})
    low, unit = float(scores.min()), float(np.ptp(scores)) or 1.0
    arms = (treated,) if control is None else (treated, control)
    found = factors(asked, table, (scores - low) / unit, arms)
    if found.misfit > FITS and not nearest:
        return _independence_fails(found.misfit)
    solved = _solved(found, rules, nearest)
    if isinstance(solved, Refused):
        return solved
    ranges, evidence, remarks = solved
    if found.misfit > FITS:
        remarks.insert(0, "The distribution does not have the independences of the graph; it was replaced by the "
                       f"product of its districts, at a total change of {found.misfit:.3g}.")
    said = _assumptions(asked, monotone or {})
    return _answer(found, ranges, (low, unit), (treated, control), said, evidence, remarks)


def _solved(found: Factors, rules: Mapping[int, Sequence[Rule]], nearest: bool,
            ) -> tuple[list[Range], dict[str, Any], list[str]] | Refused:
    """The range of treated - control and of each arm, numbers behind them, remarks."""
    if not found.open:
        means = [float(rest.sum()) for rest in found.rest]
        sets = [means[0] - means[-1] if len(means) > 1 else means[0], *means]
        return [(each, each) for each in sets], {}, ["The graph identifies the effect."]
    names = found.asked.bits.sorted_of(found.district)
    try:
        built = program(found, rules)
    except TooManyTypes as many:
        return Refused(
            "too_many_types", f"The nodes that hidden causes tie together ({joined(names)}) have at least "
            f"{many.count:,} response types; up to {MOST_TYPES:,} can be handled.",
            {"types": many.count, "district": [*names]},
            "Merge levels, or mark measured nodes that do not affect the outcome as latent: the bounds stay valid but "
            "may widen.", "graph_bounds",
        )
    evidence = {"district": list(names), "response_types": built.types, "columns": built.matrix.shape[1]}
    remarks = []
    solved = _ranges(built, built.matrix, built.target, 1.0)
    if solved is None:
        change = smallest_change(built.matrix, built.target)
        if change > FITS and not nearest:
            return _contradicted(names, change, bool(rules))
        matrix, target = loosened(built.matrix, built.target, change * (1 + 1e-6) + 1e-9)
        solved = _ranges(built, matrix, target, 1.0 + float(target[-1]))
        if change > FITS:
            evidence["smallest_change"] = change
            remarks.append("No model with this graph has the distribution; the bounds are those of the distributions "
                           f"nearest to it, at a total change of {change:.3g} of the conditional probabilities.")
    if solved is None:
        raise RuntimeError("The linear program lost its solution.")
    ranges, gap = solved
    if not built.sharp:
        remarks.append(_why_not_sharp(found))
    return ranges, evidence | {"duality_gap": gap}, remarks


def _ranges(built: Program, matrix: Any, target: np.ndarray, largest: float) -> tuple[list[Range], float] | None:
    found, gap = [], 0.0
    for lower, upper in built.costs:
        ends = []
        for cost in (lower, -upper):
            solved = least(matrix, target, np.pad(cost, (0, matrix.shape[1] - len(cost))), largest)
            if solved is None:
                return None
            ends.append(solved.value)
            gap = max(gap, solved.gap)
        found.append((ends[0], max(ends[0], -ends[1])))
    return found, gap


def _answer(found: Factors, ranges: list[Range], scale: Range, levels: tuple[int, int | None],
            assumptions: tuple[str, ...], evidence: dict[str, Any], remarks: list[str]) -> Bounded:
    low, unit = scale
    treated, control = levels
    asked = found.asked
    start = low if control is None else 0.0
    lower, upper = (start + unit * end for end in ranges[0])
    arms = {name: (low + unit * a, low + unit * b)
            for name, (a, b) in zip(("treated", "control"), ranges[1:], strict=False)}
    x, y = asked.names[asked.x], asked.names[asked.y]
    return Bounded(
        lower, upper, "response types by linear programming" if found.open else "identified", assumptions, treated,
        control, types.MappingProxyType(arms), "ATE" if control is not None else f"E[{y} | do({x} = {treated})]",
        types.MappingProxyType(to_plain(evidence)), not found.open or found.sharp, " ".join(remarks),
    )


# What is said


def _why_not_sharp(found: Factors) -> str:
    named = [joined(found.asked.bits.sorted_of(each)) for each in found.open]
    if len(found.open) > 1:
        return (f"Levels that never occur leave several groups of nodes open ({'; '.join(named)}); they were taken as "
                "one, so some values inside may not fit.")
    return (f"No single hidden cause reaches all of {named[0]}; not everything that follows from that is used, so some "
            "values inside may not fit.")


def _contradicted(names: tuple[str, ...], change: float, monotone: bool) -> Refused:
    return Refused(
        "contradicted", f"No model with this graph{' and these directions' if monotone else ''} has this distribution: "
        f"the conditional probabilities of {joined(names)} must change by {change:.6g} in all.",
        {"smallest_change": change, "district": list(names)},
        "Either an arrow or a hidden cause is missing from the graph, or it is chance: nearest=True uses the nearest "
        "distribution that fits.", "graph_bounds",
    )


def _independence_fails(misfit: float) -> Refused:
    return Refused(
        "contradicted", "The distribution does not have the independences of the graph: the nearest product of its "
        f"districts differs by {misfit:.6g} in all.", {"smallest_change": misfit},
        "Add the arrow or hidden cause that is missing; where it is chance, nearest=True uses the product.",
        "graph_bounds",
    )


def _assumptions(asked: Question, monotone: Mapping[tuple[str, str], Direction]) -> tuple[str, ...]:
    moves = {"increasing": ("falls", "rises"), "decreasing": ("rises", "rises")}
    return (
        "The graph is right: it shows every arrow among the measured nodes and every hidden cause two of them share.",
        *(f"Nobody's {b} {moves[how][0]} as {a} {moves[how][1]} and all else stays the same."
          for (a, b), how in monotone.items()),
    )


# Checks of what was given


def _rules(asked: Question, monotone: Mapping[tuple[str, str], Direction]) -> dict[int, list[Rule]]:
    rules: dict[int, list[Rule]] = {}
    rank, parents = asked.bits.rank, asked.bits.parents
    for (a, b), how in monotone.items():
        if how not in DIRECTIONS:
            raise WhenceError(f"There is no direction {how!r}.", code="unknown_direction", value=how,
                              allowed=DIRECTIONS)
        if a not in rank or b not in rank or not parents[rank[b]] >> rank[a] & 1:
            arrows = [f"{asked.names[p]} --> {name}" for name in asked.names for p in ones(parents[rank[name]])]
            raise WhenceError(f"The graph over the measured nodes has no arrow {a} --> {b}.", code="no_edge",
                              value=[a, b], allowed=arrows)
        rules.setdefault(rank[b], []).append((rank[a], 1 if how == "increasing" else -1))
    return rules


def _check_levels(treated: int, control: int | None, levels: int) -> None:
    for level in (treated, *(() if control is None else (control,))):
        if isinstance(level, bool) or not isinstance(level, (int, np.integer)) or not 0 <= level < levels:
            raise WhenceError(f"The treatment has the levels 0 to {levels - 1}, not {level!r}.", code="bad_level",
                              value=to_plain(level), allowed=range(levels))
    if treated == control:
        raise WhenceError("The two treatment levels compared are the same.", code="bad_level", value=to_plain(treated))
