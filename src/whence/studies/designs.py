"""Words that point to a design other than adjustment or an experiment.

Adjusting for covariates where the description speaks of a cutoff, of times before and after, or of an
encouragement would answer another question than the one asked. Until those designs can be estimated, a study
found from words alone stops there and says so; naming the controls, or a graph, overrides it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Cue:
    """design: its name in words. strategy: as in ``Spec``. words: what was read. sentence: where."""

    design: str
    strategy: str
    words: str
    sentence: str


_GIVEN = r"(?:qualif|eligib|receiv|assigned|grant)"
_SIGNS = {
    ("a regression discontinuity", "rdd"): (
        r"\bdiscontinuit(?:y|ies)", r"\bcut-?offs?\b", r"\bthresholds?\b", r"\bjust (?:above|below|over|under)\b",
        r"\bclose(?:ly)? (?:contested )?elections?\b",
        rf"\b(?:above|below|over|under|exceeding|at least) \$?[\d,.]+\w* (?:\w+ ){{0,4}}{_GIVEN}",
        rf"\b[\d,.]+ (?:\w+ )?or (?:higher|more|above|older|lower|less|below|younger) (?:\w+ ){{0,5}}{_GIVEN}",
        r"\beligib\w+ (?:was|is|were|are) (?:determined|decided|based)",
    ),
    ("a comparison of changes over time (difference in differences)", "did"): (
        r"\bdiffer\w+[- ]in[- ]differ\w+", r"\bstaggered\b", r"\bparallel trends\b",
        r"\bbefore (?:\(\d\) )?(?:or|and|versus|vs\.?) after\b", r"\bpre-? ?(?:or|and|/) ?post",
        r"\bpost-?(?:treatment|intervention|policy|implementation|reform)[- ](?:period|indicator)",
        r"\badopted (?:\w+ ){0,3}at different times",
    ),
    ("an instrument or an encouragement", "iv"): (
        r"\binstrumental variables?\b", r"\b(?:as an|valid) instrument\b", r"\binstruments? for\b",
        r"\bencourage(?:d|ment)\b.{0,40}\b(?:to|design|letter)\b", r"\b(?:was|were|is) invited to\b",
        r"\b(?:non-?)?complian(?:ce|t)\b", r"\bcompliers?\b", r"\btake-?up\b", r"\bintention to treat\b",
        r"\bassigned to receive\b.{0,120}\bnot receiv",
    ),
}
_PATTERNS = [(*design, re.compile("|".join(signs), re.IGNORECASE)) for design, signs in _SIGNS.items()]


def other_design(text: str) -> Cue | None:
    """The first cue for a design that cannot be estimated yet, or None."""
    for sentence in re.split(r"(?<=[.!?])\s+|\n+", text):
        for design, strategy, pattern in _PATTERNS:
            if match := pattern.search(sentence):
                return Cue(design, strategy, match[0], sentence.strip())
    return None
