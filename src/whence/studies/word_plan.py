"""A plan without a graph: the best candidate that the words and the data give, with the evidence and the runner-up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from whence.core.result import Refused, Remark
from whence.data.table import Table
from whence.estimation.choose import COMPARING
from whence.estimation.prepare import satisfied
from whence.identification.spec import Condition, Contrast, Spec
from whence.studies.candidates import CLOSE_CALL, Candidate
from whence.studies.compose import Composed, compose
from whence.studies.evidence.evidence import Evidence, proposed
from whence.studies.plan import Plan, Request
from whence.studies.question import Reading
from whence.studies.words import Description

NEEDED = {"iv": ("instruments", "an instrument"), "rdd": ("running_variable", "the running variable"),
          "did": ("time", "the time"), "frontdoor": ("mediators", "a mediator")}
CALLED = {
    "rct": "an experiment", "adjustment": "a comparison of groups made alike by adjusting",
    "iv": "an instrument or an encouragement", "rdd": "a cutoff", "did": "a comparison of changes over time",
    "frontdoor": "the front door, through a mediator", "none": "no design",
}
FEWEST = 10  # rows that a part of the sample must have
SHOWN = 3  # grounds that a plan names
CLAIMED = 3.0  # nats from words that describe a design
NAMED = 4.0  # nats from words that name a design
UNLIKELY = -4.0  # nats below which a rejected candidate is not worth a line


def plan_from_words(
    table: Table, request: Request, reading: Reading, described: Mapping[str, Description],
    candidates: Sequence[Candidate], choices: list[Remark],
) -> Plan:
    """The spec of the likeliest candidate. Refused: ``design_incomplete`` (what is said or seen speaks of a design
    whose column is not in the table)."""
    best = candidates[0]
    hopeless = best.design == "none"
    if hopeless:  # what was asked is still written down; the estimate says why it cannot be had
        best = next(c for c in candidates if c.roles[:2] == best.roles[:2] and _complete(c))
    missing = best if not _complete(best) else _spoken_of(best, candidates)
    if missing is not None:
        return Plan(None, _incomplete(missing), tuple(choices), candidates=tuple(candidates))
    made = compose_candidate(table, request, reading, described, best)
    close = [] if hopeless else _close_call(candidates)
    second = _runner_up(candidates) if close else None
    rejected = [] if hopeless else _rejected(candidates)
    return Plan(
        made.spec, None, (*choices, *_grounds(candidates[0]), *_used(made.spec), *made.choices, *rejected),
        (*made.warnings, *_doubted(best), *close, *_not_done(reading)), candidates=tuple(candidates),
        runner_up=None if second is None else compose_candidate(table, request, reading, described, second).spec)


def compose_candidate(
    table: Table, request: Request, reading: Reading, described: Mapping[str, Description], candidate: Candidate
) -> Composed:
    """The spec that a candidate stands for, with what the question says of rows, arms and whose effect it asks for."""
    asked: dict[str, Any] = {}
    roles = candidate.roles[:2]
    some = reading.subpopulation
    if some is not None and _some_rows(table, some.conditions, roles):
        asked["population"] = some.conditions
    if reading.contrast is not None and reading.treatment is not None and roles[0] == reading.treatment.column:
        asked["contrast"] = Contrast(*reading.contrast)
    if reading.on_the_treated and candidate.design in COMPARING:
        asked["quantity"] = "ATT"
    return compose(table, *candidate.roles, candidate.evidence, described, reading.mentions, request.controls,
                   {**asked, **request.extra})


def _some_rows(table: Table, conditions: Sequence[Condition], roles: tuple[str, str]) -> bool:
    """Whether conditions leave rows to look at, and are not on the treatment or the outcome; else they were misread."""
    if {c.column for c in conditions}.intersection(roles):
        return False
    kept = np.logical_and.reduce([satisfied(table.column(c.column), c) for c in conditions])
    return int(kept.sum()) >= FEWEST


def _complete(candidate: Candidate) -> bool:
    """Whether the columns that the design needs were found; none are missing where no design can answer."""
    if candidate.design not in NEEDED:
        return candidate.design != "none"
    return bool(proposed(candidate.evidence, candidate.design, NEEDED[candidate.design][0]))


def _spoken_of(best: Candidate, candidates: Sequence[Candidate]) -> Candidate | None:
    """A design without its column, where it is all that is said of how treatment came about.

    A comparison of groups would then answer although the only words there are say that it should not.
    """
    said = {e.design: e.strength for e in best.evidence if e.source == "words" and e.strength > 0}
    if best.design not in COMPARING or said.keys() & set(COMPARING):
        return None
    named = [c for c in candidates if c.roles[:2] == best.roles[:2] and said.get(c.design, 0.0) >= NAMED]
    return next((c for c in named if c.design in NEEDED and not _complete(c)), None)


def _incomplete(best: Candidate) -> Refused:
    called = NEEDED[best.design][1]
    words = next((e for e in best.grounds if e.quote), None)
    said = f" ({words.quote!r})" if words is not None else ""
    return Refused(
        "design_incomplete", f"What is said points to {CALLED[best.design]}{said}, but no column of the table is "
        f"{called}. Adjusting for covariates would answer another question.",
        {"design": best.design, "share": math.exp(best.score)},
        f"Add {called}, or name it in a spec. To adjust all the same, name what to adjust for with controls=[...] "
        "(--controls), or give a graph.")


def _grounds(best: Candidate) -> list[Remark]:
    """Why this design."""
    shown = best.grounds[:SHOWN]
    texts = [e.text + (f" ({_short(e.quote)!r})" if _worth_quoting(e) else "") for e in shown]
    seen = {"share": round(math.exp(best.score), 3), "nats": [round(e.strength, 2) for e in shown]}
    if not texts:
        texts = ["Nothing in the words or the data points to another design."]
    opening = "" if best.design == "none" else f"The design is {CALLED[best.design]}. "
    return [Remark("design", opening + " ".join(texts), (), seen)]


def _used(spec: Spec) -> list[Remark]:
    """The columns of the design."""
    found = []
    if spec.instruments:
        found.append(f"Instrument: {', '.join(spec.instruments)}, which moves the treatment.")
    if spec.running_variable:
        found.append(f"Running variable: {spec.running_variable}"
                     + ("." if spec.cutoff is None else f", with the cutoff {spec.cutoff:g}."))
    if spec.time:
        found.append(f"Time: {spec.time}." + (f" Units: {spec.unit}." if spec.unit else " No column names units."))
    if spec.mediators:
        found.append(f"Through: {', '.join(spec.mediators)}.")
    found += [f"Rows: only those with {c.column} {c.operator} {c.value}, as the question asks."
              for c in spec.population]
    return [Remark("role_design", text) for text in found]


def _not_done(reading: Reading) -> list[Remark]:
    """What the question asks for besides that the plan does not do."""
    if reading.transform:
        role, how = next(iter(reading.transform.items()))
        return [Remark("transformation_asked", f"The question speaks of the {how} of the {role}, and no column holds "
                       f"it: the answer is in the units of the column. Add a column with its {how} to ask on that "
                       "scale.")]
    return []


def _doubted(best: Candidate) -> list[Remark]:
    """Designs that are named in words and that the data speak against."""
    found = []
    for said in best.evidence:
        if said.source != "words" or said.strength < CLAIMED or said.design == best.design:
            continue
        against = [e for e in best.evidence if e.source == "data" and e.design == said.design and e.strength < 0]
        if against:
            found.append(Remark(
                "said_not_seen", f"{said.text} The data do not bear it out: "
                f"{min(against, key=lambda e: e.strength).text} So it is not relied on.", (), {"design": said.design}))
    return found


def _close_call(candidates: Sequence[Candidate]) -> list[Remark]:
    """The runner-up where it is nearly as likely."""
    best, second = candidates[0], _runner_up(candidates)
    if second is None or best.score - second.score >= CLOSE_CALL:
        return []
    return [Remark("close_call", f"It was a close call: {_difference(best, second)} is nearly as likely "
                   f"({_odds(best, second)}). Name the treatment, the outcome or the controls, or give a spec, to "
                   "decide it.", second.roles[:2], _behind(best, second))]


def _rejected(candidates: Sequence[Candidate]) -> list[Remark]:
    """What else was considered."""
    best, second = candidates[0], _runner_up(candidates)
    if second is None or second.score < UNLIKELY or best.score - second.score < CLOSE_CALL:
        return []
    against = [e for e in second.evidence if e.design == second.design and e.strength < 0]
    why = f" {min(against, key=lambda e: e.strength).text}" if against else ""
    return [Remark("considered", f"Considered and rejected: {_difference(best, second)} ({_odds(best, second)}).{why}",
                   second.roles[:2], _behind(best, second))]


def _behind(best: Candidate, other: Candidate) -> dict[str, Any]:
    return {"candidate": list(other.roles), "nats_behind": round(best.score - other.score, 2)}


def _runner_up(candidates: Sequence[Candidate]) -> Candidate | None:
    """The next candidate that would answer otherwise: an experiment and adjusting compare the same groups."""
    best = candidates[0]
    return next((c for c in candidates[1:] if _complete(c) and (
        c.roles[:2] != best.roles[:2] or not {c.design, best.design} <= set(COMPARING))), None)


def _difference(best: Candidate, other: Candidate) -> str:
    """What sets the other candidate apart, in words."""
    parts = []
    if other.treatment.column != best.treatment.column:
        parts.append(f"the treatment {other.treatment.column}")
    if other.outcome.column != best.outcome.column:
        parts.append(f"the outcome {other.outcome.column}")
    if other.design != best.design:
        parts.append(f"{CALLED[other.design]} as the design")
    return " with ".join(parts)


def _odds(best: Candidate, other: Candidate) -> str:
    times = math.exp(best.score - other.score)
    return "about as likely" if times < 1.15 else f"{times:.1f} times less likely" if times < 10 else \
        f"{times:,.0f} times less likely"


def _worth_quoting(evidence: Evidence) -> bool:
    """Whether the sentence says more than the words of it that the text names already."""
    read = max((str(w) for w in evidence.measured.get("words", ())), key=len, default="")
    return evidence.source == "words" and len(evidence.quote) > len(read) + 30


def _short(sentence: str, most: int = 160) -> str:
    return sentence if len(sentence) <= most else sentence[: most - 1].rsplit(" ", 1)[0] + "…"
