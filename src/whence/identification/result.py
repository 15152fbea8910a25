"""What ``identify`` answers: the effect is identified, and how; or it is not, and what stands in the way."""

from __future__ import annotations

import functools
import html
import itertools
import json
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from whence.core.errors import WhenceError, unknown_name
from whence.core.result import fields_to_plain
from whence.graphs.ancestry import bits_of
from whence.graphs.graph import Graph
from whence.identification.adjustment import Problem
from whence.identification.beyond import used
from whence.identification.expression import Expression
from whence.identification.joint import averaged, checked_joint, checked_levels
from whence.identification.reasons import Reason, explain, joined
from whence.identification.spec import Spec


@dataclass(frozen=True)
class Identified:
    """The effect is identified, by adjustment unless ``strategy`` says otherwise.

    quantity: ATE, ATT, ATC or CATE. adjustment: what to adjust for, measured nodes only, ``given`` included.
    estimand: what is asked, as a probability; expression: the same from what is measured. assumptions:
    sentences the answer rests on. note: how to read it. no_effect: no directed path leads from treatment
    to outcome, so the effect is zero by the graph. adjustable: whether a set blocks all non-causal paths;
    False beside ``no_effect``, where a comparison would show confounding alone, and for another strategy.
    strategy: ``"adjustment"``, ``"frontdoor"`` (through ``mediators``) or ``"id"`` (the ID algorithm).
    """

    quantity: str
    treatment: tuple[str, ...]
    outcome: tuple[str, ...]
    adjustment: tuple[str, ...]
    estimand: Expression
    expression: Expression
    assumptions: tuple[str, ...]
    graph: Graph = field(repr=False)
    problem: Problem = field(repr=False, compare=False, metadata={"plain": False})
    given: tuple[str, ...] = ()
    note: str = ""
    no_effect: bool = False
    adjustable: bool = True
    strategy: str = "adjustment"
    mediators: tuple[str, ...] = ()

    @functools.cached_property
    def _explained(self) -> dict[str, Reason]:
        if self.strategy != "adjustment":
            return used(self.graph, self.treatment, self.outcome, self.expression, self.mediators)
        return explain(self.problem, self.graph, bits_of(self.graph, self.adjustment))

    @property
    def reasons(self) -> Mapping[str, str]:
        """For every node of the graph, one sentence: why it is in the adjustment set (or the formula) or out of it."""
        return types.MappingProxyType({name: reason.text for name, reason in self._explained.items()})

    @property
    def roles(self) -> Mapping[str, str]:
        """For every node its role in the drawing (the roles of ``whence.graphs.svg``)."""
        return types.MappingProxyType({name: reason.role for name, reason in self._explained.items()})

    def valid(self, names: str | Iterable[str]) -> bool:
        """Whether adjusting for exactly these nodes identifies the effect, by the complete criterion.

        Raises ``WhenceError`` (``unknown_node``).
        """
        return self.problem.valid(bits_of(self.graph, names))

    def minimal_sets(self, limit: int | None = None) -> Iterator[tuple[str, ...]]:
        """All adjustment sets from which no node can be dropped, lazily, at most ``limit``.

        The one nearest to the outcome comes first; the order does not depend on the order of the nodes.
        """
        sets = (self.graph.bits.sorted_of(found) for found in self.problem.minimal())
        return itertools.islice(sets, limit)

    def distribution(self, joint: np.ndarray, names: Iterable[str], do: Mapping[str, int] | int) -> np.ndarray:
        """P(outcome | do(treatment = value), given) from a discrete joint distribution of measured nodes.

        joint: probabilities or counts, one axis per name. do: the level (position on its axis) of each
        treatment; a number for a single treatment. Returns one axis per outcome, then one per given
        node; each slice over the outcomes sums to 1.

        Raises ``WhenceError``: ``positivity`` when a needed combination never occurs, ``bad_joint``,
        ``unknown_variable``, ``bad_level``; ``unsupported_quantity`` for ATT and ATC, which average over
        another population.
        """
        if self.quantity in ("ATT", "ATC"):
            raise WhenceError(
                f"The distribution is that of the whole population, not of the {self.quantity}.",
                code="unsupported_quantity", value=self.quantity, allowed=("ATE", "CATE"),
                hint="Identify with quantity='ATE' to get it.",
            )
        names = tuple(names)
        table = checked_joint(joint, names, self.expression.variables | set(self.treatment))
        levels = checked_levels(do, self.treatment, dict(zip(names, table.shape, strict=True)))
        values = self.expression.evaluate(table, names)
        for name, level in levels.items():
            axis = names.index(name)
            values = values.take([level if values.shape[axis] > 1 else 0], axis=axis)
        spare = sorted(self.expression.free.difference(self.treatment, self.outcome, self.given))
        values = averaged(values, table, names, spare) if spare else values
        if np.isnan(values).any():
            raise WhenceError(
                f"Some combination of {joined(self.adjustment) if self.adjustment else 'values'} that occurs never "
                f"occurs together with {', '.join(f'{n} at level {v}' for n, v in levels.items())}.",
                code="positivity", value=levels, hint="The effect there cannot be learned from this distribution.",
            )
        keep = [names.index(name) for name in (*self.outcome, *self.given)]
        values = np.broadcast_to(values, [table.shape[k] if k in keep else 1 for k in range(table.ndim)])
        rest = tuple(k for k in range(values.ndim) if k not in keep)
        left = [k for k in range(values.ndim) if k in keep]
        return np.squeeze(values, axis=rest).transpose([left.index(k) for k in keep])

    def to_spec(self, **changes: Any) -> Spec:
        """The spec that estimates this effect, with ``changes`` to its fields.

        Raises ``WhenceError``: ``nothing_to_estimate`` when no set blocks the non-causal paths (the effect is
        zero by the graph and a comparison would show confounding), ``unknown_field``. For the strategy ``"id"`` the
        spec carries the graph, from which the formula can be found again.
        """
        if self.strategy == "adjustment" and not self.adjustable:
            raise WhenceError(self.note, code="nothing_to_estimate", value=list(self.treatment),
                              hint="Ask with a graph in which the treatment can affect the outcome.")
        allowed = [f.name for f in fields(Spec)]
        for name in changes:
            if name not in allowed:
                raise unknown_name("spec field called", name, allowed, code="unknown_field")
        base: dict[str, Any] = {
            "strategy": self.strategy, "treatments": self.treatment, "outcomes": self.outcome,
            "quantity": self.quantity, "controls": self.adjustment, "assumptions": self.assumptions,
            "mediators": self.mediators,
        }
        if self.strategy == "id":
            others = self.expression.variables.difference(self.treatment, self.outcome)
            base |= {"graph": json.dumps(self.graph.to_dict(), ensure_ascii=False), "formula_columns": sorted(others)}
        return Spec(**(base | changes))

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self) | {"reasons": dict(self.reasons), "roles": dict(self.roles)}

    def __str__(self) -> str:
        return (f"{self._headline} {self._advice}".strip() + f"\n{self.estimand} = {self.expression}"
                + (f"\n{self.note}" if self.note else ""))

    @property
    def _headline(self) -> str:
        return f"The effect of {joined(self.treatment)} on {joined(self.outcome)} is identified ({self.quantity})."

    @property
    def _advice(self) -> str:
        if not self.adjustable:
            return "There is no adjustment set." if self.strategy == "adjustment" else ""
        return f"Adjust for: {', '.join(self.adjustment) or 'nothing'}."

    def _repr_html_(self) -> str:
        rows = "".join(f"<li>{html.escape(text)}</li>" for text in self.reasons.values())
        note = f"<p>{html.escape(self.note)}</p>" if self.note else ""
        return (f"<div><p><b>{html.escape(self._headline)}</b> {html.escape(self._advice)}</p>"
                f"<p>{html.escape(f'{self.estimand} = {self.expression}')}</p>{note}"
                f"<details><summary>Why each node is in or out</summary><ul>{rows}</ul></details></div>")


@dataclass(frozen=True)
class NotIdentified:
    """The effect is not identified; falsy. In a DAG or ADMG, for ATE and CATE, by no method, without more assumptions.

    code: ``"open_path"``, ``"undecided_edge"``, ``"invisible_edge"`` or ``"not_a_pag"``. reason: the sentence.
    witness: JSON-ready, with the ``path`` as ``[a, edge, b]`` steps: a non-causal path that stays open given
    everything that may be adjusted for and could help (``adjusted``), or a possibly causal path whose first ``edge``
    has no direction or may hide a common cause; ``hedge``: the nodes that no method can tell apart
    (``whence.identification.hedge``); ``instruments``: what could stand in, each ``{name, given}``. remedy: what to
    measure or to decide, and what else the graph offers.
    """

    code: str
    reason: str
    witness: Mapping[str, Any]
    remedy: str
    treatment: tuple[str, ...]
    outcome: tuple[str, ...]
    graph: Graph = field(repr=False)
    quantity: str = "ATE"

    def __bool__(self) -> bool:
        return False

    @property
    def roles(self) -> Mapping[str, str]:
        """For treatment, outcome and hidden nodes their role in the drawing."""
        named = dict.fromkeys(self.graph.latents, "latent")
        named |= dict.fromkeys(self.treatment, "treatment") | dict.fromkeys(self.outcome, "outcome")
        return types.MappingProxyType(named)

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def __str__(self) -> str:
        return f"{self.reason} {self.remedy}"

    def _repr_html_(self) -> str:
        return f"<div><p><b>Not identified.</b> {html.escape(self.reason)}</p><p>{html.escape(self.remedy)}</p></div>"
