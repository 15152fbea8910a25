"""Planning: roles and design from the question, or controls from a graph, given or learned."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.data.table import Table
from whence.estimation.choose import COMPARING
from whence.graphs.ancestry import possible_descendants
from whence.studies.candidates import rank_candidates
from whence.studies.graph_plan import learn_graph, plan_from_graph
from whence.studies.plan import Plan, Request
from whence.studies.question import Match, Reading, read_question
from whence.studies.roles import dated_before, is_identifier
from whence.studies.word_plan import plan_from_words
from whence.studies.words import Description, descriptions


def make_plan(table: Table, request: Request, progress: Progress = SILENT) -> Plan:
    """Roles from the question; then controls from the graph, or the design from the words and the data.

    Refused: ``question_unclear`` (no column fits), those of the graph and those of the design. Raises
    ``WhenceError`` for names that are no columns and for one column in two roles (``role_conflict``).
    """
    for name in (request.treatment, request.outcome, *(request.controls or ())):
        if name is not None:
            table.column(name)  # an unknown name is an error, not a refusal
    if request.treatment is not None and request.treatment == request.outcome:
        raise WhenceError(f"Column {request.treatment!r} is given as treatment and as outcome.", code="role_conflict",
                          value=request.treatment, hint="Each column has one role.")
    described = descriptions(request.about, table.names) if request.about else {}
    possible = _possible(request, described)
    reading = _read(table, request, described, possible)
    refused = _impossible(reading, request, described)
    if refused is None:  # a refusal is falsy, so truth would not do
        refused = _unknown(reading, request)
    if refused is not None:  # a refusal is falsy, so truth would not do
        known = _role_remarks(reading.treatment, reading.outcome, described)
        return Plan(None, refused, tuple(known), graph=request.graph)
    learn = request.controls is None and (request.learn or request.knowledge is not None)
    if request.graph is None and not learn:
        return _by_words(table, request, reading, described, progress)
    assert reading.treatment is not None and reading.outcome is not None
    choices = _role_remarks(reading.treatment, reading.outcome, described)
    treatment, outcome = reading.treatment.column, reading.outcome.column
    graph, discovery = request.graph, None
    if graph is None:
        learned, left_out = learn_graph(table, request, treatment, outcome, described, progress)
        choices += left_out
        if isinstance(learned, Refused):
            return Plan(None, learned, tuple(choices))
        discovery, graph = learned, learned.graph
    plan = plan_from_graph(table, request, graph, discovery, treatment, outcome, choices)
    return dataclasses.replace(plan, warnings=(*plan.warnings, *_close_roles(reading)))


def _by_words(
    table: Table, request: Request, reading: Reading, described: Mapping[str, Description], progress: Progress
) -> Plan:
    found = rank_candidates(table, reading, request.question or "", request.about or "", described, reading.mentions,
                            progress)
    if request.controls is not None:  # whoever names what to adjust for has chosen the design
        found = tuple(c for c in found if c.design in (*COMPARING, "none"))
    best = found[0]
    return plan_from_words(table, request, reading, described, found,
                           _role_remarks(best.treatment, best.outcome, described))


def _possible(request: Request, described: Mapping[str, Description]) -> Callable[[str, str], bool]:
    """Whether a treatment can affect an outcome at all, by the graph or by the dates in the descriptions."""
    graph = request.graph
    if graph is None:
        return lambda treatment, outcome: not dated_before(outcome, treatment, described)

    @functools.cache
    def reach(treatment: str) -> frozenset[str]:
        return possible_descendants(graph, treatment)

    return lambda treatment, outcome: outcome in reach(treatment)


def _read(
    table: Table, request: Request, described: Mapping[str, Description], possible: Callable[[str, str], bool]
) -> Reading:
    graph = request.graph
    if graph is not None:
        columns: Sequence[str] = [n for n in table.names if n in graph and n not in graph.latents]
    else:
        columns = [n for n in table.names if table.kind(n) not in ("text", "datetime")]
    columns = [n for n in columns if not is_identifier(table, n)]
    binary = [n for n in columns if table.kind(n) == "binary"]
    return read_question(request.question or "", columns, described, request.about or "", binary,
                         request.treatment, request.outcome, possible, _worded(table, columns))


def _worded(table: Table, columns: Sequence[str]) -> dict[str, tuple[object, ...]]:
    """The values of the columns that hold words."""
    found = {n: tuple(table.column(n).levels or ()) for n in columns}
    return {n: levels for n, levels in found.items() if any(isinstance(v, str) for v in levels)}


def _role_remarks(
    treatment: Match | None, outcome: Match | None, described: Mapping[str, Description]
) -> list[Remark]:
    remarks = []
    for role, match in (("treatment", treatment), ("outcome", outcome)):
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


def _impossible(reading: Reading, request: Request, described: Mapping[str, Description]) -> Refused | None:
    """Where both roles fit some column and no such pair can be cause and effect."""
    if reading.ranked_pairs or not reading.ranked_treatments or not reading.ranked_outcomes:
        return None
    t = reading.ranked_treatments[0].column
    o = next((m.column for m in reading.ranked_outcomes if m.column != t), None)
    if o is None:
        return None
    if request.graph is not None:
        return Refused("no_causal_path", f"By the graph {t} cannot affect {o}: no path of arrows leads there.",
                       {"treatment": t, "outcome": o},
                       "Ask with a graph in which the treatment can affect the outcome.")
    said = " and ".join(f"{name} is {described[name].text!r}" for name in (t, o) if name in described)
    return Refused("cause_after_effect", f"{o} comes before {t}: {said}. What comes later cannot have caused it.",
                   {"treatment": t, "outcome": o}, "Ask about an outcome from after the treatment, or mend the "
                   "descriptions; a graph overrides them.")


def _unknown(reading: Reading, request: Request) -> Refused | None:
    for role, match, phrase in (("treatment", reading.treatment, reading.treatment_phrase),
                                ("outcome", reading.outcome, reading.outcome_phrase)):
        if match is None:
            said = f"No column fits the words {phrase!r}" if request.question else f"No {role} was given"
            return Refused("question_unclear", f"{said}, so the {role} is unknown.", {"role": role, "phrase": phrase},
                           f"Name it with {role}=COLUMN (--{role} on the command line), or describe the columns.")
    return None


def _close_roles(reading: Reading) -> list[Remark]:
    """Roles that another column would fill about as well."""
    found = []
    for role, match in (("treatment", reading.treatment), ("outcome", reading.outcome)):
        if match is not None and match.close and match.phrase != "given":
            second = str(match.runner_up)
            found.append(Remark(
                "close_call", f"{match.column} and {second} fit the words {match.phrase!r} about equally well as the "
                f"{role}; {match.column} was taken. Name it with {role}=COLUMN (--{role} on the command line) to "
                "decide it.", (match.column, second), {match.column: match.score, second: match.runner_up_score}))
    return found
