"""The data of a finding: rows read, used and lost, and what the profile remarks on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from whence.core.result import Remark
from whence.report import numbers
from whence.report.finding import Finding
from whence.report.prose import roles

ROWS = frozenset({"rows_dropped", "population", "arms_dropped", "trimmed"})
MOST_REMARKS, MOST_COLUMNS, MOST_LEVELS = 200, 400, 5


def data(finding: Finding) -> dict[str, Any]:
    """Rows used and lost, the variables of the question, and what the profile remarks on, theirs first."""
    effect, profile = finding.effect, finding.profile
    warnings = [*finding.warnings, *(effect.warnings if effect is not None else ())]
    losses = [r for r in distinct(warnings) if about_rows(r.code)]
    remarks = distinct(profile.remarks) if profile is not None else []
    used = _used(finding)
    near = [r.text for r in remarks if not r.about or used.keys() & set(r.about)]
    far = [r.text for r in remarks if r.about and not used.keys() & set(r.about)]
    size = len(profile.columns) if profile is not None else 0
    return {
        "said": rows_sentence(finding), "losses": [r.text for r in losses], "missing": _missing(losses),
        "remarks": near[:MOST_REMARKS], "others": far[:MOST_REMARKS], "variables": _variables(finding, used),
        "left": max(0, len(near) - MOST_REMARKS) + max(0, len(far) - MOST_REMARKS),
        "shape": f"{numbers.count(rows_read(finding) or 0, 'row')} and {numbers.count(size, 'column')}" if size else "",
    }


def _used(finding: Finding) -> dict[str, str]:
    """Each column of the question and its role."""
    treatments, outcomes = roles(finding)
    found = dict.fromkeys(treatments, "treatment") | dict.fromkeys(outcomes, "outcome")
    spec = finding.spec
    if spec is None:
        return found
    named = {spec.cluster: "cluster", spec.weights: "weights", **dict.fromkeys(spec.controls, "control"),
             **dict.fromkeys(spec.mediators, "mediator"), **dict.fromkeys(spec.formula_columns, "in the formula")}
    return found | {n: role for n, role in named.items() if n is not None and n not in found}


def _variables(finding: Finding, used: dict[str, str]) -> list[Sequence[str]]:
    """Name, role, kind, missing values and range of each column of the question."""
    known = {c.name: c for c in finding.profile.columns} if finding.profile is not None else {}
    return [
        (column, role, known[column].kind, numbers.count(known[column].n_missing), _values(known[column]))
        for column, role in list(used.items())[:MOST_COLUMNS] if column in known
    ]


def _values(column: Any) -> str:
    """The values of a column in short: its range and mean, or its most frequent levels with their rows."""
    if column.top:
        shown = [f"{numbers.plain_value(v)} ({numbers.count(k)})" for v, k in column.top[:MOST_LEVELS]]
        return ", ".join(shown) + (", …" if column.n_distinct > len(shown) else "")
    if column.mean is None:
        return "–"
    ends = f"{numbers.plain_value(column.low)} to {numbers.plain_value(column.high)}"
    return f"{ends}, mean {numbers.figures(column.mean)}"


def _missing(losses: Iterable[Remark]) -> list[Sequence[str]]:
    """Missing values by column, most first."""
    gaps: dict[str, int] = {}
    for remark in losses:
        gaps.update(remark.evidence.get("missing") or {})
    order = sorted(gaps.items(), key=lambda g: (-g[1], g[0]))
    return [(column, numbers.count(size)) for column, size in order[:MOST_COLUMNS]]


def distinct(remarks: Iterable[Remark]) -> list[Remark]:
    """The remarks without repeats."""
    return list({r.text: r for r in remarks}.values())


def rows_sentence(finding: Finding) -> str:
    """Rows read, rows used, and that none was lost in silence."""
    total = rows_read(finding)
    effect = finding.effect
    if effect is None:
        return "" if total is None else f"The data have {numbers.count(total, 'row')}."
    if total is None:
        return f"The estimate uses {numbers.count(effect.n, 'row')}."
    if effect.n == total:
        return f"The estimate uses all {numbers.count(total, 'row')}."
    lost = total - effect.n
    return (f"The estimate uses {numbers.count(effect.n)} of {numbers.count(total, 'row')}; "
            f"{numbers.count(lost)} {'is' if lost == 1 else 'are'} not used, for the reasons below.")


def rows_read(finding: Finding) -> int | None:
    """Rows of the table, from the effect's provenance, the profile or the study's."""
    if finding.effect is not None:
        return finding.effect.provenance.rows
    rows = getattr(finding.profile, "n_rows", None)
    return rows if rows is not None else finding.provenance.get("rows")


def about_rows(code: str) -> bool:
    """Whether a remark of this code says why rows were not used."""
    return code in ROWS or "rows_" in code or code.endswith("_rows")


