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

from whence.studies.context import glosses, said_of
from whence.studies.grammar import Phrases, phrases, read_phrases
from whence.studies.matching import Vocabulary
from whence.studies.mentions import RoleMention, described_roles
from whence.studies.stems import tokens
from whence.studies.subpopulation import Filter, about_the_treated, subpopulation
from whence.studies.wording import asked_contrast, asked_lag, outcome_transform
from whence.studies.words import Description, plain, sentences

__all__ = ["CLOSE", "Match", "Reading", "phrases", "randomised", "read_question"]

_RANDOM = re.compile(r"\b(?:randomi[sz]ed|randomly assigned|random assignment|assigned (?:\w+ ){0,3}at random|"
                     r"assigned randomly|randomly (?:selected|chosen|allocated) (?:\w+ ){0,3}(?:to|for) |by lottery|"
                     r"drawn by lot|coin flip)", re.IGNORECASE)
_NOT_RANDOM = re.compile(r"\b(?:not|never|non|without|wasn't|weren't|no|rather than|instead of)\W+(?:\w+\W+){0,2}$",
                         re.IGNORECASE)
_EARLIER = re.compile(r"(?:^|_|\b)(?:prev|previous|prior|pre|baseline|initial|before|past|lag(?:ged)?|earlier)(?:_|\b)",
                      re.IGNORECASE)
_BEFORE = re.compile(r"^(?:lagged|baseline|previous|prior|initial)\b|\b(?:before|prior to)\b(?! (?:\(\w+\) )?(?:or|"
                     r"and) after)",
                     re.IGNORECASE)
_ASSIGNED = re.compile(r"\b(?:offer\w*|assign\w*|invit\w*|encourag\w*|eligib\w*|lotter\w*|intention to treat|intent "
                       r"to treat|"
                       r"being (?:selected|chosen|drawn|allocated))\b", re.IGNORECASE)
_TAKEN = re.compile(r"\b(?:actual\w*|receiv\w*|attend\w*|participat\w*|complet\w*|contacted|taking up|take-?up)\b",
                    re.IGNORECASE)
_AIM = re.compile(r"\b(?:effects?|impacts?|influence) of\b|\baffect(?:s|ed)?\b|\binfluence[sd]?\b", re.IGNORECASE)
_GUESSED = re.compile(r"\b(?:predicted|estimated|propensity|imputed|fitted|simulated)\b", re.IGNORECASE)
_ATTITUDE = re.compile(r"\b(?:willing\w*|satisf\w+|belie(?:f|ve)\w*|opinions?|attitudes?|percep\w+|perceived|"
                       r"interest(?:ed)? in|"
                       r"concern(?:ed)?|support for|agree(?:s|ment)?|confidence|trust|prefer\w*|views? (?:on|of|"
                       r"about))\b",
                       re.IGNORECASE)
CLOSE = 0.9  # a runner-up with at least this share of the best score makes the choice unclear
WEAKEST = 0.15  # a best score below this is no match
UNSURE, CUSTOM = 0.25, 0.5  # where no column fits the words, what columns are customarily called counts this much
BY_VALUE = 0.5  # a column one of whose values the treatment's phrase names
UNTOLD = 0.8  # a column that a description of most of the others passes over
GLOSS = 0.5  # what the description puts in the place of the question's words
CONTEXT = 0.05  # the rest of the question decides only between columns that fit alike
AIM = 0.25  # what the description says it set out to study counts this much beside the question


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
    roles = _strengths(mentions)
    t_scores = {treatment: 1.0} if treatment else _treatments(read, vocabulary, roles, about, binary, described,
                                                                   levels or {})
    o_scores = {outcome: 1.0} if outcome else _outcomes(read, vocabulary, roles, about, columns, described)
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


Roles = Mapping[str, Mapping[str, float]]


def _strengths(mentions: Sequence[RoleMention]) -> Roles:
    """Column -> role -> the strength of its strongest mention."""
    found: dict[str, dict[str, float]] = {}
    for m in mentions:
        found.setdefault(m.column, {})[m.role] = max(m.strength, found.get(m.column, {}).get(m.role, 0.0))
    return found


def _treatments(
    read: Phrases, vocabulary: Vocabulary, roles: Roles, about: str, binary: Sequence[str],
    described: Mapping[str, Description], levels: Mapping[str, Sequence[Any]],
) -> dict[str, float]:
    """Scores of the columns as the treatment."""
    scores = _phrase_scores(vocabulary, read.treatment, read.question, about, [t for t, _ in _aims(about)])
    for column in (by_value := _by_value(read, levels)) & set(vocabulary.columns):
        scores[column] = max(scores.get(column, 0.0), BY_VALUE)
    out = {c: BY_VALUE for c in by_value if c not in vocabulary.columns}
    prior = CUSTOM if max(scores.values(), default=0.0) < UNSURE else 0.2
    for column in vocabulary.columns:
        role = roles.get(column, {})
        score = scores.get(column, 0.0) + prior * role.get("treatment", 0.0)
        if column in binary:
            score *= 1.1 if not any(isinstance(v, str) for v in levels.get(column, ())) else 1.05
        told = described[column].text if column in described else ""
        if _ATTITUDE.search(told) and not _ATTITUDE.search(read.treatment):
            score *= 0.7
        if len(described) > 0.5 * len(vocabulary.columns) and not told:
            score *= UNTOLD
        against = max(role.get("outcome", 0.0), role.get("unit", 0.0), role.get("weight", 0.0),
                      0.8 * role.get("time", 0.0) * (1 - role.get("treatment", 0.0)),
                      0.0 if column in binary else 0.7 * role.get("running", 0.0), 0.6 * role.get("control", 0.0))
        out[column] = score * (1 - 0.6 * against)
    _offered_or_taken(out, read.treatment, roles)
    return _fitting(out)


def _offered_or_taken(scores: dict[str, float], phrase: str, roles: Roles) -> None:
    """Between what was offered and what was taken up, the question means the latter unless it says otherwise."""
    offered = {c for c in scores if roles.get(c, {}).get("assignment", 0.0) > roles.get(c, {}).get("take_up", 0.0)}
    taken = {c for c in scores if roles.get(c, {}).get("take_up", 0.0) >= roles.get(c, {}).get("assignment", 0.0) > 0
             or roles.get(c, {}).get("take_up", 0.0) > 0}
    taken -= offered
    means_offer = bool(_ASSIGNED.search(phrase)) and not _TAKEN.search(phrase)
    weaker, stronger = (taken, offered) if means_offer else (offered, taken)
    best = max((scores[c] for c in stronger), default=0.0)
    for column in weaker:
        if best >= 0.5 * scores[column] > 0:
            scores[column] *= 0.55


def _outcomes(
    read: Phrases, vocabulary: Vocabulary, roles: Roles, about: str, columns: Sequence[str],
    described: Mapping[str, Description],
) -> dict[str, float]:
    """Scores of the columns as the outcome. An outcome comes after: last year's value is not it, unless the words
    say so."""
    scores = _phrase_scores(vocabulary, read.outcome, read.question, about, [o for _, o in _aims(about)])
    prior = CUSTOM if max(scores.values(), default=0.0) < UNSURE else 0.2
    wants_earlier = bool(_EARLIER.search(read.outcome))
    out = {}
    for column in vocabulary.columns:
        role = roles.get(column, {})
        score = scores.get(column, 0.0) + prior * role.get("outcome", 0.0)
        told = described[column].text if column in described else ""
        if len(described) > 0.5 * len(columns) and not told:
            score *= UNTOLD
        if not wants_earlier and (_EARLIER.search(column) or _BEFORE.search(told)):
            score *= 0.7
        if _GUESSED.search(told) or _GUESSED.search(column):
            score *= 0.75
        against = max(role.get("unit", 0.0), role.get("weight", 0.0), role.get("time", 0.0),
                      0.7 * role.get("treatment", 0.0), 0.7 * role.get("assignment", 0.0), 0.3 * role.get("control",
                                                                                                          0.0))
        out[column] = score * (1 - 0.6 * against)
    return _fitting(out)


def _phrase_scores(
    vocabulary: Vocabulary, phrase: str, question: str, about: str, aims: Sequence[str]
) -> dict[str, float]:
    """How well columns fit the question's phrase, helped a little by the rest of it and by the description."""
    own = vocabulary.scores(phrase)
    if gloss := glosses(about, phrase, vocabulary.lines):
        for column, score in vocabulary.scores(gloss).items():
            own[column] = own.get(column, 0.0) + GLOSS * score
    if max(own.values(), default=0.0) < UNSURE and (more := said_of(about, phrase, vocabulary.lines)):
        helped = vocabulary.scores(more)
        top = max(helped.values(), default=1.0)
        for column, score in helped.items():
            own[column] = own.get(column, 0.0) + GLOSS * score / top
    for column, score in vocabulary.scores(question).items():
        if column in own:
            own[column] += CONTEXT * score
    for aim in aims:
        helped = vocabulary.scores(aim)
        top = max(helped.values(), default=0.0)
        for column, score in helped.items():
            if score >= 0.5 * top:
                own[column] = own.get(column, 0.0) + AIM * score / len(aims)
    return own


def _aims(about: str) -> list[tuple[str, str]]:
    """Cause and outcome of the first sentences in which a description says what it set out to study."""
    found = []
    for sentence in sentences(plain(about)):
        if len(found) < 2 and len(sentence) < 400 and _AIM.search(sentence):
            read = read_phrases(sentence)
            if read.fits:
                found.append((read.treatment, read.outcome))
    return found


def _by_value(read: Phrases, levels: Mapping[str, Sequence[Any]]) -> set[str]:
    """Columns one of whose values is named in the treatment's phrase."""
    wanted = f" {' '.join(tokens(f'{read.treatment} {read.comparison}'))} "
    found = set()
    for column, values in levels.items():
        for level in values:
            said = " ".join(tokens(level)) if isinstance(level, str) else ""
            if len(said) >= 4 and f" {said} " in wanted:
                found.add(column)
    return found


def _fitting(scores: Mapping[str, float]) -> dict[str, float]:
    """The best 40 of the scores that are large enough to count."""
    fitting = sorted((c for c, s in scores.items() if s >= WEAKEST), key=lambda c: (-scores[c], c))
    return {c: scores[c] for c in fitting[:40]}


def randomised(text: str) -> str | None:
    """The first sentence that says, without negation, that assignment was random."""
    for sentence in re.split(r"(?<=[.!?])\s+|\n+", text):
        for match in _RANDOM.finditer(sentence):
            if not _NOT_RANDOM.search(sentence[: match.start()]):
                return sentence.strip()
    return None


def _ranked(scores: Mapping[str, float], phrase: str, vocabulary: Vocabulary) -> tuple[Match, ...]:
    best = sorted(scores, key=lambda c: (-scores[c], c))[:5]
    return tuple(Match(c, min(scores[c], 1.0), phrase, vocabulary.shared(phrase, c)) for c in best)


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
    return Match(column, min(scores[column], 1.0), phrase, vocabulary.shared(phrase, column),
                 second, min(scores[second], 1.0) if second else 0.0)
