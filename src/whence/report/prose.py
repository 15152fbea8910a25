"""Sentences about a finding. Every number in them is read from the result and written by ``numbers``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from whence.estimation.effect import Effect
from whence.identification.spec import PARTS, Condition, Spec
from whence.report import numbers
from whence.report.contrasts import always, of_treatments, way
from whence.report.corrected import true_outcome, without_correction
from whence.report.finding import Finding
from whence.report.ground import assigned, causal_ground, held_by_time
from whence.report.numbers import Scale
from whence.report.text import key, name, plain

OPERATORS = {"==": "=", "!=": "≠", "<=": "≤", ">=": "≥", "in": "in"}
CARRIED = {
    "sampling": "sampling error, that is, which rows happened to be in the data",
    "graph": "which of the graphs that fit the data is the right one",
    "stability": "how much the learned edges would change in another sample",
    "nuisance": "error in the fitted models behind the estimate",
    "confounding": "hidden confounding of the strength stated",
}
QUANTILES = ("QTE", "QTT")  # quantities that compare quantiles of the outcome


@dataclass(frozen=True)
class Point:
    """One reason to be more or less sure. leaning: ``"for"``, ``"against"`` or ``"neutral"``."""

    title: str
    text: str
    leaning: str = "neutral"


# The answer


def answer_sentence(finding: Finding) -> str:
    """The answer in one plain sentence with its interval, or the refusal's reason."""
    return plain(answer(finding))


def answer(finding: Finding) -> str:
    """``answer_sentence`` with its names and key numbers marked (``report.text``)."""
    effect = finding.effect
    if effect is None:
        return _refusal_sentence(finding)
    written, change = effect_scale(finding), _change(finding)
    ends = effect.interval
    ground = _ground(effect)
    if includes_zero(effect):
        best = key(signed(written, effect.estimate) + _unit(finding))
        return (f"{ground} the data are compatible with no effect of {name(effect.spec.treatment)} on "
                f"{change.outcome}: the best estimate for {change.cause} is a change of {best}{change.whom}, with a "
                f"{numbers.level(effect.level)} interval from {key(written.interval(ends))}.")
    sizes = (abs(ends[0]), abs(ends[1])) if ends[0] > 0 else (abs(ends[1]), abs(ends[0]))
    verb = "raises" if effect.estimate > 0 else "lowers"
    return (f"{ground} {change.cause} {verb} {change.outcome} by {key(written.size(effect.estimate) + _unit(finding))}"
            f"{change.whom} ({numbers.level(effect.level)} interval {key(written.interval(sizes))}).")


def several(effect: Effect) -> str:
    """Why several contrasts need more than one interval each."""
    of = "treatments" if of_treatments(effect) else "contrasts"
    joint = all(c.joint_interval is not None for c in effect.comparisons)
    held = (f"the joint intervals hold all {numbers.few(len(effect.comparisons))} with {numbers.level(effect.level)} "
            "confidence at once, and " if joint else "")
    return (f"With {numbers.few(len(effect.comparisons))} {of}, some will stray from zero by chance: {held}"
            "the adjusted p-values allow for their number.")


def includes_zero(effect: Effect) -> bool:
    return effect.interval[0] <= 0 <= effect.interval[1]


def effect_scale(finding: Finding, effect: Effect | None = None) -> Scale:
    """How this finding's effects are written: two significant digits of the standard error, percentage points
    for a probability, and never so few digits that an interval without zero seems to touch it."""
    e = effect or finding.effect
    assert e is not None
    percent = probability_of(finding) is not None
    written = numbers.scale(e.standard_error, (e.estimate, *e.interval), percent)
    if not includes_zero(e):
        near = min(abs(e.interval[0]), abs(e.interval[1]))
        for more in range(3):
            finer = Scale(written.decimals + more, written.exponent, percent)
            if re.search("[1-9]", finer.number(near).split("×")[0]):
                return finer
    return written


def signed(written: Scale, value: float) -> str:
    """A change with its sign: ``+3.44``, ``−1.20``, ``0.00``."""
    shown = written.number(value)
    return f"+{shown}" if value > 0 and re.search("[1-9]", shown) else shown


def probability_of(finding: Finding) -> str | None:
    """The outcome's value whose probability the effect changes, or None when the outcome is not yes or no."""
    effect = finding.effect
    outcome = effect.spec.outcome if effect is not None else None
    if outcome is None:
        return None
    for remark in (*(effect.warnings if effect is not None else ()), *finding.warnings):
        if remark.code == "outcome_coded" and outcome in remark.about:
            return str(remark.evidence.get("one", "1"))
    for column in finding.profile.columns if finding.profile is not None else ():
        if column.name == outcome and column.kind == "binary":
            levels = {value for value, _ in column.top}
            return str(max(levels)) if levels == {0, 1} else None  # True and False equal 1 and 0
    return None


@dataclass(frozen=True)
class _Change:
    """The three phrases of an effect: what is done, to what, for whom (with a leading space)."""

    cause: str
    outcome: str
    whom: str


def _change(finding: Finding) -> _Change:
    effect = finding.effect
    assert effect is not None
    spec = effect.spec
    value = probability_of(finding)
    outcome = name(spec.outcome) if value is None else f"the probability that {name(spec.outcome)} is {name(value)}"
    if effect.quantity == "RMST":
        outcome = f"the mean of {name(spec.outcome)}, counted up to {numbers.figures(effect.diagnostics['horizon'])},"
    if effect.quantity in QUANTILES:
        which = effect.contrast.removeprefix(f"{spec.treatment}: ").split(",")[0]
        outcome = f"the {which}{'' if which == 'median' else ' quantile'} of {name(spec.outcome)}"
    return _Change(_cause(effect), true_outcome(effect, value) or outcome, _whom(effect))


def _cause(effect: Effect) -> str:
    """``setting drug to 1 rather than 0``, ``one more unit of dose``, or the contrast as it stands."""
    fixed = numbers.listed(map(name, effect.spec.treatments[1:]), most=10)
    return _change_of(effect) + (f", with {fixed} held fixed," if of_treatments(effect) else "")


def _change_of(effect: Effect) -> str:
    treatment = effect.spec.treatment
    if held_by_time(effect):
        return f"treatment ({name(treatment)})"
    arms = arms_of(effect)
    if effect.spec.strategy == "longitudinal":
        return always(effect)
    if arms is not None:
        return f"setting {name(treatment)} to {name(arms[0])} rather than {name(arms[1])}"
    label = effect.contrast.removeprefix(f"{treatment}: ")
    if label == "one more unit":
        return f"one more unit of {name(treatment)}"
    if doses := re.fullmatch(r"(\S+) against (\S+)", label):
        treated, control = (name(numbers.figures(float(dose))) for dose in doses.groups())
        return f"setting {name(treatment)} to {treated} rather than {control}"
    if step := re.fullmatch(r"([+-])(\S+) units?", label):
        return f"{step[2]} {'more' if step[1] == '+' else 'fewer'} units of {name(treatment)}"
    return f"the contrast {name(effect.contrast)}"


def arms_of(effect: Effect) -> tuple[str, str] | None:
    """The treated and the control value of a comparison of two groups, or None."""
    head = f"{effect.spec.treatment}: "
    label = effect.contrast.removeprefix(head).split(", where ")[0]
    if effect.quantity in QUANTILES and effect.diagnostics.get("quantiles"):
        label = str(effect.diagnostics["quantiles"][0]["comparison"])
    label = str(effect.diagnostics["comparison"]) if effect.quantity in PARTS else label
    parts = label.split(" vs ")
    return (parts[0], parts[1]) if effect.contrast.startswith(head) and len(parts) == 2 else None


def _whom(effect: Effect) -> str:
    arms = None if held_by_time(effect) else arms_of(effect)
    groups = {
        "ATE": "everybody in the data",
        "ATT": f"those with {name(effect.spec.treatment)} = {name(arms[0])}" if arms else "those treated",
        "ATC": f"those with {name(effect.spec.treatment)} = {name(arms[1])}" if arms else "those not treated",
        "LATE": "those at the cutoff" if effect.spec.strategy == "rdd" else "those whose treatment the instrument "
        "changes",
        "ATO": "those who could have been in either group",
        "QTE": "everybody in the data",
        "QTT": f"those with {name(effect.spec.treatment)} = {name(arms[0])}" if arms else "those treated",
        "CATE": "those described",
        **dict.fromkeys((*PARTS, "RMST"), "everybody in the data"),
    }
    where = population(effect.spec)
    over = "among" if effect.quantity in QUANTILES else "on average over"
    return f"{way(effect)} {over} {groups[effect.quantity]}" + (f" with {where}" if where else "")


def population(spec: Spec) -> str:
    """The population conditions in words, or nothing."""
    return numbers.listed((_condition(c) for c in spec.population), most=20)


def _condition(c: Condition) -> str:
    values = c.value if isinstance(c.value, tuple) else (c.value,)
    value = numbers.listed((numbers.plain_value(v) for v in values), joint="or")
    return f"{name(c.column)} {OPERATORS.get(c.operator, c.operator)} {name(value)}"


def _ground(effect: Effect) -> str:
    if effect.spec.strategy == "rct":
        strata = numbers.listed(map(name, effect.spec.strata))
        within = f" within {strata}" if strata else ""
        return f"As {assigned(effect)} assigned at random{within},"
    return "Under the assumptions stated,"


def _unit(finding: Finding) -> str:
    return " percentage points" if probability_of(finding) is not None else ""


def _refusal_sentence(finding: Finding) -> str:
    reason = finding.refused.reason if finding.refused is not None else getattr(finding.identified, "reason", "")
    return f"These data do not answer the question: {_lower(reason)}" if reason else "There is no answer."


def _lower(sentence: str) -> str:
    first = sentence.split(" ", 1)[0]
    ordinary = first.isalpha() and first[1:].islower()
    return sentence[0].lower() + sentence[1:] if ordinary else sentence


# How sure, and why


def sureness(finding: Finding) -> str:
    """How sure the answer is and what that rests on, in two or three plain sentences."""
    if finding.effect is None:
        return plain(_remedy(finding))
    return plain(" ".join([verdict(finding), carried(finding), causal_ground(finding.effect)]))


def verdict(finding: Finding) -> str:
    """The headline: what chance allows and what the checks add."""
    effect = finding.effect
    assert effect is not None
    worries = [c for c in finding.checks if c.verdict == "worry"]
    done = [c for c in finding.checks if c.applies]
    against = ""
    if worries:
        against = (f"{numbers.few(len(worries))} of the {numbers.few(len(done))} checks "
                   f"{'gives' if len(worries) == 1 else 'give'} reason to worry")
    if includes_zero(effect):
        ends = effect_scale(finding).interval(effect.interval)
        base = f"The direction is not settled: anything from {ends}{_unit(finding)} is compatible with the data"
        return base + (f", and {against}." if against else ".")
    if worries:
        these = "it" if len(worries) == 1 else "them"
        return f"The interval leaves out zero, but {against}: read {these} before relying on the number."
    if not done:
        return "The interval leaves out zero. No checks were run on the estimate."
    return "The interval leaves out zero, and nothing we checked speaks against the estimate."


def points(finding: Finding) -> list[Point]:
    """The reasons, one by one: chance, design, other methods, checks, what the interval leaves out."""
    parts = (_chance, _by_the_graph, _design, _other_methods, _checks, _left_out)
    return [p for p in (part(finding) for part in parts) if p is not None]


def _chance(finding: Finding) -> Point:
    effect = finding.effect
    assert effect is not None
    written, unit = effect_scale(finding), _unit(finding)
    ends = written.interval(effect.interval)
    said = (f"If there were no effect, chance alone would give an estimate this far from zero, or further, with "
            f"{numbers.p_value(effect.p_value)}. ")
    if includes_zero(effect):
        said += (f"The data are compatible with no effect, and with every effect from {ends}{unit}. That is not "
                 "evidence that the effect is zero.")
        return Point("Chance", said, "against")
    return Point("Chance", said + f"The data are compatible with effects from {ends}{unit}; zero is not among them.",
                 "for")


def _by_the_graph(finding: Finding) -> Point | None:
    """A graph that leaves no room for an effect is the first thing to know about an estimate of one."""
    found = finding.identified
    return Point("Graph", getattr(found, "note", ""), "against") if getattr(found, "no_effect", False) else None


def _design(finding: Finding) -> Point:
    effect = finding.effect
    assert effect is not None
    return Point("Design", causal_ground(effect), "for" if effect.spec.strategy == "rct" else "neutral")


def unadjusted(effect: Effect) -> bool:
    if effect.spec.strategy not in ("rct", "adjustment"):
        return False
    return effect.method == "difference" or not (effect.spec.controls or effect.spec.strata)


def _other_methods(finding: Finding) -> Point | None:
    effect = finding.effect
    assert effect is not None
    written, unit = effect_scale(finding), _unit(finding)
    alike = [a for a in finding.alternatives if unadjusted(a) == unadjusted(effect)]
    raw = [a for a in finding.alternatives if unadjusted(a) and not unadjusted(effect)]
    if effect.spec.truth is not None and finding.alternatives:
        plainly = signed(written, finding.alternatives[0].estimate) + unit
        return Point("Other methods", without_correction(effect, plainly))
    said = []
    if raw:
        said.append(f"Without any adjustment the estimate would be {signed(written, raw[0].estimate)}{unit}.")
    agree = True
    if alike:
        found = sorted(a.estimate for a in alike)
        agree = all(effect.interval[0] <= v <= effect.interval[1] for v in found)
        span = " to ".join(dict.fromkeys(signed(written, v) for v in (found[0], found[-1])))
        who = f"{numbers.few(len(alike), start=True)} other {'method' if len(alike) == 1 else 'methods'}"
        same = "with the same controls " if effect.spec.controls else ""
        where = ("inside" if agree else "outside") if len(alike) == 1 else "all inside" if agree else "in part outside"
        said.append(f"{who} {same}{'gives' if len(alike) == 1 else 'give'} {span}{unit}, {where} our interval.")
    if not said:
        return None
    return Point("Other methods", " ".join(said), "neutral" if not alike else "for" if agree else "against")


def _checks(finding: Finding) -> Point | None:
    if not finding.checks:
        another = finding.effect is not None and finding.effect.spec.strategy not in ("rct", "adjustment")
        why = (" The ones at hand compare groups given controls, or hold the independences that a graph implies "
               "against the data, and there is none of either here." if another else "")
        return Point("Checks", f"No checks were run.{why}", "against")
    by = {v: [c for c in finding.checks if c.verdict == v and c.applies] for v in ("pass", "worry", "informational")}
    idle = [c for c in finding.checks if not c.applies]
    told = [f"{numbers.few(len(by['pass'])) if by['pass'] else 'none'} passed"]
    told += [_counted(by["worry"], "gives", "give") + " reason to worry"] if by["worry"] else []
    told += [_counted(by["informational"], "is", "are") + " for information"] if by["informational"] else []
    told += [_counted(idle, "does", "do") + " not apply here"] if idle else []
    size = len(finding.checks)
    said = f"Of {numbers.few(size)} {'check' if size == 1 else 'checks'}, {numbers.listed(told)}."
    if len(by["pass"]) == size:
        said = f"All {numbers.few(size)} checks passed." if size > 1 else "The one check passed."
    if by["worry"]:
        said += " To read first: " + numbers.listed((f"“{c.title.rstrip('.')}”" for c in by["worry"]), most=12) + "."
    return Point("Checks", said, "against" if by["worry"] else "for" if by["pass"] else "neutral")


def _counted(found: list, one: str, more: str) -> str:
    return f"{numbers.few(len(found))} {one if len(found) == 1 else more}"


def _left_out(finding: Finding) -> Point:
    return Point("The interval", carried(finding))


def carried(finding: Finding) -> str:
    """Which uncertainties the interval carries, and which it does not."""
    effect = finding.effect
    assert effect is not None
    inside = numbers.listed(CARRIED.get(c, c) for c in effect.carries)
    outside = []
    if "confounding" not in effect.carries and effect.spec.strategy != "rct":
        outside.append("causes that nobody measured")
    if "graph" not in effect.carries and finding.graph is not None:
        learned = finding.discovery is not None
        outside.append("the choice of the graph, which was learned from the same data" if learned
                       else "the choice of the graph")
    outside += ["errors of measurement", "how the rows of the data came to be selected"]
    return f"The interval carries {inside or 'no uncertainty'}. It does not carry {numbers.listed(outside, most=9)}."


# What was not answered


def asked(finding: Finding) -> str:
    """What was to be estimated, in words, as far as it is known."""
    treatments, outcomes = roles(finding)
    if not treatments or not outcomes:
        return ""
    return f"The effect of {numbers.listed(map(name, treatments))} on {numbers.listed(map(name, outcomes))}"


def roles(finding: Finding) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Treatments and outcomes, from the spec, the identification or the choices made before it failed."""
    if finding.spec is not None:
        return finding.spec.treatments, finding.spec.outcomes
    if finding.identified is not None:
        return finding.identified.treatment, finding.identified.outcome
    chosen = {r.code: r.about for r in finding.choices}
    return chosen.get("role_treatment", ()), chosen.get("role_outcome", ())


def _remedy(finding: Finding) -> str:
    remedy = finding.refused.remedy if finding.refused is not None else getattr(finding.identified, "remedy", "")
    return remedy or ""


def remedy(finding: Finding) -> str:
    """What would help, or nothing."""
    return _remedy(finding)
