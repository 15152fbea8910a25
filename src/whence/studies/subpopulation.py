"""For whom: ``among women``, ``households with more than two children``, ``aged 25 to 64``, as conditions.

Only clauses that name people or places are read, and only conditions that some column can decide are returned: a value
that the data hold, a code that the description explains, or a number compared with a numeric column. A vague word such
as ``high`` without a number is no condition.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from whence.identification.spec import Condition
from whence.studies.grammar import Phrases
from whence.studies.lexicon import synonyms
from whence.studies.matching import Vocabulary
from whence.studies.stems import stem, tokens
from whence.studies.words import Description, plain

# People and places that are the whole sample: they name no part of it.
GENERIC = frozenset(stem(w) for w in (
    "people person individual adult child student pupil patient worker employee voter citizen household family mother "
    "father parent participant respondent customer user resident farmer firm company school state country municipality "
    "village county district city applicant candidate teacher infant member subject recipient legislator defendant "
    "consumer client driver region neighborhood hospital borrower owner group sample those population public defined "
    "different area community likely who whose with high low").split())
OPPOSITES = tuple(tuple(frozenset(stem(w) for w in side.split()) for side in pair.split("|")) for pair in (
    "woman female girl|man male boy", "urban city|rural countryside", "married|unmarried single", "employed|unemployed",
    "rich wealthy|poor", "old elderly senior|young youth", "public|private", "native|foreign immigrant"))
_NUMBER = r"(-?\$?\d[\d,]*(?:\.\d+)?)"
_COMPARISONS: tuple[tuple[str, Literal["<", "<=", ">", ">="]], ...] = (
    (r"(?:at least|no less than|no fewer than|minimum of)", ">="), (r"(?:at most|no more than|up to|not more than)",
                                                                       "<="),
    (r"(?:greater than|more than|above|over|exceeding|older than|higher than|larger than|after)", ">"),
    (r"(?:less than|fewer than|below|under|younger than|lower than|smaller than|before)", "<"))
_OR_MORE = re.compile(rf"{_NUMBER}\+?\s*(?:\w+ )?(?:or|and) (more|older|above|over|higher|less|fewer|younger|below|"
                      rf"under|lower)")
_RANGE = re.compile(rf"(?:between )?{_NUMBER}\s*(?:-|–|to|and)\s*{_NUMBER}")
_CODE = (re.compile(r"['\"]?(-?\d+(?:\.\d+)?)['\"]?\s*(?:=|:|for|if|is|indicat\w+|denot\w+|represent\w+|means?|"
                    r"stands? for|"
                    r"stand for)\s+(?:that )?([^,;()=]+?)(?=,|;|\)|\(|$| and ['\"]?\d| or ['\"]?\d|\.(?:\s|$))",
                    re.IGNORECASE),
         re.compile(r"([A-Za-z][\w '-]*?)\s*\(['\"]?(-?\d+)['\"]?\)"))
_NOT = re.compile(r"^(?:not|no|non|without|never|isn't|doesn't|does not|un)\b|\bnot\b", re.IGNORECASE)
_TREATED = re.compile(r"\b(?:actually |who |that |were |have |had )+(?:received|got|treated|participated|enrolled|"
                      r"took|exposed|"
                      r"complied|attended)\b|\bthe treated\b", re.IGNORECASE)
SURE, PLAUSIBLE = 0.9, 0.6


@dataclass(frozen=True)
class Filter:
    """For whom the question asks. conditions: all must hold. sentence: the words. score in [0, 1]: how sure."""

    conditions: tuple[Condition, ...]
    sentence: str
    score: float


def subpopulation(
    read: Phrases, vocabulary: Vocabulary, described: Mapping[str, Description], levels: Mapping[str, Sequence[Any]],
    numeric: Collection[str], taken: Collection[str],
) -> Filter | None:
    """The part of the sample that the question names, or None for all of it.

    levels: the values of the columns with few of them; numeric: columns of plain numbers; taken: the treatment and
    the outcome, which do not select the sample.
    """
    found: dict[Condition, tuple[float, str]] = {}
    for clause in (plain(c) for c in read.population):
        for condition, score in (*_compared(clause, vocabulary, numeric, taken),
                                 *_groups(clause, levels, described, taken)):
            found.setdefault(condition, (score, clause))
    if not found:
        return None
    conditions = tuple(sorted(found, key=lambda c: (c.column, c.operator)))
    said = "; ".join(sorted({clause for _, clause in found.values()}))
    return Filter(conditions, said, min(score for score, _ in found.values()))


def about_the_treated(read: Phrases) -> bool:
    """Whether the question asks for the effect on those who were treated."""
    return any(_TREATED.search(clause) for clause in read.population)


def codes(text: str) -> dict[float, tuple[str, bool]]:
    """What a description says its codes mean: value -> (words, negated). ``1 = male, 0 = female``, ``urban (1)``."""
    found: dict[float, tuple[str, bool]] = {}
    for match in _CODE[0].finditer(plain(text)):
        found.setdefault(float(match[1]), (match[2].strip(), bool(_NOT.search(match[2].strip()))))
    for match in _CODE[1].finditer(plain(text)):
        said = re.split(r",|\bor\b|\band\b|\bwhether\b", match[1])[-1].strip()
        found.setdefault(float(match[2]), (said, bool(_NOT.search(said))))
    return found


def _number(text: str) -> float:
    return float(text.replace(",", "").replace("$", ""))


def _compared(
    clause: str, vocabulary: Vocabulary, numeric: Collection[str], taken: Collection[str]
) -> Iterator[tuple[Condition, float]]:
    """Numbers in a clause, compared with the numeric column that the words before (or after) them name."""
    for start, end, tests in _number_tests(clause):
        before = re.split(rf"\b(?:and|or|with|who|whose|having|those|defined as)\b|{_NUMBER}", clause[:start])[-1] or ""
        wanted = f"{before} {_implied(clause)} {' '.join(clause[end:].split()[:2])}"
        scores = vocabulary.scores(wanted)
        fitting = sorted((c for c in numeric if c not in taken and scores.get(c, 0.0) >= 0.4),
                         key=lambda c: (-scores[c], c))
        if fitting:
            for operator, value in tests:
                yield Condition(fitting[0], operator, value), SURE if scores[fitting[0]] >= 0.5 else PLAUSIBLE
            return


def _number_tests(clause: str) -> Iterator[tuple[int, int, list[tuple[Literal["<", "<=", ">", ">="], float]]]]:
    """Position and comparisons of each number phrase in a clause."""
    if match := _OR_MORE.search(clause):
        more = match[2] in ("more", "older", "above", "over", "higher")
        yield match.start(), match.end(), [(">=" if more else "<=", _number(match[1]))]
        return
    for words, operator in _COMPARISONS:
        if match := re.search(rf"(?:of )?{words}\s+(?:the age of |age )?{_NUMBER}(?!\s*%)", clause, re.IGNORECASE):
            yield match.start(), match.end(), [(operator, _number(match[1]))]
            return
    if match := _RANGE.search(clause):
        low, high = _number(match[1]), _number(match[2])
        if low < high:
            yield match.start(), match.end(), [(">=", low), ("<=", high)]


def _implied(clause: str) -> str:
    """The quantity that a word stands for: ``older than 40`` is about age, ``born after 1980`` about birth."""
    if re.search(r"\bborn\b", clause, re.IGNORECASE):
        return "birth year"
    return "age" if re.search(r"\b(?:aged?|ages|older|younger|years old)\b", clause, re.IGNORECASE) else ""


def _groups(
    clause: str, levels: Mapping[str, Sequence[Any]], described: Mapping[str, Description], taken: Collection[str]
) -> Iterator[tuple[Condition, float]]:
    """Groups named in a clause that a coded column tells apart, the surest column for each."""
    said = tokens(re.sub(rf"\b(?:{'|'.join(w for w, _ in _COMPARISONS)})\b.*", "", clause))
    negated = bool(re.search(r"\b(?:non-|not |without |un)", clause))
    used: set[str] = set()
    for i, token in enumerate(said):
        pair = said[i: i + 2]
        options = []
        for column in sorted(set(levels) - set(taken)):
            text = described[column].text if column in described else ""
            for run in (pair, (token,)):
                if len(run) == 1 and (token in GENERIC or token in used or token.isdigit()):
                    continue
                if (hit := _value(run, column, levels[column], text)) is not None:
                    options.append((-hit[1] - 0.01 * len(run), column, hit[0], run))
        if options:
            strength, column, value, run = min(options, key=lambda o: (o[0], o[1]))
            used.update(run)
            yield Condition(column, "!=" if negated else "==", value), min(-strength, SURE)


def _value(run: Sequence[str], column: str, values: Sequence[Any], text: str) -> tuple[Any, float] | None:
    """The value of a coded column that a group's words mean, and how surely."""
    wanted = frozenset(run)
    for value in values:
        if isinstance(value, str) and not value.isdigit() and frozenset(tokens(value)) == wanted:
            return value, SURE
    if len(values) != 2 or not all(isinstance(v, (int, float)) for v in values):
        return None
    low, high = sorted(values)
    known = codes(text)
    for value in (high, low):
        words, negative = known.get(float(value), ("", False))
        meant = frozenset(tokens(words)) - GENERIC
        if meant and not negative and (wanted == meant or (wanted <= meant and len(meant) <= len(wanted) + 2)):
            return value, SURE
    name = frozenset(tokens(column)) - {stem("status"), stem("indicator"), stem("residence"), stem("dummy")}
    if name == wanted or (len(name) == len(wanted) == 1 and _same_group(*name, *wanted)):
        return high, SURE
    if len(name) == len(wanted) == 1 and _opposite(*name, *wanted):
        return low, SURE
    return None


def _same_group(a: str, b: str) -> bool:
    sides = [side for pair in OPPOSITES for side in pair]
    return any(a in side and b in side for side in sides) or (synonyms(a, b) and not _opposite(a, b))


def _opposite(a: str, b: str) -> bool:
    return any((a in one and b in other) or (a in other and b in one) for one, other in OPPOSITES)
