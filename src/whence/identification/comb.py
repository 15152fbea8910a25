"""The effect of one treatment by cutting its wire: the diagram as a comb around what the treatment drives.

Drawn as boxes and wires, the law of the measured ancestors of the outcome falls into an outer part, the boxes that
share hidden causes with the treatment, and an inner part, all others. When no box that the treatment feeds lies in
the outer part, the outer part is a comb: it hands the treatment to the inner part and takes that one's output
back. Both parts follow from the distribution. Cut the treatment's wire (discard what the outer part hands over),
feed in the chosen value, and join the parts again:

P(y | do(s)) = sum over the rest of [inner parts at s] [sum over s' of the outer part at s'].

Sources: Jacobs, Kissinger, Zanasi (2019), Causal inference by string diagram surgery, sections 6 and 7; Tian, Pearl
(2002), A general identification condition for causal effects, theorems 2 and 4.
"""

from __future__ import annotations

import html
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from whence.core.errors import WhenceError
from whence.core.result import fields_to_plain, to_plain
from whence.graphs.bits import closure, ones, shortest_path, topological, union
from whence.graphs.classes import ADMG
from whence.graphs.graph import Graph, matrices_from_edges
from whence.graphs.transform import latent_projection
from whence.identification.asked import check_apart, checked_graph, checked_nodes
from whence.identification.expression import Expression, P, Product, Sum
from whence.identification.joint import checked_joint
from whence.identification.reasons import joined, path_text


@dataclass(frozen=True)
class Comb:
    """The diagram is a comb at the treatment's wire, so cutting it gives the effect.

    outer: the treatment and the nodes that share hidden causes with it. inner: the other measured ancestors of
    the outcome. boxes: per node, in causal order, what its box is conditioned on. estimand: what is asked;
    expression: the same from what is measured. graph: over the measured ancestors of the outcome.
    """

    treatment: str
    outcome: tuple[str, ...]
    outer: tuple[str, ...]
    inner: tuple[str, ...]
    boxes: Mapping[str, tuple[str, ...]]
    estimand: Expression
    expression: Expression
    assumptions: tuple[str, ...]
    graph: ADMG = field(repr=False)

    @property
    def cut(self) -> ADMG:
        """The graph after the surgery, for a drawing: no edge into the treatment is left."""
        kept = [(a, edge, b) for a, edge, b in self.graph.edges()
                if b != self.treatment and not (edge == "<->" and a == self.treatment)]
        marks, bidirected = matrices_from_edges(self.graph.names, kept)
        return ADMG(self.graph.names, marks, bidirected=bidirected)

    def parts(self, joint: np.ndarray, names: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
        """The outer and the inner part of a discrete joint: the comb disintegration.

        joint: probabilities or counts, one axis per name, measured nodes. Both parts have the same axes, of length
        1 where they do not depend on the name. Their product is the joint of the ancestors of the outcome.

        Raises ``WhenceError``: ``bad_joint``, ``unknown_variable``; ``positivity`` where a condition of a box
        never occurs, since the part is then not determined.
        """
        names = tuple(names)
        table = checked_joint(joint, names, self.boxes)
        outer, inner = (_product(self.boxes, side).evaluate(table, names) for side in (self.outer, self.inner))
        if np.isnan(outer).any() or np.isnan(inner).any():
            raise _never_seen(self.treatment)
        return outer, inner

    def distribution(self, joint: np.ndarray, names: Iterable[str], do: int) -> np.ndarray:
        """P(outcome | do(treatment = level ``do``)) from a discrete joint; one axis per outcome.

        Raises ``WhenceError``: ``bad_joint``, ``unknown_variable``, ``bad_level``, ``positivity``.
        """
        names = tuple(names)
        table = checked_joint(joint, names, self.boxes)
        axis = names.index(self.treatment)
        if isinstance(do, bool) or not isinstance(do, (int, np.integer)) or not 0 <= do < table.shape[axis]:
            raise WhenceError(f"{self.treatment!r} has the levels 0 to {table.shape[axis] - 1}, not {do!r}.",
                              code="bad_level", value=to_plain(do), allowed=range(table.shape[axis]))
        values = self.expression.evaluate(table, names).take([int(do)], axis=axis)
        if np.isnan(values).any():
            raise _never_seen(self.treatment)
        keep = [names.index(name) for name in self.outcome]
        order = [*keep, *(k for k in range(values.ndim) if k not in keep)]
        return values.transpose(order).reshape([values.shape[k] for k in keep])

    def drawing(self) -> str:
        """The diagram before and after the cut as an SVG element: boxes, wires, and the comb around the treatment."""
        from whence.identification.comb_drawing import Diagram, draw

        return draw(Diagram(self.graph, self.treatment, self.outcome, self.outer))

    def _repr_html_(self) -> str:
        found, formula = str(self).split("\n")
        return f"<div><p>{html.escape(found)}</p>{self.drawing()}<p>{html.escape(formula)}</p></div>"

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def __str__(self) -> str:
        return (f"Cutting the wire of {self.treatment} gives its effect on {joined(self.outcome)}: the outer part is "
                f"{joined(self.outer)}, the inner part {joined(self.inner)}.\n{self.estimand} = {self.expression}")


@dataclass(frozen=True)
class NoComb:
    """The diagram is not a comb at the treatment's wire; falsy. Another method may still identify the effect.

    code: ``"hidden_cause_shared_with_child"``, or ``"no_effect"`` when no directed path leads from treatment to
    outcome. witness: JSON-ready, with the ``edge`` from the treatment to its child and the ``path`` of hidden
    common causes between them.
    """

    code: str
    reason: str
    witness: Mapping[str, Any]
    treatment: str
    outcome: tuple[str, ...]
    graph: Graph = field(repr=False)

    def __bool__(self) -> bool:
        return False

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def __str__(self) -> str:
        return self.reason


def comb(graph: Graph | Any, treatment: str, outcome: str | Iterable[str]) -> Comb | NoComb:
    """Whether cutting the treatment's wire gives its effect, and the two parts of the diagram.

    graph: DAG (latent nodes are projected out) or ADMG, or anything ``whence.graph`` reads. treatment: one name.

    Raises ``WhenceError``: ``unknown_node``, ``latent_node``, ``role_conflict``, ``missing_role``,
    ``unsupported_graph``, ``several_nodes`` for more than one treatment.
    """
    graph = checked_graph(graph, "The cut")
    x, y = checked_nodes(graph, treatment, "treatment"), checked_nodes(graph, outcome, "outcome")
    name, *others = x
    if others:
        raise WhenceError("One wire is cut at a time.", code="several_nodes", value=list(x),
                          hint="Ask for one treatment.")
    check_apart(treatment=x, outcome=y)
    projected = latent_projection(graph)
    bits = projected.bits
    s = bits.rank[name]
    within = closure(bits.parents, bits.bits_of(y))
    if not within >> s & 1:
        return NoComb(
            "no_effect", f"By the graph {name} cannot affect {joined(y)}: no path leads there in the direction of the "
            "arrows, so there is no wire to cut.", types.MappingProxyType({"kind": "no_effect"}), name, y, graph,
        )
    outer = closure([p & within for p in bits.spouses], 1 << s)
    fed = bits.children[s] & outer
    if fed:
        return _refusal(projected, within, s, fed, y, graph)
    boxes = _boxes(projected, within)
    around, inside = ([box for box in boxes if (outer >> bits.rank[box] & 1) == side] for side in (1, 0))
    cut = Sum(x, _product(boxes, around))
    rest = tuple(box for box in boxes if box not in (name, *y))
    whole = Product((*_product(boxes, inside).factors, cut))
    return Comb(
        name, y, tuple(around), tuple(inside), types.MappingProxyType(boxes), P(y, (), x),
        Sum(rest, whole) if rest else whole, _assumptions(name, around, inside), _restricted(projected, boxes),
    )


def _boxes(graph: ADMG, within: int) -> dict[str, tuple[str, ...]]:
    """Per node in causal order what it depends on among those before: its district there and that one's parents."""
    bits, before, found = graph.bits, 0, {}
    for v in topological(bits.parents, bits.children):
        if within >> v & 1:
            before |= 1 << v
            district = closure([p & before for p in bits.spouses], 1 << v)
            found[bits.names[v]] = bits.sorted_of((district | union(bits.parents, district)) & ~(1 << v))
    return found


def _product(boxes: Mapping[str, tuple[str, ...]], names: Sequence[str]) -> Product:
    return Product(tuple(P((name,), boxes[name]) for name in names))


def _restricted(graph: ADMG, kept: Iterable[str]) -> ADMG:
    at = [graph.index[name] for name in kept]
    square = np.ix_(at, at)
    return ADMG(tuple(graph.names[k] for k in at), graph.marks[square], bidirected=graph.bidirected[square])


def _assumptions(s: str, around: Sequence[str], inside: Sequence[str]) -> tuple[str, ...]:
    return (
        f"As the graph says, nothing hidden joins {s} to what it affects directly.",
        f"As the graph says, no hidden cause reaches both sides: {joined(around)}, and {joined(inside)}.",
        "Every combination of values that a box depends on occurs.",
    )


def _refusal(projected: ADMG, within: int, s: int, fed: int, y: tuple[str, ...], graph: Graph) -> NoComb:
    bits = projected.bits
    spouses = [p & within for p in bits.spouses]
    walk = min((shortest_path(spouses, s, child) for child in ones(fed)), key=len)
    steps = [(bits.names[a], "<->", bits.names[b]) for a, b in pairwise(walk)]
    name, child = bits.names[s], bits.names[walk[-1]]
    return NoComb(
        "hidden_cause_shared_with_child",
        f"Cutting the wire of {name} does not give its effect on {joined(y)}: {name} --> {child} and hidden common "
        f"causes join the two ({path_text(tuple(steps))}), so their boxes cannot be taken apart.",
        types.MappingProxyType({"kind": "hidden_cause_shared_with_child", "edge": [name, "-->", child],
                                "path": [list(step) for step in steps]}), name, y, graph,
    )


def _never_seen(treatment: str) -> WhenceError:
    return WhenceError("Some combination of values that a box depends on never occurs.", code="positivity",
                       value=treatment, hint="The parts cannot be learned from this distribution.")
