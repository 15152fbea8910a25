"""Names and sources of methods, from their cards."""

from __future__ import annotations

import re

from whence.core.errors import WhenceError
from whence.core.registry import find_card
from whence.report.finding import Finding

Pieces = list[tuple[str, str]]
_DOI = re.compile(r"(?:https?://(?:dx\.)?doi\.org/|\bdoi:\s*)(10\.\d{4,9}/[^\s<>\"]+[^\s<>\".,;:)])", re.IGNORECASE)


def method_title(method: str, task: str = "estimation") -> str:
    """The field's name for a method, or the name itself for one without a card."""
    try:
        return find_card(task, method).title
    except WhenceError:
        return method


def citations(finding: Finding) -> list[Pieces]:
    """Each source once, as pieces ``(text, link)``; only DOIs are linked."""
    found: list[str] = [str(c) for c in finding.provenance.get("citations") or ()]
    for effect in (finding.effect, *finding.alternatives):
        found += effect.provenance.citations if effect is not None else ()
    if finding.discovery is not None:
        found += finding.discovery.provenance.citations
    for c in finding.checks:
        try:
            found += find_card("check", c.name).citations
        except WhenceError:
            continue
    return [_linked(c) for c in dict.fromkeys(found)]


def _linked(citation: str) -> Pieces:
    pieces: Pieces = []
    start = 0
    for match in _DOI.finditer(citation):
        pieces += [(citation[start : match.start()], ""), (f"doi:{match[1]}", f"https://doi.org/{match[1]}")]
        start = match.end()
    return [p for p in (*pieces, (citation[start:], "")) if p[0]]
