"""Reading a causal question: which column is the treatment, which the outcome, and how sure that is.

Phrases are found by a few documented sentence patterns and matched to columns by name and by description.
Every match carries its score and the words it rests on; a close call is reported, not hidden.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from whence.studies.words import Description, tokens

_CAUSES = (r"affect|change|influence|impact|alter|shape|increase|raise|reduce|lower|decrease|improve|worsen|boost|cut|"
           r"prevent|cause|make|lead to|result in|help|add|hurt|harm|drive|contribute to|promote|discourage|"
           r"encourage|lengthen|shorten|delay|protect against|bring about|enhance|strengthen|weaken|"
           r"(?:have|has|had) an? (?:\w+ )?(?:effect|impact|influence) on")
# Each pattern names what it finds: t for the treatment's phrase, o for the outcome's. First match wins.
_PATTERNS = tuple(re.compile(p, re.IGNORECASE) for p in (
    r"\b(?:effects?|impacts?|influence|consequences?|benefits?) of (?P<t>.+?) (?:on|for|upon) (?P<o>.+)",
    r"\beffects? (?:does|do|did|will|would) (?P<t>.+?) have on (?P<o>.+)",
    r"\b(?:relationship|relation|association|link) between (?P<t>.+?) and (?P<o>.+)",
    r"\b(?:is|are|was|were) (?P<t>.+?) (?:effective|successful|useful) (?:at|in|for) (?P<o>.+)",
    r"\bhow much (?:more |less |fewer |higher |lower )?(?P<o>[\w\s]+?) (?:does|do|did|will|would|is|are|was|were) "
    rf"(?P<t>.+?) (?:{_CAUSES}|cost|worth)\b",
    r"\bhow much (?:more|less|fewer|higher|lower) (?:did|do|does) (?:\w+ ){0,2}?who (?P<t>.+?) (?P<o>\w+)"
    r"(?: compared.*| than.*)?$",
    rf"\bhow (?:much |strongly |far )?(?:does|do|did|will|would|has|have|is|are) (?P<t>.+?) "
    rf"(?:{_CAUSES})d?s? (?P<o>.+)",
    r"\b(?:does|do|did|will|would|can|could|has|have|is|are) (?P<t>.+?) "
    rf"(?:(?:help(?:s|ed)?|likely|really|actually|tend) (?:to )?)*(?:{_CAUSES})d?s? (?P<o>.+)",
    r"\bwhat (?:happens|would happen|happened) to (?P<o>.+?) (?:if|when|after|because of) (?P<t>.+)",
    r"\b(?P<o>.+?) (?:depend on|depends on|caused by|due to|because of) (?P<t>.+)",
    rf"^(?P<t>.+?) (?:{_CAUSES})d?s? (?P<o>.+)",
))
_RANDOM = re.compile(r"\b(?:randomi[sz]ed|randomly assigned|random assignment|assigned (?:\w+ ){0,3}at random|"
                     r"assigned randomly|randomly (?:selected|chosen|allocated) (?:\w+ ){0,3}(?:to|for) |by lottery|"
                     r"drawn by lot|coin flip)", re.IGNORECASE)
_NOT_RANDOM = re.compile(r"\b(?:not|never|non|without|wasn't|weren't|no|rather than|instead of)\W+(?:\w+\W+){0,2}$",
                         re.IGNORECASE)
_EARLIER = re.compile(r"(?:^|_|\b)(?:prev|previous|prior|pre|baseline|initial|before|past|lag(?:ged)?|earlier)(?:_|\b)",
                      re.IGNORECASE)
CLOSE = 0.9  # a runner-up with at least this share of the best score makes the choice unclear
WEAKEST = 0.15  # a best score below this share of the phrase's weight is no match


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

    randomised: the sentence that says the treatment was assigned at random, or None.
    """

    treatment: Match | None
    outcome: Match | None
    treatment_phrase: str
    outcome_phrase: str
    randomised: str | None


def read_question(
    question: str, columns: Sequence[str], described: Mapping[str, Description], about: str = "",
    binary: Sequence[str] = (), treatment: str | None = None, outcome: str | None = None,
    possible: Callable[[str, str], bool] = lambda t, o: True,
) -> Reading:
    """Match the question's phrases to ``columns`` (those usable as treatment or outcome).

    Both roles are chosen together, as the pair with the highest total score. binary: columns with two values,
    slightly preferred as treatments. treatment, outcome: fixed by the user. possible: whether a treatment can
    affect an outcome at all (by the graph or by time); pairs that cannot are not considered.
    """
    t_phrase, o_phrase = phrases(question)
    vocabulary = _Vocabulary(columns, described)
    t_scores = {treatment: 1.0} if treatment else _role_scores(vocabulary, t_phrase, binary, 1.1)
    if outcome:
        o_scores = {outcome: 1.0}
    else:  # an outcome comes after: last year's value is not it, unless the words say so
        earlier = [] if _EARLIER.search(o_phrase) else [c for c in columns if _EARLIER.search(c)]
        o_scores = _role_scores(vocabulary, o_phrase, earlier, 0.7)
    pairs = {(t, o): t_scores[t] + o_scores[o] for t in t_scores for o in o_scores
             if t != o and ((treatment and outcome) or possible(t, o))}
    said = randomised(f"{about}\n{question}")
    if not pairs:  # one role may still be known, to be named in the refusal
        t = _best(t_scores, t_phrase, vocabulary, treatment) if not o_scores else None
        o = _best(o_scores, o_phrase, vocabulary, outcome) if not t_scores else None
        return Reading(t, o, t_phrase, o_phrase, said)
    best_t, best_o = min(pairs, key=lambda pair: (-pairs[pair], pair))
    t = _best({t: t_scores[t] for t, o in pairs if o == best_o}, t_phrase, vocabulary, treatment, best_t)
    o = _best({o: o_scores[o] for t, o in pairs if t == best_t}, o_phrase, vocabulary, outcome, best_o)
    return Reading(t, o, t_phrase, o_phrase, said)


def _role_scores(
    vocabulary: _Vocabulary, phrase: str, special: Sequence[str], factor: float
) -> dict[str, float]:
    """Scores of the columns that fit the phrase at all; those in ``special`` times ``factor``. The best 40."""
    scores = {c: s * (factor if c in special else 1.0) for c, s in vocabulary.scores(phrase).items()}
    fitting = sorted((c for c, s in scores.items() if s >= WEAKEST), key=lambda c: (-scores[c], c))
    return {c: scores[c] for c in fitting[:40]}


def phrases(question: str) -> tuple[str, str]:
    """The treatment's and the outcome's phrase; the whole question for both when no pattern fits."""
    text = re.sub(r"\s+", " ", question).strip().rstrip("?.! ")
    for pattern in _PATTERNS:
        if match := pattern.search(text):
            t, o = match["t"].strip(), match["o"].strip()
            if tokens(t) and tokens(o):
                return t, o
    return text, text


def randomised(text: str) -> str | None:
    """The first sentence that says, without negation, that assignment was random."""
    for sentence in re.split(r"(?<=[.!?])\s+|\n+", text):
        for match in _RANDOM.finditer(sentence):
            if not _NOT_RANDOM.search(sentence[: match.start()]):
                return sentence.strip()
    return None


class _Vocabulary:
    """Stems of each column's name and description, with rarer stems weighing more."""

    def __init__(self, columns: Sequence[str], described: Mapping[str, Description]) -> None:
        self.names = {c: set(tokens(c)) | {c.lower()} for c in columns}
        self.words = {c: set(tokens(described[c].text)) if c in described else set() for c in columns}
        spread = Counter(w for c in columns for w in self.names[c] | self.words[c])
        self._rarity = {w: math.log(1 + (1 + len(columns)) / n) for w, n in spread.items()}
        self._unseen = math.log(2 + len(columns))

    def scores(self, phrase: str) -> dict[str, float]:
        """Share of the phrase's weight that each column covers: names count fully, descriptions 0.7."""
        wanted = set(tokens(phrase)) or {phrase.lower()}
        verbatim = {w.lower() for w in re.findall(r"[\w.]+", phrase)}
        total = sum(self._rarity.get(w, self._unseen) for w in wanted)
        out = {}
        for column, names in self.names.items():
            if column.lower() in verbatim and len(column) > 1:
                out[column] = 1.0 + len(column) / 1000  # named outright; the longer name is the more exact
                continue
            covered = sum(self._rarity.get(w, self._unseen) * self._fit(w, names, self.words[column]) for w in wanted)
            # Among columns that cover the same words, the one that says less besides them fits better.
            surplus = len(names | self.words[column]) or 1
            out[column] = covered / total * (0.9 + 0.1 / surplus) if total else 0.0
        return out

    def shared(self, phrase: str, column: str) -> tuple[str, ...]:
        names, words = self.names[column], self.words[column]
        return tuple(sorted(w for w in set(tokens(phrase)) if self._fit(w, names, words) > 0))

    @staticmethod
    def _fit(word: str, names: set[str], words: set[str]) -> float:
        if word in names:
            return 1.0
        if any(_alike(word, n) for n in names):
            return 0.9
        if word in words:
            return 0.7
        return 0.5 if any(_alike(word, w) for w in words) else 0.0


def _alike(a: str, b: str) -> bool:
    """Abbreviation or shared beginning: ``educ`` and ``education``, ``78`` and ``1978``."""
    if a.isdigit() and b.isdigit():
        return len(a) != len(b) and (a.endswith(b) or b.endswith(a)) and min(len(a), len(b)) == 2
    short, long = sorted((a, b), key=len)
    return len(short) >= 4 and long.startswith(short)


def _best(
    scores: Mapping[str, float], phrase: str, vocabulary: _Vocabulary, given: str | None, choice: str | None = None
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
