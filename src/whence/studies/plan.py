"""The plan of a study: what will be estimated, from which columns, why, or why nothing will be.

A plan is data: it prints, hashes and can be edited (``plan.spec.replace(...)`` given back to ``study``).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark, fields_to_plain
from whence.data.table import Table
from whence.discovery.discovery import Discovery, discover
from whence.estimation.choose import STRATEGIES
from whence.graphs.ancestry import possible_descendants
from whence.graphs.graph import Graph
from whence.graphs.knowledge import Knowledge
from whence.identification.identify import Identified, NotIdentified, identify
from whence.identification.post_treatment import post_treatment
from whence.identification.spec import Spec
from whence.studies.designs import other_design
from whence.studies.question import CLOSE, Match, Reading, read_question
from whence.studies.roles import choose_controls, dated_before, is_identifier, measured_later, unusable
from whence.studies.words import Description, descriptions


@dataclass(frozen=True)
class Plan:
    """spec: what will be estimated, or None with ``refused``. choices: why, one remark each."""

    spec: Spec | None
    refused: Refused | None = None
    choices: tuple[Remark, ...] = ()
    warnings: tuple[Remark, ...] = ()
    graph: Graph | None = None
    discovery: Discovery | None = None
    identified: Identified | NotIdentified | None = None

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def __str__(self) -> str:
        if self.spec is None:
            return f"No plan. {self.refused}"
        s = self.spec
        lines = [f"Effect of {', '.join(s.treatments)} on {', '.join(s.outcomes)} ({s.quantity}, {s.strategy})"]
        lines.append(_way(s))
        if self.graph is not None:
            origin = "learned from the data" if self.discovery is not None else "given"
            lines.append(f"Graph: {origin}, {len(self.graph)} nodes, {len(self.graph.edges())} edges")
        lines += [f"- {r.text}" for r in self.choices if r.code != "excluded"]
        lines += [f"! {r.text}" for r in self.warnings]
        return "\n".join(lines)


def _way(spec: Spec) -> str:
    """What the estimate works with besides treatment and outcome."""
    if spec.strategy == "id":
        return "By the formula that the graph gives, with: " + ", ".join(spec.formula_columns)
    through = f"Through: {', '.join(spec.mediators)}" if spec.strategy == "frontdoor" else ""
    if through and not spec.controls:
        return through
    return "\n".join(filter(None, [through, "Adjusting for: " + (", ".join(spec.controls) or "nothing")]))


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


def make_plan(table: Table, request: Request, progress: Progress = SILENT) -> Plan:
    """Roles from the question, controls from the graph (given or learned), the design, or the words."""
    for name in (request.treatment, request.outcome, *(request.controls or ())):
        if name is not None:
            table.column(name)  # an unknown name is an error, not a refusal
    if request.treatment is not None and request.treatment == request.outcome:
        raise WhenceError(f"Column {request.treatment!r} is given as treatment and as outcome.", code="role_conflict",
                          value=request.treatment, hint="Each column has one role.")
    described = descriptions(request.about, table.names) if request.about else {}
    reading = _read(table, request, described)
    choices = _role_remarks(reading, described)
    refused = _unclear(reading, request)
    if refused is not None:  # a refusal is falsy, so truth would not do
        return Plan(None, refused, tuple(choices), graph=request.graph)
    assert reading.treatment is not None and reading.outcome is not None
    treatment, outcome = reading.treatment.column, reading.outcome.column
    graph, discovery = request.graph, None
    if graph is None and request.controls is None and (request.learn or request.knowledge is not None):
        learned, left_out = _learn(table, request, treatment, outcome, described, progress)
        choices += left_out
        if isinstance(learned, Refused):
            return Plan(None, learned, tuple(choices))
        discovery, graph = learned, learned.graph
    if graph is not None:
        return _from_graph(table, request, graph, discovery, treatment, outcome, choices)
    return _from_words(table, request, reading, described, choices)


def _read(table: Table, request: Request, described: Mapping[str, Description]) -> Reading:
    graph = request.graph
    if graph is not None:
        candidates: Sequence[str] = [n for n in table.names if n in graph and n not in graph.latents]
    else:
        candidates = [n for n in table.names if table.kind(n) not in ("text", "datetime")]
    candidates = [n for n in candidates if not is_identifier(table, n)]
    binary = [n for n in candidates if table.kind(n) == "binary"]

    @functools.cache
    def reach(treatment: str) -> frozenset[str]:
        assert graph is not None
        return possible_descendants(graph, treatment)

    def possible(treatment: str, outcome: str) -> bool:
        if graph is not None:
            return outcome in reach(treatment)
        return not dated_before(outcome, treatment, described)

    return read_question(request.question or "", candidates, described, request.about or "", binary,
                         request.treatment, request.outcome, possible)


def _role_remarks(reading: Reading, described: Mapping[str, Description]) -> list[Remark]:
    remarks = []
    for role, match in (("treatment", reading.treatment), ("outcome", reading.outcome)):
        if match is None:
            continue
        text = f"{match.column} is the {role}"
        if match.phrase == "given":
            text += ", as given"
        else:
            text += f": it fits the words {match.phrase!r}"
            if match.column in described:
                text += f" and is described as {described[match.column].text!r}"
            if match.runner_up:
                text += f" (next best: {match.runner_up})"
        evidence = {"score": match.score, "runner_up": match.runner_up, "runner_up_score": match.runner_up_score}
        remarks.append(Remark(f"role_{role}", text + ".", (match.column,), evidence))
    return remarks


def _unclear(reading: Reading, request: Request) -> Refused | None:
    for role, match, phrase in (("treatment", reading.treatment, reading.treatment_phrase),
                                ("outcome", reading.outcome, reading.outcome_phrase)):
        if match is None:
            said = f"No column fits the words {phrase!r}" if request.question else f"No {role} was given"
            return Refused("question_unclear", f"{said}, so the {role} is unknown.", {"role": role, "phrase": phrase},
                           f"Name it with {role}=COLUMN (--{role} on the command line), or describe the columns.")
        if match.close and match.phrase != "given":
            return Refused(
                "question_unclear",
                f"{match.column} and {match.runner_up} fit the words {phrase!r} about equally well as the {role}.",
                {"role": role, "phrase": phrase, "candidates": _candidates(match), "close": CLOSE},
                f"Name it with {role}=COLUMN (--{role} on the command line).")
    return None


def _candidates(match: Match) -> dict[str, float]:
    return {match.column: match.score, str(match.runner_up): match.runner_up_score}


def _learn(
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
    learned = discover(table.select(columns), knowledge=request.knowledge, seed=request.seed, progress=progress)
    return learned, left_out


def _from_graph(
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


def _assumed(controls: tuple[str, ...]) -> Remark:
    """What an analysis without a graph takes on faith."""
    if not controls:
        return Remark("assumed_unconfounded", "No graph was given and no column can be adjusted for. The groups are "
                      "compared as they are, which is right only if nothing affects both treatment and outcome.")
    one = len(controls) == 1
    return Remark(
        "assumed_pretreatment",
        f"No graph was given, so {'the only usable column is' if one else f'all {len(controls)} usable columns are'} "
        f"adjusted for. That is right only if {'it is not' if one else 'none of them is'} affected by the treatment "
        f"and {'it is the only' if one else 'together they hold every'} common cause.", controls)


def _from_words(
    table: Table, request: Request, reading: Reading, described: Mapping[str, Description], choices: list[Remark]
) -> Plan:
    assert reading.treatment is not None and reading.outcome is not None
    treatment, outcome = reading.treatment.column, reading.outcome.column
    warnings: tuple[Remark, ...] = ()
    strategy, controls = "adjustment", request.controls
    cue = other_design(f"{request.question or ''}\n{request.about or ''}")
    if reading.randomised is not None:
        strategy = "rct"
        choices.append(Remark("design", f"The treatment was assigned at random: {reading.randomised!r}"))
        controls = controls or ()
    elif controls is None and cue is not None:
        here = cue.strategy in STRATEGIES
        refused = Refused(
            "no_estimator", f"The description says {cue.words!r}, which points to {cue.design}. That design cannot be "
            f"{'worked out from words' if here else 'estimated'} yet, and adjusting for covariates would answer "
            "another question.", {"strategy": cue.strategy, "sentence": cue.sentence},
            ("Give a spec that names the instruments. " if here else "")
            + "To adjust all the same, name what to adjust for with controls=[...] (--controls), or give a graph.")
        return Plan(None, refused, tuple(choices))
    elif controls is None:
        controls, left_out = choose_controls(table, treatment, outcome, described)
        choices += left_out
        warnings = (_assumed(controls),)
    spec = Spec(strategy, (treatment,), (outcome,), controls=controls, **request.extra)
    return Plan(spec, None, tuple(choices), warnings)
