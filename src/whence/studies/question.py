"""Reading a causal question: which column is the treatment, which the outcome, and how sure that is.

Phrases are found by documented sentence patterns (``grammar``) and matched to columns by name and by description
(``matching``); what the description says of the roles of columns (``mentions``) counts too. Every match carries its
score and the words it rests on; a close call is reported, not hidden.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from whence.studies.grammar import Phrases, phrases, read_phrases
from whence.studies.matching import Vocabulary
from whence.studies.mentions import RoleMention, described_roles
from whence.studies.scoring import Material, Roles, outcome_scores, treatment_scores
from whence.studies.subpopulation import Filter, about_the_treated, subpopulation
from whence.studies.wording import asked_contrast, asked_lag, outcome_transform
from whence.studies.words import Description

__all__ = ["CLOSE", "Match", "Reading", "phrases", "randomised", "read_question"]

_RANDOM = re.compile(r"\b(?:randomi[sz]ed|randomly assigned|random assignment|assigned (?:\w+ ){0,3}at random|"
                     r"assigned randomly|randomly (?:selected|chosen|allocated) (?:\w+ ){0,3}(?:to|for) |by lottery|"
                     r"drawn by lot|coin flip)", re.IGNORECASE)
_NOT_RANDOM = re.compile(r"\b(?:not|never|non|without|wasn't|weren't|no|rather than|instead of)\W+(?:\w+\W+){0,2}$",
                         re.IGNORECASE)
CLOSE = 0.9  # a runner-up with at least this share of the best score makes the choice unclear


@dataclass(frozen=True)
class Match:
    """A column proposed for a role: its score in [0, 1], the phrase, and the words they share."""

    column: str
    score: float
    phrase: str
    shared: tuple[str, ...]
    runner_up: str | None = None
    runner_up_score: float = 0.0

    @property
    def close(self) -> bool:
        return self.runner_up is not None and self.runner_up_score >= CLOSE * self.score


@dataclass(frozen=True)
class Reading:
    """What a question says. treatment, outcome: the matches, or None when nothing matched.

    randomised: the sentence that says the treatment was assigned at random, or None. ranked_treatments,
    ranked_outcomes: the best five of each by their own scores; ranked_pairs: (treatment, outcome, score), the best ten.
    mentions: the roles that the description gives columns. subpopulation: for whom the question asks, or None for all.
    transform: ``{"outcome": "log"}`` when a logarithm is asked for that no column holds. contrast: the (treated,
    control) values of the treatment that are compared, control None where it is not said. lag: periods between cause
    and outcome. on_the_treated: whether the question asks for the effect on those treated.
    """

    treatment: Match | None
    outcome: Match | None
    treatment_phrase: str
    outcome_phrase: str
    randomised: str | None
    ranked_treatments: tuple[Match, ...] = ()
    ranked_outcomes: tuple[Match, ...] = ()
    ranked_pairs: tuple[tuple[str, str, float], ...] = ()
    mentions: tuple[RoleMention, ...] = ()
    subpopulation: Filter | None = None
    transform: Mapping[str, str] | None = None
    contrast: tuple[Any, Any | None] | None = None
    lag: int | None = None
    on_the_treated: bool = False


def read_question(
    question: str, columns: Sequence[str], described: Mapping[str, Description], about: str = "",
    binary: Sequence[str] = (), treatment: str | None = None, outcome: str | None = None,
    possible: Callable[[str, str], bool] = lambda t, o: True, levels: Mapping[str, Sequence[Any]] | None = None,
) -> Reading:
    """Match the question's phrases to ``columns`` (those usable as treatment or outcome).

    Both roles are chosen together, as the pair with the highest total score. binary: columns with two values,
    slightly preferred as treatments. treatment, outcome: fixed by the user. possible: whether a treatment can
    affect an outcome at all (by the graph or by time); pairs that cannot are not considered. levels: the values of
    the columns that hold words, so that a value named in the question points to its column.
    """
    read = read_phrases(question)
    vocabulary = Vocabulary(columns, described)
    mentions = tuple(described_roles(about, columns, described))
    material = Material(read, vocabulary, described, _strengths(mentions), about, binary, levels or {})
    t_scores = {treatment: 1.0} if treatment else treatment_scores(material)
    o_scores = {outcome: 1.0} if outcome else outcome_scores(material)
    pairs = {(t, o): t_scores[t] + o_scores[o] for t in t_scores for o in o_scores
             if t != o and ((treatment and outcome) or possible(t, o))}
    said = randomised(f"{about}\n{question}")
    ranked = {"ranked_treatments": _ranked(t_scores, read.treatment, vocabulary),
              "ranked_outcomes": _ranked(o_scores, read.outcome, vocabulary), "mentions": mentions}
    if not pairs:  # one role may still be known, to be named in the refusal
        t = _best(t_scores, read.treatment, vocabulary, treatment) if not o_scores else None
        o = _best(o_scores, read.outcome, vocabulary, outcome) if not t_scores else None
        more = asked(question, read, vocabulary, described, levels or {}, t and t.column, o and o.column)
        return Reading(t, o, read.treatment, read.outcome, said, **ranked, **more)
    order = sorted(pairs, key=lambda pair: (-pairs[pair], pair))
    best_t, best_o = order[0]
    t = _best({t: t_scores[t] for t, o in pairs if o == best_o}, read.treatment, vocabulary, treatment, best_t)
    o = _best({o: o_scores[o] for t, o in pairs if t == best_t}, read.outcome, vocabulary, outcome, best_o)
    return Reading(t, o, read.treatment, read.outcome, said, **ranked,
                   ranked_pairs=tuple((*pair, pairs[pair] / 2) for pair in order[:10]),
                   **asked(question, read, vocabulary, described, levels or {}, best_t, best_o))


def asked(
    question: str, read: Phrases, vocabulary: Vocabulary, described: Mapping[str, Description],
    levels: Mapping[str, Sequence[Any]], treatment: str | None, outcome: str | None,
) -> dict[str, Any]:
    """What the question asks beyond treatment and outcome, as fields of ``Reading``."""
    numeric = [c for c in vocabulary.columns if c not in levels]
    log = outcome_transform(read, outcome or "", described.get(outcome or ""))
    return {
        "subpopulation": subpopulation(read, vocabulary, described, levels, numeric,
                                       [c for c in (treatment, outcome) if c]),
        "transform": {"outcome": log} if log else None,
        "contrast": asked_contrast(read, levels.get(treatment or "", ()), described.get(treatment or "")),
        "lag": asked_lag(question), "on_the_treated": about_the_treated(read),
    }


def _strengths(mentions: Sequence[RoleMention]) -> Roles:
    """Column -> role -> the strength of its strongest mention."""
    found: dict[str, dict[str, float]] = {}
    for m in mentions:
        found.setdefault(m.column, {})[m.role] = max(m.strength, found.get(m.column, {}).get(m.role, 0.0))
    return found


def randomised(text: str) -> str | None:
    """The first sentence that says, without negation, that assignment was random."""
    for sentence in re.split(r"(?<=[.!?])\s+|\n+", text):
        for match in _RANDOM.finditer(sentence):
            if not _NOT_RANDOM.search(sentence[: match.start()]):
                return sentence.strip()
    return None


def _ranked(scores: Mapping[str, float], phrase: str, vocabulary: Vocabulary) -> tuple[Match, ...]:
    best = sorted(scores, key=lambda c: (-scores[c], c))[:5]
    most = max(1.0, *scores.values()) if scores else 1.0
    return tuple(Match(c, scores[c] / most, phrase, vocabulary.shared(phrase, c)) for c in best)


def _best(
    scores: Mapping[str, float], phrase: str, vocabulary: Vocabulary, given: str | None, choice: str | None = None
) -> Match | None:
    """The match for a role: ``given`` by the user, ``choice``, or the best score; with the next best."""
    if given is not None:
        return Match(given, 1.0, "given", ())
    ranked = sorted(scores, key=lambda c: (c != choice, -scores[c], c))
    if not ranked:
        return None
    column, second = ranked[0], ranked[1] if len(ranked) > 1 else None
    most = max(1.0, scores[column])
    return Match(column, scores[column] / most, phrase, vocabulary.shared(phrase, column),
                 second, min(scores[second] / most, 1.0) if second else 0.0)
