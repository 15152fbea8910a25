"""Candidate plans: treatment, outcome and design chosen together, by what the words and the data say.

The score of a candidate is the log of its share among all: how well the words fit its columns, and how likely its
design is given what was read and seen. The best is taken; the others stay beside it, for the reader to choose from.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from whence.core.executor import one_blas_thread
from whence.core.progress import SILENT, Progress
from whence.data.table import Table
from whence.studies.evidence.evidence import Evidence, totals
from whence.studies.evidence.read import read_designs
from whence.studies.question import Match, Reading
from whence.studies.words import Description

SHARPNESS = 12.0  # nats for a column that covers all of a phrase against one that covers none
MOST_PAIRS = 6  # pairs of treatment and outcome whose designs are looked at
WORTH = 3.0  # nats behind the best pair beyond which a pair is not looked at
CLOSE_CALL = 1.0  # nats between the best two candidates below which the choice is not clear


@dataclass(frozen=True)
class Candidate:
    """One way to read the question. score: nats behind a certain reading (0 or less). evidence: for its columns.

    design: as in ``DESIGNS`` of the evidence; ``"none"`` where no design can answer.
    """

    treatment: Match
    outcome: Match
    design: str
    score: float
    evidence: tuple[Evidence, ...]

    @property
    def roles(self) -> tuple[str, str, str]:
        return self.treatment.column, self.outcome.column, self.design

    @property
    def grounds(self) -> tuple[Evidence, ...]:
        """What speaks for the design, the strongest first."""
        speaking = (e for e in self.evidence if e.design == self.design and e.strength > 0)
        return tuple(sorted(speaking, key=lambda e: (-e.strength, e.text)))


def rank_candidates(
    table: Table, reading: Reading, question: str, about: str, described: Mapping[str, Description],
    mentions: Sequence[Any] = (), progress: Progress = SILENT,
) -> tuple[Candidate, ...]:
    """All candidates, the likeliest first; ties by names."""
    pairs = _pairs(reading)
    found: list[Candidate] = []
    progress.begin("reading the design", len(pairs))
    for t, o, weight in pairs:
        with one_blas_thread(len(table.names)):
            evidence = read_designs(table, t.column, o.column, about, question, described, mentions)
        sums = totals(evidence)
        whole = _log_sum(sums.values())
        found += [Candidate(t, o, design, weight + total - whole, evidence) for design, total in sums.items()]
        progress.step()
    progress.end()
    everything = _log_sum(c.score for c in found) if found else 0.0
    scored = [Candidate(c.treatment, c.outcome, c.design, c.score - everything, c.evidence) for c in found]
    return tuple(sorted(scored, key=lambda c: (-c.score, c.roles)))


def _pairs(reading: Reading) -> list[tuple[Match, Match, float]]:
    """Pairs of columns with their weight in nats behind the best, the best first."""
    treatments = {m.column: m for m in (*reading.ranked_treatments, reading.treatment) if m is not None}
    outcomes = {m.column: m for m in (*reading.ranked_outcomes, reading.outcome) if m is not None}
    found = [(treatments[t], outcomes[o], SHARPNESS * score) for t, o, score in reading.ranked_pairs
             if t in treatments and o in outcomes]
    return [(t, o, w - found[0][2]) for t, o, w in found[:MOST_PAIRS] if w >= found[0][2] - WORTH]


def _log_sum(values: Iterable[float]) -> float:
    listed = list(values)
    top = max(listed)
    return top + math.log(sum(math.exp(v - top) for v in listed))
