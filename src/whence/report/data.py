"""The data of a finding: rows read, used and lost, and what the profile remarks on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from whence.core.result import Remark
from whence.report import numbers
from whence.report.finding import Finding

ROWS = frozenset({"rows_dropped", "population", "arms_dropped", "trimmed"})
MOST_REMARKS, MOST_COLUMNS = 200, 400


def data(finding: Finding) -> dict[str, Any]:
    """Rows used and lost, and what the profile remarks on."""
    effect = finding.effect
    warnings = [*finding.warnings, *(effect.warnings if effect is not None else ())]
    losses = [r for r in distinct(warnings) if about_rows(r.code)]
    remarks = [r.text for r in distinct(getattr(finding.profile, "remarks", ()))]
    columns = getattr(finding.profile, "columns", ())
    return {
        "said": rows_sentence(finding), "losses": [r.text for r in losses], "missing": _missing(losses),
        "remarks": remarks[:MOST_REMARKS], "left": max(0, len(remarks) - MOST_REMARKS),
        "shape": (f"{numbers.count(rows_read(finding) or 0, 'row')} and {numbers.count(len(columns), 'column')}"
                  if columns else ""),
    }


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


