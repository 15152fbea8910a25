"""Evidence from the words of a description and a question, sentence by sentence."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence

from whence.studies.evidence.evidence import Evidence
from whence.studies.evidence.hints import MEASURES, MEDIATOR, POST, RUNNING, hint, said_of
from whence.studies.evidence.lexicon import CUES
from whence.studies.evidence.sentences import denied, sentences
from whence.studies.words import Description, tokens

MOST = 8.0  # nats that words alone can give to a design
NAMES = {
    "rct": "treatment was assigned by chance", "adjustment": "treatment was not assigned but observed",
    "iv": "something was assigned or moved the treatment from outside", "rdd": "a cutoff decided who was treated",
    "did": "treatment began at some time for some", "frontdoor": "the effect passes through something measured",
}
_LIMIT = re.compile(
    r"(?:above|below|over|under|exceed(?:s|ing|ed)?|at least|at most|more than|less than|fewer than|greater than|"
    r"within|cut-?off (?:of|at|is|was|score of)|threshold (?:of|at|is|was)|turn(?:s|ed|ing)?)\s+(?:a |the |age )?[$€£]?"
    r"(?P<a>-?\d[\d,]*(?:\.\d+)?)|[$€£]?(?P<b>-?\d[\d,]*(?:\.\d+)?)(?: \w+){0,2} or (?:higher|more|above|older|lower|"
    r"less|below|younger|greater|fewer)|(?P<c>\d+)(?:st|nd|rd|th) birthday", re.IGNORECASE)


def words_of_design(
    question: str, about: str, columns: Sequence[str] = (), described: Mapping[str, Description] | None = None,
    amounts: Sequence[str] | None = None,
) -> tuple[Evidence, ...]:
    """One piece of evidence per design that the words speak for; the more kinds of words, the stronger.

    A sentence that denies chance (``was not randomised``) speaks for adjustment. columns, described: to name the
    running variable (one of ``amounts``, if given) and the mediator that a sentence speaks of.
    """
    described = described or {}
    of = {"rdd": columns if amounts is None else amounts}
    return tuple(_evidence(design, hits, of.get(design, columns), described) for design, hits in _hits(question, about))


@functools.lru_cache(maxsize=8)  # one text is read for several pairs of columns
def _hits(question: str, about: str) -> tuple[tuple[str, list[tuple[float, str, str]]], ...]:
    """Design to the weight, words and sentence of every cue that speaks for it."""
    found: dict[str, list[tuple[float, str, str]]] = {}
    asked = sentences(question)
    for sentence in (*asked, *sentences(about)):
        for cue in CUES:
            match = cue.pattern.search(sentence)
            if match is None or (sentence in asked and not cue.asked):
                continue
            if not denied(sentence, match.start()):
                found.setdefault(cue.design, []).append((cue.weight, match[0], sentence))
            elif cue.design == "rct":
                found.setdefault("adjustment", []).append((cue.weight, match[0], sentence))
    return tuple(sorted(found.items()))


def _evidence(
    design: str, hits: list[tuple[float, str, str]], columns: Sequence[str], described: Mapping[str, Description]
) -> Evidence:
    distinct = {words.lower(): (weight, words, sentence) for weight, words, sentence in reversed(hits)}
    ordered = sorted(distinct.values(), key=lambda hit: (-hit[0], hit[1].lower()))
    strength = sum(weight / 2**i for i, (weight, _, _) in enumerate(ordered[:4]))
    _, words, sentence = ordered[0]
    proposed: dict[str, tuple[str, ...]] = {}
    cutoff = None
    if design == "rdd":
        spoken = [s for _, _, s in ordered]
        proposed, cutoff = _running(spoken, columns, described)
    elif design == "frontdoor":
        through = [c for c in sorted(columns) if hint(said_of(c, described), MEDIATOR)[0]]
        proposed = {"mediators": tuple(through)} if through else {}
    elif design == "did":
        posts = {c: hint(said_of(c, described), POST)[0] for c in sorted(columns)}
        named = tuple(sorted((c for c in posts if posts[c] >= 2.0), key=lambda c: (-posts[c], c)))
        proposed = {"time": named, "post": named} if named else {}
    return Evidence(design, min(strength, MOST), "words", f"The description says {words!r}: {NAMES[design]}.", proposed,
                    cutoff, sentence, {"words": [w for _, w, _ in ordered[:4]]})


def _running(
    spoken: Sequence[str], columns: Sequence[str], described: Mapping[str, Description]
) -> tuple[dict[str, tuple[str, ...]], float | None]:
    """The columns that the sentences about a cutoff speak of, likeliest first, and the number they name."""
    scores = {}
    for column in sorted(columns):
        said = hint(said_of(column, described), RUNNING)[0] / 4
        near = max((_named(column, sentence) for sentence in spoken), default=0.0)
        near += any(after.search(sentence) and called.search(said_of(column, described))
                    for after, called in MEASURES for sentence in spoken)
        if near + said >= 0.6:
            scores[column] = near + said
    ranked = tuple(sorted(scores, key=lambda c: (-scores[c], c))[:3])
    for sentence in spoken:
        if match := _LIMIT.search(sentence):
            number = next(g for g in match.groups() if g is not None)
            return ({"running_variable": ranked} if ranked else {}), float(number.replace(",", ""))
    return ({"running_variable": ranked} if ranked else {}), None


def _named(column: str, sentence: str) -> float:
    """How far a sentence names a column: 1.5 as it is written, else the share of its stems that occur."""
    if re.search(rf"(?<![A-Za-z0-9_]){re.escape(column)}(?![A-Za-z0-9_])", sentence):
        return 1.5 if len(column) > 2 else 0.5
    stems = set(tokens(column))
    return len(stems & set(tokens(sentence))) / len(stems) if stems else 0.0
