"""From a finding to what a page shows: every part as text, rows and figures, none of it laid out yet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from whence.core.result import to_plain
from whence.estimation.effect import Comparison, Effect
from whence.graphs.ancestry import ancestors, descendants, possible_ancestors, possible_descendants
from whence.graphs.graph import Graph
from whence.graphs.svg import to_svg
from whence.identification.comb import Comb, comb
from whence.identification.identify import Identified
from whence.report import numbers, prose, rows
from whence.report.contrasts import contrast_labels, of_treatments, scales
from whence.report.data import about_rows, data, distinct
from whence.report.designs import design_picture
from whence.report.figures import draw
from whence.report.finding import Finding
from whence.report.grid import group_time_grid
from whence.report.methods import citations, method_title
from whence.report.refusal import refusal, said
from whence.report.text import plain

VERDICTS = {"pass": "Pass", "worry": "Worry", "informational": "For information"}
QUANTITIES = {
    "ATE": "average effect over everybody in the data", "ATT": "average effect over the treated",
    "ATC": "average effect over the untreated", "LATE": "average effect over those the instrument moves",
    "CATE": "average effect over the group described",
    "ATO": "average effect over those who could have been in either group",
    "QTE": "difference between the quantiles of the outcome, everybody treated and nobody treated",
    "NDE": "average effect past the mediators, which stay as they are without treatment",
    "TDE": "average effect past the mediators, which stay as they are with treatment",
    "NIE": "average effect through the mediators alone, without treatment otherwise",
    "TIE": "average effect through the mediators alone, with treatment otherwise",
    "CDE": "average effect with the mediators set to the same values for everybody",
    "RMST": "difference of the mean times until the event, counted up to the horizon",
    "QTT": "difference between the quantiles of the outcome of the treated, treated and untreated",
}
USED_ALREADY = ("role_control", "role_mediator", "role_formula", "strategy", "excluded")  # said beside the graph
AT_CUTOFF = "average effect over those at the cutoff whose treatment the rule changes"
MOST_CELLS = 400  # rows of a table that are shown
LARGEST_GRAPH = 150  # nodes; beyond, a picture says nothing

Row = Sequence[str]
Group = tuple[list[str], str]  # variables with the same reason


def page(finding: Finding) -> dict[str, Any]:
    """Everything the templates need, by name. Sentences carry the marks of ``report.text``."""
    answered = finding.effect is not None
    return {
        "title": heading(finding), "question": finding.question, "about": finding.about,
        "source": PurePath(finding.source).name or finding.source,
        "answered": answered, "answer": prose.answer(finding), "facts": facts(finding) if answered else [],
        "strip": strip(finding) if answered else "", "verdict": prose.verdict(finding) if answered else "",
        "points": prose.points(finding) if answered else [], "refusal": None if answered else refusal(finding),
        "keep": [r.text for r in distinct(finding.warnings) if not about_rows(r.code)],
        "graph": graph(finding), "adjusted": adjusted(finding), "excluded": excluded(finding),
        "another_way": another_way(finding), "estimand": estimand(finding), "cut": cut(finding),
        "note": getattr(finding.identified, "note", ""),
        "design": design_picture(finding.effect) if finding.effect is not None else "",
        "grid": group_time_grid(finding.effect) if finding.effect is not None else "",
        "forest": methods_forest(finding), "contrasts": contrasts(finding),
        "checks": [check(c) for c in finding.checks], "assumptions": assumptions(finding), "data": data(finding),
        "choices": [r.text for r in finding.choices if r.code not in USED_ALREADY],
        "provenance": provenance(finding), "citations": citations(finding), "script": finding.script,
    }


def heading(finding: Finding) -> str:
    """The question as asked, or what was to be estimated."""
    return finding.question or plain(prose.asked(finding)) or "A causal question"


# The answer


def facts(finding: Finding) -> list[Row]:
    """Label and value of the numbers that belong beside the answer."""
    effect = finding.effect
    assert effect is not None
    written, unit = prose.effect_scale(finding), " points" if prose.probability_of(finding) is not None else ""
    return [
        ("Estimate", prose.signed(written, effect.estimate) + unit),
        (f"{numbers.level(effect.level)} interval", written.interval(effect.interval) + unit),
        ("Standard error", written.number(effect.standard_error) + unit),
        ("p-value of no effect", numbers.p_value(effect.p_value).removeprefix("p ").removeprefix("= ")),
        ("Rows used", numbers.count(effect.n)),
        ("Quantity", AT_CUTOFF if effect.spec.strategy == "rdd" else
         f"{effect.quantity}, {QUANTITIES[effect.quantity]}"),
        *((("Errors", effect.errors),) if effect.errors else ()),
        ("Method", method_title(effect.method)),
    ]


def strip(finding: Finding) -> str:
    """The interval as a picture."""
    effect = finding.effect
    assert effect is not None
    return rows.strip(_bar(effect, "the estimate", main=True), prose.effect_scale(finding))


def methods_forest(finding: Finding) -> dict[str, Any] | None:
    """The same contrast by every method: unadjusted first, then this answer, then the others."""
    effect = finding.effect
    if effect is None or not finding.alternatives:
        return None
    raw = [a for a in finding.alternatives if prose.unadjusted(a)]
    rest = [a for a in finding.alternatives if not prose.unadjusted(a)]
    listed = [*raw, effect, *rest]
    written = prose.effect_scale(finding)
    labels = [_method_label(e, e is effect) + (", as it is" if effect.spec.truth and not e.spec.truth else "")
              for e in listed]
    bars = [_bar(e, label, e is effect, prose.unadjusted(e)) for e, label in zip(listed, labels, strict=True)]
    body = [(b.label, *_cells(written, e), numbers.count(e.n)) for b, e in zip(bars, listed, strict=True)]
    title = "The same contrast by other methods"
    return {"svg": rows.forest(bars, title, written, effect.level), "head": (*_head(effect), "rows"), "rows": body}


def contrasts(finding: Finding) -> dict[str, Any] | None:
    """Every contrast of a treatment with several values, or each of several treatments."""
    effect = finding.effect
    if effect is None or len(effect.comparisons) < 2:
        return None
    labels, written, several = contrast_labels(effect), prose.effect_scale(finding), of_treatments(effect)
    bars = [rows.Bar(told, c.estimate, *c.interval, main=k == 0)
            for k, (told, c) in enumerate(zip(labels, effect.comparisons, strict=True))]
    body = [(told, *_cells(one, c), *_joint(one, c))
            for told, c, one in zip(labels, effect.comparisons, scales(effect, written), strict=True)]
    title = "Each treatment, the others held fixed" if several else "Every contrast of the treatment"
    svg = rows.forest(bars, title, written, effect.level)
    head = ("treatment" if several else "contrast", *_head(effect)[1:], "joint interval", "adjusted p")
    return {"svg": svg, "head": head, "rows": body, "said": prose.several(effect)}


def _bar(effect: Effect, label: str, main: bool = False, hollow: bool = False) -> rows.Bar:
    return rows.Bar(label, effect.estimate, *effect.interval, main=main, hollow=hollow)


def _method_label(effect: Effect, main: bool) -> str:
    title = method_title(effect.method)
    return f"{title}, unadjusted" if prose.unadjusted(effect) and not main else title


def _head(effect: Effect) -> Row:
    return ("method", "estimate", "std. error", f"{numbers.level(effect.level)} interval", "p")


def _cells(written: numbers.Scale, one: Any) -> Row:
    return (prose.signed(written, one.estimate), written.number(one.standard_error), written.interval(one.interval),
            _p(one.p_value))


def _joint(written: numbers.Scale, one: Comparison) -> Row:
    """What holds for all contrasts at once."""
    return (written.interval(one.joint_interval) if one.joint_interval else "",
            _p(one.adjusted_p_value) if one.adjusted_p_value is not None else "")


def _p(value: float) -> str:
    return numbers.p_value(value).removeprefix("p ").removeprefix("= ")


# The graph and the adjustment


def graph(finding: Finding) -> dict[str, Any] | None:
    """The drawing with its roles, or a sentence for a graph too large to draw."""
    drawn = finding.graph
    if drawn is None:
        return None
    size = f"{numbers.count(len(drawn), 'variable')} and {numbers.count(len(drawn.edges()), 'edge')}"
    origin = _origin(finding)
    said = f"{origin} It has {size}."
    if len(drawn) > LARGEST_GRAPH:
        return {"svg": "", "said": said + " That is too many to draw.", "width": 0}
    stability = finding.discovery.stability if finding.discovery is not None else None
    if stability is not None:
        said += f" Paler edges were found in fewer of the {numbers.count(stability.samples, 'bootstrap sample')}."
    svg = to_svg(drawn, roles=graph_roles(finding), stability=stability, title="The causal graph")
    width = re.search(r'viewBox="0 0 ([\d.]+)', svg)
    return {"svg": svg, "said": said, "width": float(width[1]) if width else 600.0}


def _origin(finding: Finding) -> str:
    if finding.discovery is None:
        return "The graph was given; the answer is only as good as its arrows, and its missing arrows most of all."
    method = method_title(finding.discovery.method, "discovery")
    return (f"The graph was learned from the data ({method}). Its edges are what the data support, not what is known; "
            "the interval takes it as given.")


def graph_roles(finding: Finding) -> dict[str, str]:
    """The role of each node that has one, for the drawing: as identified, and as finally estimated."""
    drawn = finding.graph
    if drawn is None:
        return {}
    mine, theirs = ({n for n in names if n in drawn} for names in prose.roles(finding))
    roles = {n: r for n, r in (getattr(finding.identified, "roles", None) or {}).items() if n in drawn}
    if not getattr(finding.identified, "reasons", None):
        after, before = _relatives(drawn, mine, theirs)
        roles |= {n: "mediator" if n in before else "excluded" for n in after}
    if finding.spec is not None:
        used = finding.spec.formula_columns
        roles = {n: "other" if r == "adjusted" and n not in used else r for n, r in roles.items()}
        roles |= dict.fromkeys((c for c in finding.spec.controls if c in drawn), "adjusted")
        roles |= dict.fromkeys((m for m in finding.spec.mediators if m in drawn), "mediator")
    return roles | dict.fromkeys(mine, "treatment") | dict.fromkeys(theirs, "outcome")


def _relatives(drawn: Graph, treatments: set[str], outcomes: set[str]) -> tuple[frozenset[str], frozenset[str]]:
    """What may come after the treatments and what may come before the outcomes."""
    if not treatments or not outcomes:
        return frozenset(), frozenset()
    if drawn.kind in ("CPDAG", "MPDAG"):
        return possible_descendants(drawn, treatments), possible_ancestors(drawn, outcomes)
    return descendants(drawn, treatments), ancestors(drawn, outcomes)


def adjusted(finding: Finding) -> list[Group]:
    """Each control, mediator or column of a formula and why it is one; those with the same reason together."""
    if finding.spec is None:
        return []
    reasons = _reasons(finding)
    stated = {r.about[0]: r.text for r in finding.choices if r.code == "role_control" and r.about}
    named = (*finding.spec.controls, *finding.spec.mediators, *finding.spec.formula_columns)
    return _together((c, reasons.get(c) or stated.get(c) or _default_reason(finding, c)) for c in named)


def another_way(finding: Finding) -> bool:
    """Whether the effect is found by a front door or a formula, not by comparing groups alike in the controls."""
    return finding.spec is not None and finding.spec.strategy not in ("rct", "adjustment")


def _together(found: Iterable[tuple[str, str]]) -> list[Group]:
    """Variables with the same reason in one group; ``age affects ...`` and ``sex affects ...`` are the same."""
    alike: dict[str, list[str]] = {}
    for variable, why in found:
        alike.setdefault(why.removeprefix(f"{variable} "), []).append(variable)
    return [(names, _said_of(names, why)) for why, names in alike.items()]


def _said_of(names: Sequence[str], why: str) -> str:
    if why[:1].islower() and not why.startswith("it "):
        return f"Each {why}" if len(names) > 1 else f"{names[0]} {why}"
    return why[:1].upper() + why[1:]


def _default_reason(finding: Finding, column: str) -> str:
    if finding.spec is not None and column in finding.spec.mediators:
        return "carries the effect from treatment to outcome, as given."
    if finding.spec is not None and column in finding.spec.formula_columns:
        return "is used in the formula that the graph gives."
    if finding.effect is not None and finding.effect.spec.strategy == "rct":
        return "is not needed against bias in a randomised comparison; it makes the estimate more precise."
    if finding.graph is not None:
        return "was given as a control."
    return "was taken as a possible common cause of treatment and outcome; no graph says that it is."


def excluded(finding: Finding) -> list[Group]:
    """Each variable left out and why, from the graph or from the choice of roles."""
    spec = finding.spec
    controls = {*spec.controls, *spec.mediators, *spec.formula_columns} if spec is not None else set()
    named = {*controls, *(n for names in prose.roles(finding) for n in names)}
    found = {n: why for n, why in _reasons(finding).items() if n not in named}
    for remark in finding.choices:
        if remark.code == "excluded" and remark.about and remark.about[0] not in found:
            found[remark.about[0]] = remark.text.removeprefix(f"{remark.about[0]} is not adjusted for: ")
    return _together(found.items())


def _reasons(finding: Finding) -> Mapping[str, str]:
    return getattr(finding.identified, "reasons", None) or {}


def cut(finding: Finding) -> str:
    """The diagram of the effect by cutting the treatment's wire, for an effect found without an adjustment set."""
    identified = finding.identified
    if not isinstance(identified, Identified) or identified.strategy == "adjustment":
        return ""
    treatment, *others = identified.treatment
    if others:
        return ""
    found = comb(identified.graph, treatment, identified.outcome)
    return found.drawing() if isinstance(found, Comb) else ""


def estimand(finding: Finding) -> str:
    """What is asked and what it equals in terms of what is measured, as a formula in plain characters."""
    sides = [getattr(finding.identified, side, None) for side in ("estimand", "expression")]
    formula = " = ".join(side.unicode() for side in sides if side is not None)
    controls = ", ".join(getattr(finding.identified, "adjustment", ()))
    if len(controls) > 24 and "z" not in (finding.graph.names if finding.graph is not None else ()):
        return f"{formula.replace(controls, 'z').replace('{z}', 'z')}, where z stands for {controls}"
    return formula


# Checks and assumptions


def check(c: Any) -> dict[str, Any]:
    """One check with its figure and the numbers behind it."""
    figure = c.figure or {}
    return {
        "title": c.title, "verdict": c.verdict, "word": VERDICTS[c.verdict] if c.applies else "Does not apply",
        "worry": c.worry, "saw": c.saw, "cannot_show": c.cannot_show, "applies": c.applies, "svg": draw(figure),
        "table": _figure_table(figure),
    }


def _figure_table(figure: Mapping[str, Any]) -> dict[str, Any] | None:
    """The rows of a figure, or of what has no picture, as a table; numbers to three significant digits."""
    given = figure.get("rows")
    if not given:
        return None
    keys = sorted(given[0], key=lambda k: k != "label")
    body = [[_cell(r.get(k)) for k in keys] for r in given[:MOST_CELLS]]
    head = ["" if k == "label" else k.replace("_", " ") for k in keys]
    return {"head": head, "rows": body, "left": numbers.count(len(given) - len(body)) if len(given) > len(body) else ""}


def _cell(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_cell, value)) or "–"
    if isinstance(value, float):
        return numbers.figures(value, pad=True)
    return "–" if value is None else numbers.plain_value(value)


def assumptions(finding: Finding) -> list[str]:
    """Every assumption the answer rests on, once."""
    stated: list[str] = []
    if finding.effect is not None:
        stated += finding.effect.assumptions
    stated += getattr(finding.identified, "assumptions", ())
    stated += finding.spec.assumptions if finding.spec is not None else ()
    return list(dict.fromkeys(stated))


# Where it comes from


def provenance(finding: Finding) -> list[Row]:
    """Label and value, from the study's provenance or the effect's."""
    given = dict(to_plain(finding.provenance) or {})
    if not given and finding.effect is not None:
        given = to_plain(finding.effect.provenance)
    labels = {"data": "Data (content hash)", "spec": "Specification (hash)", "graph": "Graph (hash)", "seed": "Seed"}
    found: list[Row] = [("Source", finding.source)]
    for k, v in given.items():
        if k == "citations" or v in (None, {}, []):
            continue
        if isinstance(v, Mapping):
            v = ", ".join(f"{a} {'none' if b is None else b}" for a, b in v.items())
        text = str(v) if k in ("seed", "data", "spec", "graph") or isinstance(v, str) else said(v)
        found.append((labels.get(k, k.replace("_", " ").capitalize()), text))
    return found
