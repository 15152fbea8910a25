"""The answer to a question about mediation: the formula and what follows from it, or what stands in the way."""

from __future__ import annotations

import dataclasses
import html
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from whence.core.errors import WhenceError, unknown_name
from whence.core.result import Refused, fields_to_plain, to_plain
from whence.graphs.graph import Graph
from whence.identification.expression import Expression, second
from whence.identification.joint import averaged, checked_joint, checked_levels
from whence.identification.reasons import joined
from whence.identification.spec import Spec

NAMES = {
    "CDE": "controlled direct effect", "NDE": "natural direct effect", "NIE": "natural indirect effect",
    "TDE": "total direct effect", "TIE": "total indirect effect",
}


@dataclass(frozen=True)
class NaturalEffects:
    """The parts of an effect on the mean of the outcome, ``treated`` against ``control``.

    natural_direct (NDE) + total_indirect (TIE) = natural_indirect (NIE) + total_direct (TDE) = total.
    total: from the formula that ``identify`` gives for it, adjustment where there is one. gap: by how much the outcome
    with the mediators as they are under the same treatment misses it, the larger of the two; zero for a joint with
    the independences of the graph, so a gap speaks against the graph (or is the noise of counts).
    proportion_mediated: TIE over total; None where the total is zero. It can lie outside 0 to 1.
    """

    natural_direct: float
    natural_indirect: float
    total_direct: float
    total_indirect: float
    total: float
    proportion_mediated: float | None
    gap: float
    treated: int
    control: int


@dataclass(frozen=True)
class Mediated:
    """The part of the effect is identified.

    quantity: CDE, NDE, NIE, TDE or TIE. estimand: the distribution it is made of: P(y | do(x, m)) for the CDE,
    otherwise that of the outcome with the treatment at one value and the mediators as under the other; a prime
    marks the level of comparison. expression: the same from what is measured; None when it is not identified and
    the effect is zero by the graph all the same. zero: no path of this kind exists. note: how to read it. labels:
    for the drawing, the kind of path each arrow of the treatment starts. total_expression: P(y | do(x)) as
    ``identify`` finds it, None where it is not identified.
    """

    quantity: str
    treatment: str
    outcome: tuple[str, ...]
    mediators: tuple[str, ...]
    estimand: Expression
    expression: Expression | None
    assumptions: tuple[str, ...]
    graph: Graph = field(repr=False)
    given: tuple[str, ...] = ()
    note: str = ""
    zero: bool = False
    labels: Mapping[tuple[str, str], str] = field(default_factory=dict, repr=False, metadata={"plain": False})
    total_expression: Expression | None = field(default=None, repr=False)

    def to_spec(self, **changes: Any) -> Spec | Refused:
        """The spec that estimates this part of the effect, with ``changes`` to its fields.

        Refused: ``no_estimator`` where the formula is not the usual one with controls (``mediation_adjustment``),
        within levels (``given``) and for several outcomes; ``nothing_to_estimate`` for what is zero by the graph.
        Raises ``WhenceError`` (``unknown_field``).
        """
        from whence.identification.mediation_adjustment import controls_for

        allowed = [f.name for f in dataclasses.fields(Spec)]
        for name in changes:
            if name not in allowed:
                raise unknown_name("spec field called", name, allowed, code="unknown_field")
        by_hand = "Evaluate its formula on a table of counts with .distribution(), .effects() or .controlled_effect()."
        if self.zero:
            return Refused("nothing_to_estimate", f"The {_of(self)} is zero by the graph.", {"quantity": self.quantity},
                           "Ask with a graph in which there is such a path.")
        plain = not self.given and len(self.outcome) == 1
        controls = controls_for(self.graph, self.treatment, self.outcome[0], self.mediators, self.quantity
                                ) if plain else None
        if controls is None:
            return Refused("no_estimator", f"The {_of(self)} is identified, but not by adjusting for one set of "
                           "controls, and there is no estimator for its formula.", {"quantity": self.quantity}, by_hand)
        base: dict[str, Any] = {
            "strategy": "adjustment", "treatments": (self.treatment,), "outcomes": self.outcome, "controls": controls,
            "quantity": self.quantity, "mediators": self.mediators, "assumptions": self.assumptions}
        return Spec(**(base | changes))

    def distribution(self, joint: np.ndarray, names: Iterable[str], do: Mapping[str, int] | int,
                     through: int | None = None) -> np.ndarray:
        """P(y(do, m(through)) | given), or P(y | do(x, m), given) for the CDE, from a discrete joint.

        joint: probabilities or counts, one axis per name. do: the level of the treatment (its position on the axis)
        for the paths past the mediators; for the CDE a level for the treatment and each mediator. through: the level
        of the treatment that the mediators respond to. Returns one axis per outcome, then one per given node.

        Raises ``WhenceError``: ``bad_joint``, ``unknown_variable``, ``bad_level``, ``positivity`` where a needed
        combination never occurs, ``no_distribution`` when ``expression`` is None.
        """
        if self.expression is None:
            raise WhenceError(f"The {NAMES[self.quantity]} is zero by the graph, and {self.estimand} is not "
                              "identified.", code="no_distribution", value=self.quantity)
        fixed = (self.treatment, *self.mediators) if self.quantity == "CDE" else (self.treatment,)
        if (through is None) != (self.quantity == "CDE"):
            hint = ("The controlled effect has no second level." if self.quantity == "CDE"
                    else "through= is the level of the treatment that the mediators respond to.")
            raise WhenceError("Give one level of the treatment for the mediators in a natural effect, and none for the "
                              "controlled one.", code="bad_level", value=to_plain(through), hint=hint)
        names = tuple(names)
        table = checked_joint(joint, names, self.expression.variables | set(fixed))
        sizes = dict(zip(names, table.shape, strict=True))
        levels = checked_levels(do, fixed, sizes)
        if through is not None:
            other = checked_levels(through, fixed, sizes)[self.treatment]
            own = levels[self.treatment]
            if self.quantity in ("NIE", "TDE"):  # the prime stands with the outcomes
                own, other = other, own
            levels = {self.treatment: own, second(self.treatment): other}
        return self._at(self.expression, table, names, levels)

    def effects(self, joint: np.ndarray, names: Iterable[str], treated: int = 1, control: int = 0,
                values: Sequence[float] | None = None) -> NaturalEffects:
        """All natural parts of the effect on the mean of the outcome, from a discrete joint distribution.

        treated, control: levels of the treatment. values: what each level of the outcome counts; 0, 1, ... without.

        Raises ``WhenceError``: those of ``distribution``; ``unsupported_quantity`` for the CDE, for several outcomes
        and with ``given``; ``bad_values``.
        """
        if self.quantity == "CDE" or self.given or len(self.outcome) > 1:
            raise WhenceError("The natural parts are for one outcome in the whole population, and not from a CDE.",
                              code="unsupported_quantity", value=self.quantity, allowed=("NDE", "NIE", "TDE", "TIE"),
                              hint=".controlled_effect() is that of a CDE; otherwise compare what .distribution() "
                                   "gives.")
        names = tuple(names)
        mean = {(a, b): self._mean(self.distribution(joint, names, a, b), values)
                for a in (treated, control) for b in (treated, control)}
        assert self.total_expression is not None, "the nested distribution is identified only where the total is"
        table = checked_joint(joint, names, self.total_expression.variables | {self.treatment})
        alone = [self._mean(self._at(self.total_expression, table, names, {self.treatment: level}), values)
                 for level in (treated, control)]
        total = alone[0] - alone[1]
        direct, indirect = mean[treated, control] - alone[1], mean[control, treated] - alone[1]
        total_direct, total_indirect = alone[0] - mean[control, treated], alone[0] - mean[treated, control]
        gap = max((mean[k, k] - alone[i] for i, k in enumerate((treated, control))), key=abs)
        share = total_indirect / total if abs(total) > 1e-12 else None
        return NaturalEffects(direct, indirect, total_direct, total_indirect, total, share, gap, treated, control)

    def controlled_effect(self, joint: np.ndarray, names: Iterable[str], at: Mapping[str, int] | int, treated: int = 1,
                          control: int = 0, values: Sequence[float] | None = None) -> float:
        """The CDE on the mean of the outcome with the mediators set to the levels ``at``, from a discrete joint.

        at: the level (position on its axis) of each mediator; a number for a single one. The rest as for ``effects``.

        Raises ``WhenceError``: those of ``distribution``; ``unsupported_quantity`` for the other quantities, several
        outcomes and with ``given``; ``bad_values``. Zero by the graph is 0 without a formula.
        """
        if self.quantity != "CDE" or self.given or len(self.outcome) > 1:
            raise WhenceError("The controlled effect is that of a CDE on one outcome in the whole population.",
                              code="unsupported_quantity", value=self.quantity, allowed=("CDE",),
                              hint="Ask with quantity='CDE', or use .distribution() and compare.")
        names = tuple(names)
        if self.expression is None:
            return 0.0
        table = checked_joint(joint, names, {*self.expression.variables, self.treatment, *self.mediators})
        levels = checked_levels(at, self.mediators, dict(zip(names, table.shape, strict=True)))
        means = [self._mean(self.distribution(joint, names, {**levels, self.treatment: level}), values)
                 for level in (treated, control)]
        return means[0] - means[1]

    def _mean(self, p: np.ndarray, values: Sequence[float] | None) -> float:
        worth = np.arange(len(p)) if values is None else np.asarray(values, dtype=float)
        if worth.shape != p.shape or not np.isfinite(worth).all():
            raise WhenceError(f"{self.outcome[0]!r} has {len(p)} levels; give one finite value for each.",
                              code="bad_values", value=to_plain(values), allowed=f"{len(p)} numbers")
        return float(p @ worth)

    def _at(self, expression: Expression, table: np.ndarray, names: tuple[str, ...],
            levels: Mapping[str, int]) -> np.ndarray:
        """The expression at given levels as an array over outcomes, then given."""
        wide, axes = table[..., None], (*names, second(self.treatment))
        values = expression.evaluate(wide, axes)
        for name, level in levels.items():
            axis = axes.index(name)
            values = values.take([level if values.shape[axis] > 1 else 0], axis=axis)
        kept = (*self.outcome, *self.given)
        spare = sorted(expression.free.difference(kept, levels))
        values = averaged(values, wide, axes, spare) if spare else values
        if np.isnan(values).any():
            raise WhenceError("Some combination of values that the formula conditions on never occurs.",
                              code="positivity", value=list(levels.values()),
                              hint="The effect there cannot be learned from this distribution.")
        places = [axes.index(name) for name in kept]
        values = np.broadcast_to(values, [n if k in places else 1 for k, n in enumerate(wide.shape)])
        order = [*places, *(k for k in range(values.ndim) if k not in places)]
        return values.transpose(order).reshape([values.shape[k] for k in places])

    @property
    def roles(self) -> Mapping[str, str]:
        """For every node its role in the drawing (the roles of ``whence.graphs.svg``)."""
        used = dict.fromkeys(self.expression.variables if self.expression else (), "adjusted")
        return types.MappingProxyType(dict.fromkeys(self.graph.names, "other") | used | _roles(self))

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self) | {"roles": dict(self.roles)}

    @property
    def headline(self) -> str:
        """The verdict in one sentence."""
        verdict = "zero by the graph" if self.zero else "identified"
        return f"The {_of(self)} is {verdict} ({self.quantity})."

    @property
    def _formula(self) -> str:
        return f"{self.estimand} = {self.expression}" if self.expression else ""

    def __str__(self) -> str:
        return "\n".join(filter(None, (self.headline, self._formula, self.note)))

    def _repr_html_(self) -> str:
        from whence.graphs.svg import to_svg

        said = "".join(f"<li>{html.escape(text)}</li>" for text in self.assumptions)
        drawing = to_svg(self.graph, dict(self.roles), labels=self.labels, title=self.headline)
        lines = "".join(f"<p>{html.escape(text)}</p>" for text in (self._formula, self.note) if text)
        return (f"<div><p><b>{html.escape(self.headline)}</b></p>{lines}{drawing}"
                f"<details><summary>What it assumes</summary><ul>{said}</ul></details></div>")


@dataclass(frozen=True)
class NotMediated:
    """The part of the effect is not identified; falsy. Without ``given``: by no method, without more assumptions.

    code: ``"recanting_witness"``, ``"recanting_district"`` or ``"hedge"``. reason: the sentence. witness: JSON-ready;
    ``direct`` and ``through``: paths of ``[a, edge, b]`` steps past the mediators and by way of one, whose first nodes
    are the same or are tied by the ``hidden`` path in one ``district``; ``hedge``: see ``whence.identification.hedge``.
    remedy: what would help. controlled: whether the controlled direct effect of the same mediators is identified.
    """

    code: str
    reason: str
    witness: Mapping[str, Any]
    remedy: str
    treatment: str
    outcome: tuple[str, ...]
    mediators: tuple[str, ...]
    graph: Graph = field(repr=False)
    quantity: str = "NDE"
    given: tuple[str, ...] = ()
    controlled: bool = False

    def __bool__(self) -> bool:
        return False

    @property
    def roles(self) -> Mapping[str, str]:
        """For treatment, outcome, mediators and hidden nodes their role in the drawing; the rest of the witness is
        ``"excluded"``."""
        ends = [self.witness[key][0][2] for key in ("direct", "through") if key in self.witness]
        return types.MappingProxyType(dict.fromkeys(ends, "excluded") | _roles(self))

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def __str__(self) -> str:
        return f"{self.reason} {self.remedy}"

    def _repr_html_(self) -> str:
        return f"<div><p><b>Not identified.</b> {html.escape(self.reason)}</p><p>{html.escape(self.remedy)}</p></div>"


def _roles(answer: Mediated | NotMediated) -> dict[str, str]:
    return (dict.fromkeys(answer.graph.latents, "latent") | dict.fromkeys(answer.mediators, "mediator")
            | {answer.treatment: "treatment"} | dict.fromkeys(answer.outcome, "outcome"))


def _of(answer: Mediated) -> str:
    given = f" within levels of {joined(answer.given)}" if answer.given else ""
    verb = "through" if answer.quantity in ("NIE", "TIE") else "past"
    return (f"{NAMES[answer.quantity]} of {answer.treatment} on {joined(answer.outcome)} {verb} "
            f"{joined(answer.mediators)}{given}")
