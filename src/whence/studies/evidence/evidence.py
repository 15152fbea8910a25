"""A piece of evidence for or against a design, and their sum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

DESIGNS = ("rct", "adjustment", "iv", "rdd", "did", "frontdoor", "none")
# Log weights before any look: what is measured and described without a word of a design was mostly just observed.
BEFORE: Mapping[str, float] = {"adjustment": 1.0}


@dataclass(frozen=True)
class Evidence:
    """What one look at the words or the data says of one design.

    design: one of ``DESIGNS``; ``"none"`` says that no design can answer. strength: log likelihood ratio of that design
    against the others, in nats; negative speaks against it. source: where it was seen. text: one sentence for people.
    columns: role (``instruments``, ``running_variable``, ``time``, ``unit``, ``post``, ``strata``, ``mediators``) to
    the columns proposed for it, the likeliest first. cutoff: of the running variable. quote: the words it rests on.
    measured: the numbers it rests on.
    """

    design: str
    strength: float
    source: Literal["words", "data"]
    text: str
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cutoff: float | None = None
    quote: str = ""
    measured: Mapping[str, Any] = field(default_factory=dict)


def totals(evidence: Iterable[Evidence]) -> dict[str, float]:
    """Design to ``BEFORE`` and the sum of its strengths, the largest first, ties by name."""
    sums: dict[str, float] = {design: BEFORE.get(design, 0.0) for design in DESIGNS}
    for e in evidence:
        sums[e.design] += e.strength
    return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))


def proposed(evidence: Iterable[Evidence], design: str, role: str) -> tuple[str, ...]:
    """The columns for a role of a design, the likeliest first: from data that speak for it, else from words."""
    naming = [e for e in evidence if e.design == design and e.columns.get(role)]
    seen = [e for e in naming if e.source == "data" and e.strength > 0]
    return max(seen or naming, key=lambda e: e.strength).columns[role] if naming else ()
