"""A plan from a graph, given or learned: what it identifies the effect by, or why it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from whence.core.progress import Progress
from whence.core.result import Refused, Remark
from whence.data.table import Table
from whence.graphs.graph import Graph
from whence.identification.identify import Identified, NotIdentified, identify
from whence.identification.post_treatment import post_treatment
from whence.identification.spec import Spec
from whence.studies.plan import Plan, Request
from whence.studies.roles import is_identifier, measured_later, unusable
from whence.studies.words import Description

if TYPE_CHECKING:
    from whence.discovery.discovery import Discovery


def learn_graph(
    table: Table, request: Request, treatment: str, outcome: str, described: Mapping[str, Description],
    progress: Progress,
) -> tuple[Discovery | Refused, list[Remark]]:
    """A graph over the usable columns, without those measured after the treatment unless knowledge names them:
    what follows the treatment is no common cause, and a mistaken arrow would make it one."""
    named = request.knowledge.names if request.knowledge is not None else frozenset()
    columns, left_out = [], []
    for name in table.names:
        if name in named or name in (treatment, outcome):
            columns.append(name)
        elif unusable(table, name) is None and not is_identifier(table, name):
            reason = measured_later(name, treatment, described)
            if reason is None:
                columns.append(name)
            else:
                left_out.append(Remark("excluded", f"{name} is left out of the graph: {reason}.", (name,)))
    from whence.discovery.discovery import discover

    learned = discover(table.select(columns), knowledge=request.knowledge, seed=request.seed, progress=progress)
    return learned, left_out


def plan_from_graph(
    table: Table, request: Request, graph: Graph, discovery: Discovery | None, treatment: str, outcome: str,
    choices: list[Remark],
) -> Plan:
    identified = identify(graph, treatment, outcome, quantity=request.extra.get("quantity", "ATE"))
    warnings: tuple[Remark, ...] = ()
    if discovery is not None:
        warnings = (*discovery.warnings, Remark(
            "graph_learned", "The graph was learned from these data and the interval takes it as given; another "
            "sample could give another graph and other controls."))
    parts: dict[str, Any] = {"graph": graph, "discovery": discovery, "identified": identified}
    adjusting = isinstance(identified, Identified) and identified.strategy == "adjustment"
    if isinstance(identified, Identified) and not adjusting and request.controls is not None:
        refused = Refused(
            "no_adjustment_set", "By the graph no set of controls identifies the effect, so adjusting for "
            f"{', '.join(request.controls) or 'nothing'} would not give it.",
            {"controls": list(request.controls), "strategy": identified.strategy},
            f"Leave the controls out: {'the front door' if identified.mediators else 'a formula of the ID algorithm'} "
            "gives it. Or leave the graph out to adjust for them all the same.")
        return Plan(None, refused, tuple(choices), warnings, **parts)
    if isinstance(identified, Identified) and adjusting and not identified.adjustable:
        refused = Refused("no_causal_path", identified.note, {"treatment": treatment, "outcome": outcome},
                          "Ask with a graph in which the treatment can affect the outcome.")
        return Plan(None, refused, tuple(choices), warnings, **parts)
    if isinstance(identified, NotIdentified):
        refused = Refused("not_identified", identified.reason, {"witness": identified.witness}, identified.remedy)
        return Plan(None, refused, tuple(choices), warnings, **parts)
    spec = identified.to_spec(**request.extra)
    absent = [n for n in (*identified.adjustment, *spec.mediators, *spec.formula_columns) if n not in table]
    if absent:
        refused = Refused(
            "unmeasured_control", f"The graph asks to {'adjust for' if adjusting else 'use'} {', '.join(absent)}, not "
            "in the data.", {"absent": absent, "adjustment": list(identified.adjustment)},
            "Add the columns, or mark these nodes as latent in the graph so that another set is sought.")
        return Plan(None, refused, tuple(choices), warnings, **parts)
    if identified.no_effect:
        note = identified.note if discovery is None else (
            f"The learned graph has no path from {treatment} to {outcome}: no dependence was strong enough for its "
            "tests. That is not proof of no effect; the interval says how large an effect the data allow.")
        warnings += (Remark("no_effect", note, (treatment, outcome)),)
    if request.controls is not None:
        refused = post_treatment(graph, treatment, outcome, request.controls)
        if refused is not None:
            return Plan(None, refused, tuple(choices), warnings, **parts)
        spec = spec.replace(controls=request.controls)
        warnings += (Remark("controls_given", "The controls given are used instead of the graph's adjustment set.",
                            request.controls),)
    choices += _control_remarks(spec, identified) if adjusting else _used_remarks(spec, identified)
    return Plan(spec, None, tuple(choices), warnings, **parts)


def _control_remarks(spec: Spec, identified: Identified) -> list[Remark]:
    """Why the controls are adjusted for: one remark for all that share a reason."""
    together: dict[str, list[str]] = {}
    for name in spec.controls:
        if name in identified.reasons:
            together.setdefault(identified.reasons[name].removeprefix(name).strip(), []).append(name)
    return [Remark("role_control", f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} adjusted for: "
                   f"{'it' if len(names) == 1 else 'each'} {reason}", tuple(names))
            for reason, names in together.items()]


def _used_remarks(spec: Spec, identified: Identified) -> list[Remark]:
    """Why the columns of a front door or a formula are used."""
    found = [Remark("strategy", identified.note)]
    for role, names in (("mediator", spec.mediators), ("formula", spec.formula_columns)):
        found += [Remark(f"role_{role}", identified.reasons[name], (name,)) for name in names]
    return found
