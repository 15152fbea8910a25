"""The plan of a study: what will be estimated, from which columns, why, or why nothing will be.

A plan is data: it prints, hashes and can be edited (``study.edit(...)``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from whence.core.result import Refused, Remark, fields_to_plain
from whence.estimation.choose import LOCAL
from whence.graphs.graph import Graph
from whence.graphs.knowledge import Knowledge
from whence.identification.identify import Identified, NotIdentified
from whence.identification.spec import Spec
from whence.studies.candidates import Candidate

if TYPE_CHECKING:
    from whence.discovery.discovery import Discovery


@dataclass(frozen=True)
class Plan:
    """spec: what will be estimated, or None with ``refused``. choices: why, one remark each.

    candidates: the readings of the question that were weighed, the likeliest first; runner_up: the spec of the next one
    where it is nearly as likely.
    """

    spec: Spec | None
    refused: Refused | None = None
    choices: tuple[Remark, ...] = ()
    warnings: tuple[Remark, ...] = ()
    graph: Graph | None = None
    discovery: Discovery | None = None
    identified: Identified | NotIdentified | None = None
    candidates: tuple[Candidate, ...] = ()
    runner_up: Spec | None = None

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def __str__(self) -> str:
        if self.spec is None:
            return f"No plan. {self.refused}"
        s = self.spec
        whose = LOCAL.get(s.strategy, s.quantity)
        lines = [f"Effect of {', '.join(s.treatments)} on {', '.join(s.outcomes)} ({whose}, {s.strategy})"]
        lines += _way(s)
        if self.graph is not None:
            origin = "learned from the data" if self.discovery is not None else "given"
            lines.append(f"Graph: {origin}, {len(self.graph)} nodes, {len(self.graph.edges())} edges")
        lines += [f"- {r.text}" for r in self.choices if r.code not in ("excluded", "role_design")]
        lines += [f"! {r.text}" for r in self.warnings]
        return "\n".join(lines)


def short_plan(spec: Spec) -> str:
    """A plan in half a line."""
    besides = "; ".join(line[0].lower() + line[1:] for line in _way(spec))
    return f"the effect of {', '.join(spec.treatments)} on {', '.join(spec.outcomes)} ({spec.strategy}; {besides})"


def _way(spec: Spec) -> list[str]:
    """What the estimate works with besides treatment and outcome, a line each."""
    if spec.strategy == "id":
        return ["By the formula that the graph gives, with: " + ", ".join(spec.formula_columns)]
    found = []
    if spec.instruments:
        found.append(f"Instrument{'' if len(spec.instruments) == 1 else 's'}: {', '.join(spec.instruments)}")
    if spec.running_variable:
        at = "" if spec.cutoff is None else f" (cutoff {spec.cutoff:g})"
        found.append(f"Running variable: {spec.running_variable}{at}")
    if spec.time:
        found.append(f"Time: {spec.time}" + (f"; units: {spec.unit}" if spec.unit else ""))
    if spec.mediators:
        found.append(f"Through: {', '.join(spec.mediators)}")
    if spec.population:
        found.append("Only rows with " + " and ".join(f"{c.column} {c.operator} {c.value}" for c in spec.population))
    if spec.controls or not found:
        found.append("Adjusting for: " + (", ".join(spec.controls) or "nothing"))
    return found


@dataclass(frozen=True)
class Request:
    """What the user gave: everything a plan depends on besides the table."""

    question: str | None = None
    about: str | None = None
    graph: Graph | None = None
    learn: bool = False
    knowledge: Knowledge | None = None
    treatment: str | None = None
    outcome: str | None = None
    controls: tuple[str, ...] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)  # further spec fields: quantity, cluster, ...
    seed: int = 0


