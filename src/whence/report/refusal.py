"""A question that was not answered: what was asked, why not, the witness, and what would help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from whence.core.result import to_plain
from whence.report import numbers, prose
from whence.report.finding import Finding
from whence.report.methods import method_title
from whence.report.text import name

ARROWS = {
    "-->": "→", "<--": "←", "<->": "↔", "---": "—", "o->": "○→", "<-o": "←○", "o-o": "○—○", "o--": "○—", "--o": "—○",
}
LONGEST = 30  # items of a list that are shown

Row = tuple[str, str]


def refusal(finding: Finding) -> dict[str, Any]:
    """What was asked, why not, the evidence, and what would help."""
    refused, identified = finding.refused, finding.identified
    witness = getattr(identified, "witness", None)
    evidence: Mapping[str, Any] = refused.evidence if refused is not None else {}
    witness = witness if witness else evidence.get("witness")
    rest = {k: v for k, v in to_plain(evidence).items() if k != "witness"}
    reason = refused.reason if refused is not None else getattr(identified, "reason", "")
    return {
        "asked": prose.asked(finding), "reason": reason, "remedy": prose.remedy(finding),
        "paths": [path_text(p) for p in paths_in(to_plain(witness))],
        "evidence": [*_witness_rows(to_plain(witness)), *_evidence_rows(rest)],
        "method": method_title(refused.method) if refused is not None and refused.method else "",
    }


def paths_in(witness: Any) -> list[list[Sequence[str]]]:
    """Every path in a witness: a list of steps ``(a, edge, b)``, wherever it stands."""
    if isinstance(witness, Mapping):
        return [p for v in witness.values() for p in paths_in(v)]
    if isinstance(witness, (list, tuple)) and witness:
        if all(_is_step(s) for s in witness):
            return [list(witness)]
        return [p for v in witness for p in paths_in(v)]
    return []


def _is_step(step: Any) -> bool:
    return isinstance(step, (list, tuple)) and len(step) == 3 and step[1] in ARROWS


def path_text(steps: Sequence[Sequence[str]]) -> str:
    """``x ← u → y`` with the nodes marked as names."""
    said = name(steps[0][0])
    for _, edge, b in steps:
        said += f" {ARROWS[edge]} {name(b)}"
    return said


def _witness_rows(witness: Any) -> list[Row]:
    """What a witness says besides its paths."""
    if not isinstance(witness, Mapping):
        return [] if not witness or paths_in(witness) else [("witness", said(witness))]
    labels = {"adjusted": "stays open even given", "given": "given"}
    rest = {k: v for k, v in witness.items() if k != "kind" and not paths_in(v) and not _is_step(v)}
    return _evidence_rows({labels.get(str(k), str(k)): v for k, v in rest.items()})


def _evidence_rows(evidence: Mapping[str, Any]) -> list[Row]:
    return [(k.replace("_", " "), said(v)) for k, v in evidence.items() if v not in (None, [], {}, "")]


def said(value: Any) -> str:
    """Any JSON-ready value as text."""
    if isinstance(value, Mapping):
        shown = [f"{k}: {said(v)}" for k, v in list(value.items())[:LONGEST]]
        return "; ".join(shown) + ("; …" if len(value) > LONGEST else "")
    if isinstance(value, (list, tuple)):
        return ", ".join(said(v) for v in value[:LONGEST]) + (", …" if len(value) > LONGEST else "")
    return numbers.plain_value(value)
