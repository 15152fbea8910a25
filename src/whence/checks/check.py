"""The result of one check: a three-valued verdict with its numbers, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from whence.core.card import Card
from whence.core.result import fields_to_plain

Verdict = Literal["pass", "worry", "informational"]


@dataclass(frozen=True)
class Check:
    """What one check asked and found.

    name: of its card. title: for a heading. worry: what would have worried us. saw: what we saw, with
    the numbers. cannot_show: what a pass does not prove. numbers: JSON-ready, by name; every number in
    ``saw`` is here. figure: data for a plot, or empty (``{"kind": "balance" | "overlap" | ..., ...}``).
    applies: False when the check has no meaning for this effect; ``saw`` then says why.
    """

    name: str
    title: str
    verdict: Verdict
    worry: str
    saw: str
    cannot_show: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    figure: Mapping[str, Any] = field(default_factory=dict)
    applies: bool = True

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def __str__(self) -> str:
        return f"[{self.verdict}] {self.title}: {self.saw}"


def does_not_apply(card: Card, why: str) -> Check:
    """The informational answer of a check that has no meaning here. why: a plain sentence."""
    return Check(card.name, card.title, "informational", worry=card.summary, saw=why, applies=False,
                 cannot_show="Nothing was checked.")
