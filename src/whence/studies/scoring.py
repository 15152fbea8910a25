"""How well each column fits as the treatment and as the outcome of a question.

The score of a column is the fit of the question's phrase, helped by what the description says, times what speaks for or
against the role: an outcome is not an identifier, a treatment is not measured before the study. All weights are here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from whence.studies.context import aims, glosses, said_of
from whence.studies.grammar import Phrases
from whence.studies.matching import Vocabulary
from whence.studies.stems import stem, tokens
from whence.studies.subpopulation import codes
from whence.studies.words import Description

WEAKEST = 0.15  # a best score below this is no match
TREATED, MEASURED = 0.3, 0.2  # the strongest mention as treatment, or as outcome, beside words that fit
UNSURE, CUSTOM = 0.25, 0.5  # where no column fits the words, what columns are customarily called counts this much
AIM = 0.25  # what the description says it set out to study counts this much beside the question
GLOSS = 0.5  # what the description puts in the place of the question's words
CONTEXT = 0.05  # the rest of the question decides only between columns that fit alike
BY_VALUE = 0.5  # a column one of whose values the treatment's phrase names
BINARY, TWO_WORDS = 1.2, 1.05  # a column of 0 and 1, or of two words, is rather a treatment
UNTOLD, UNTOLD_TREATMENT = 0.8, 0.65  # a column that a description of most of the others passes over
EARLY, WANTED_EARLY = 0.7, 1.2  # measured before the study began, when the question means that or does not
PROXIMITY = 0.75  # how near something is moves people to it, and is not the thing
OLDER = 0.95  # of columns that differ in a year, none named, the outcome is the latest
OVERALL = 1.05  # the whole rather than a part, where the question says neither
OUTLIVED = 0.75  # repeated by another column at a later time
CONSTRUCTED = 0.75  # predicted, squared or multiplied from other columns
ATTITUDE, SCORE = 0.7, 0.75  # an opinion or a score is rather an outcome
AGAINST = 0.6  # the share of its score that a column loses with a strong mention of another role
OFFERED = 0.85  # of the score of the take-up, for the offer, where the question means the former; or the other way

_EARLIER = re.compile(r"(?:^|_|\b)(?:prev|previous|prior|pre|baseline|initial|before|past|lag(?:ged)?|earlier)(?:_|\b)",
                      re.IGNORECASE)
_BEFORE = re.compile(r"\blagged\b|^(?:baseline|previous|prior|initial)\b|"
                     r"\b(?:before|prior to)\b(?! (?:\(\w+\) )?(?:or|and) after)", re.IGNORECASE)
_ASSIGNED = re.compile(r"\b(?:offer\w*|assign\w*|invit\w*|encourag\w*|eligib\w*|lotter\w*|intention to treat|"
                       r"intent to treat|being (?:selected|chosen|drawn|allocated))\b", re.IGNORECASE)
_TAKEN = re.compile(r"\b(?:actual\w*|receiv\w*|attend\w*|participat\w*|complet\w*|contacted|taking up|take-?up)\b",
                    re.IGNORECASE)
_CONSTRUCTED = re.compile(r"\b(?:predicted|estimated|propensity|imputed|fitted|simulated|interactions?|squared?|"
                          r"polynomial)\b", re.IGNORECASE)
_ATTITUDE = re.compile(r"\b(?:willing\w*|satisf\w+|belie(?:f|ve)\w*|opinions?|attitudes?|percep\w+|perceived|"
                       r"interest(?:ed)? in|concern(?:ed)?|support for|agree(?:s|ment)?|confidence|trust|prefer\w*|"
                       r"views? (?:on|of|about))\b", re.IGNORECASE)
_SCORE = re.compile(r"(?:^|_)(?:score|index|rating|scale)(?:_|$)|\b(?:scores?|index|ratings?|scales?)\b", re.IGNORECASE)
_PROXIMITY = re.compile(r"\b(?:near|nearby|nearest|closest|distance|proximity|close to)\b", re.IGNORECASE)
_OVERALL = re.compile(r"\b(?:all|total|overall|any|combined)\b", re.IGNORECASE)
_LATER = frozenset(stem(w) for w in "post final follow followup endline next current treatment".split())

Roles = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Material:
    """What the scores are made of: the question's phrases, the columns, what is said of them, and their values.

    roles: column -> role -> strength of its mention. binary: columns with two values. levels: the values of coded ones.
    """

    read: Phrases
    vocabulary: Vocabulary
    described: Mapping[str, Description]
    roles: Roles
    about: str
    binary: Sequence[str]
    levels: Mapping[str, Sequence[Any]]

    def role(self, column: str, name: str) -> float:
        return self.roles.get(column, {}).get(name, 0.0)

    def told(self, column: str) -> str:
        return self.described[column].text if column in self.described else ""

    @property
    def told_well(self) -> bool:
        """Whether the description speaks of most columns, so that its silence about one says something."""
        return len(self.described) > 0.5 * len(self.vocabulary.columns)


def treatment_scores(m: Material) -> dict[str, float]:
    """Scores of the columns as the treatment, the best 40 of those large enough to count."""
    scores = _phrase_scores(m, m.read.treatment, [t for t, _ in aims(m.about)])
    named = _by_value(m)
    for column in named & set(m.vocabulary.columns):
        scores[column] = max(scores.get(column, 0.0), BY_VALUE)
    prior = CUSTOM if max(scores.values(), default=0.0) < UNSURE else TREATED
    out = {c: BY_VALUE for c in named if c not in m.vocabulary.columns}
    for column in m.vocabulary.columns:
        score = scores.get(column, 0.0) + prior * m.role(column, "treatment")
        out[column] = score * _for_treatment(m, column) * (1 - AGAINST * _against_treatment(m, column))
    _offered_or_taken(out, m)
    return _fitting(out)


def _for_treatment(m: Material, column: str) -> float:
    told, factor = m.told(column), 1.0
    if column in m.binary:
        factor *= TWO_WORDS if any(isinstance(v, str) for v in m.levels.get(column, ())) else BINARY
    if _EARLIER.search(column) or _BEFORE.search(told):
        factor *= WANTED_EARLY if _EARLIER.search(m.read.treatment) else EARLY
    if _ATTITUDE.search(told) and not _ATTITUDE.search(m.read.treatment):
        factor *= ATTITUDE
    if _SCORE.search(column) and not _SCORE.search(m.read.treatment):
        factor *= SCORE
    if _PROXIMITY.search(told) and not _PROXIMITY.search(m.read.treatment):
        factor *= PROXIMITY
    factor *= CONSTRUCTED if _CONSTRUCTED.search(told) else 1.0
    return factor * (UNTOLD_TREATMENT if m.told_well and not told else 1.0)


def _against_treatment(m: Material, column: str) -> float:
    earlier = bool(_EARLIER.search(m.read.treatment))
    return max(m.role(column, "outcome"), m.role(column, "unit"), m.role(column, "weight"),
               0.8 * m.role(column, "time") * (1 - m.role(column, "treatment")),
               0.0 if column in m.binary else 0.7 * m.role(column, "running"),
               0.0 if earlier else 0.9 * m.role(column, "control"))


def _offered_or_taken(scores: dict[str, float], m: Material) -> None:
    """Between what was offered and what was taken up, the question means the latter unless it says otherwise."""
    offered = {c for c in scores if m.role(c, "assignment") > m.role(c, "take_up")}
    taken = {c for c in scores if m.role(c, "take_up") > 0} - offered
    means_offer = bool(_ASSIGNED.search(m.read.treatment)) and not _TAKEN.search(m.read.treatment)
    weaker, stronger = (taken, offered) if means_offer else (offered, taken)
    best = max((scores[c] for c in stronger), default=0.0)
    for column in weaker:
        if best >= 0.5 * scores[column] > 0:
            scores[column] = min(scores[column], OFFERED * best)


def outcome_scores(m: Material) -> dict[str, float]:
    """Scores of the columns as the outcome, the best 40 of those large enough to count."""
    scores = _phrase_scores(m, m.read.outcome, [o for _, o in aims(m.about)], headed=True)
    prior = CUSTOM if max(scores.values(), default=0.0) < UNSURE else MEASURED
    outlived, older, out = _outlived(m.vocabulary), _older(m), {}
    for column in m.vocabulary.columns:
        score = scores.get(column, 0.0) + prior * m.role(column, "outcome")
        score *= OUTLIVED if column in outlived else OLDER if column in older else 1.0
        out[column] = score * _for_outcome(m, column) * (1 - AGAINST * _against_outcome(m, column))
    return _fitting(out)


def _for_outcome(m: Material, column: str) -> float:
    """An outcome comes after: last year's value is not it, unless the words say so."""
    told, factor = m.told(column), 1.0
    if _EARLIER.search(column) or _BEFORE.search(told):
        factor *= WANTED_EARLY if _EARLIER.search(m.read.outcome) else EARLY
    if _CONSTRUCTED.search(told) or _CONSTRUCTED.search(column):
        factor *= CONSTRUCTED
    if _OVERALL.search(told) or _OVERALL.search(column.replace("_", " ")):
        factor *= OVERALL
    return factor * (UNTOLD if m.told_well and not told else 1.0)


def _against_outcome(m: Material, column: str) -> float:
    return max(m.role(column, "unit"), m.role(column, "weight"), m.role(column, "time"), m.role(column, "cluster"),
               0.7 * m.role(column, "treatment"), 0.7 * m.role(column, "assignment"), 0.3 * m.role(column, "control"))


def _outlived(vocabulary: Vocabulary) -> set[str]:
    """Columns that another one repeats at a later time: ``stress`` beside ``stress_final``."""
    names = {c: frozenset(vocabulary.names[c]) for c in vocabulary.columns}
    later = {d: names[d] - _LATER for d in names if names[d] & _LATER}
    return {c for c in names for d, rest in later.items() if names[c] == rest and c != d}


def _older(m: Material) -> set[str]:
    """Columns that another one repeats for a later year, when the question names no number."""
    found: dict[str, list[tuple[int, str]]] = {}
    for column in () if re.search(r"\d", m.read.outcome) else m.vocabulary.columns:
        if (match := re.fullmatch(r"(\D{2,})((?:19|20)?\d\d)(\D*)", column)) is not None:
            year = int(match[2])
            if year < 100 and not re.search(r"\b(?:19|20)\d\d\b", m.told(column)):
                continue  # a number, perhaps an age
            year += 0 if year > 99 else 2000 if year < 40 else 1900
            found.setdefault(match[1] + match[3], []).append((year, column))
    return {c for years in found.values() for year, c in years if year < max(years)[0]}


def _phrase_scores(m: Material, phrase: str, others: Sequence[str], headed: bool = False) -> dict[str, float]:
    """How well columns fit the question's phrase, helped a little by the rest of it and by the description.

    others: the same part of the description's own aims.
    """
    vocabulary = m.vocabulary
    own = vocabulary.scores(phrase, headed)
    if gloss := glosses(m.about, phrase, vocabulary.lines):
        _add(own, vocabulary.scores(gloss), GLOSS)
    if max(own.values(), default=0.0) < UNSURE and (more := said_of(m.about, phrase, vocabulary.lines)):
        helped = vocabulary.scores(more)
        _add(own, helped, GLOSS / max(helped.values(), default=1.0))
    _add(own, {c: s for c, s in vocabulary.scores(m.read.question).items() if c in own}, CONTEXT)
    for other in others:
        helped = vocabulary.scores(other)
        top = max(helped.values(), default=0.0)
        _add(own, {c: s for c, s in helped.items() if s >= 0.5 * top}, AIM / len(others))
    return own


def _add(own: dict[str, float], more: Mapping[str, float], weight: float) -> None:
    for column, score in more.items():
        own[column] = own.get(column, 0.0) + weight * score


def _by_value(m: Material) -> set[str]:
    """Columns one of whose values, or of whose codes, is a name that the treatment's phrase holds."""
    wanted = f" {' '.join(tokens(f'{m.read.treatment} {m.read.comparison}'))} "
    found = set()
    for column, values in m.levels.items():
        said = [v for v in values if isinstance(v, str)]
        if not said and column in m.described:
            said = [words for words, negated in codes(m.told(column)).values() if words[:1].isupper() and not negated]
        stems = [" ".join(tokens(words)) for words in said]
        if any(len(s) >= 4 and f" {s} " in wanted for s in stems):
            found.add(column)
    return found


def _fitting(scores: Mapping[str, float]) -> dict[str, float]:
    fitting = sorted((c for c, s in scores.items() if s >= WEAKEST), key=lambda c: (-scores[c], c))
    return {c: scores[c] for c in fitting[:40]}
