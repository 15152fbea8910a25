"""How well a phrase fits a column: shared words, synonyms, abbreviations and acronyms, rarer words counting more.

The score of a column is the share of the phrase's weight that its name and description cover, so it lies in [0, 1].
Weights follow the position in the phrase (``grammar.weigh``) and the rarity of the word among the columns (inverse
document frequency: Spärck Jones, A statistical interpretation of term specificity, 1972).
"""

from __future__ import annotations

import difflib
import functools
import math
import re
from collections.abc import Mapping, Sequence

from whence.studies.grammar import LIGHT, weigh
from whence.studies.lexicon import abbreviations, groups, synonyms
from whence.studies.stems import tokens, words
from whence.studies.words import Description

# How much a match of a kind is worth, in names and in descriptions.
SAME, FORM, SHORT, PART, SYNONYM = 1.0, 0.9, 0.85, 0.8, 0.7
COMPOUND = 0.7  # ``callback`` and ``call``
IN_TEXT, LATER_IN_TEXT = 0.85, 0.6
AIMED = 0.3  # of the score depends on how little else the column says
INHERITED = 0.45  # a word from the description of a column that this one is made of
HEAD_MISSED = 0.8  # ``hourly`` alone does not make a column the ``hourly pay``
UNSEEN = 0.5  # a word that fits no column: it lowers every score alike, but less than a word that tells columns apart
MISSPELT = 0.85  # share of matching letters from which an unknown word is taken for a known one
_CODES = re.compile(r"[(;]|\b(?:binary|dummy)\b|\d\s*=|=\s*\d|\bwhere\b|\bwith '?[01]'?\b|, (?:and )?0\b|"
                    r"\b(?:after|before|prior to|during|when|used (?:for|to|in))\b")
_TAILS = frozenset("back care hold load time land line out off up down room mate side book".split())
_ENDINGS = frozenset(
    "r er or at iv al ion ic ist ant ent anc enc abl ibl i ing ment s l ti ar ari ori ian n an iti it if ifi "
    "iz ul ur y t e ed".split())


class Vocabulary:
    """Stems of each column's name and description, and how well any phrase fits each column."""

    def __init__(self, columns: Sequence[str], described: Mapping[str, Description]) -> None:
        self.columns = tuple(sorted(columns))
        self.names = {c: tuple(dict.fromkeys(_name_tokens(c))) for c in self.columns}
        self.texts = {c: _text_tokens(described[c]) if c in described else {} for c in self.columns}
        for column in self.columns:  # "the average of height_1 and height_2" speaks of what these hold
            for other in _others(column, described, self.columns):
                for word in _text_tokens(described[other]) if other in described else ():
                    self.texts[column].setdefault(word, INHERITED)
        self.lines = frozenset(d.sentence for d in described.values() if d.form == "entry")
        self._plain_words = {t for text in self.texts.values() for t in text}
        self._known = sorted({w for name in self.names.values() for w in name} | self._plain_words)
        self._short_names: dict[str, list[str]] = {}
        for column in self.columns:
            for part in re.split(r"[\s_.\d]+", column.lower()):
                if 2 <= len(part) <= 6 and part not in groups():
                    self._short_names.setdefault(part, []).append(column)
        self._scores: dict[tuple[str, bool], dict[str, float]] = {}
        self._fits: dict[str, dict[str, float]] = {}

    def fits(self, token: str) -> dict[str, float]:
        """Column -> how well one word fits it, for the columns it fits."""
        if token not in self._fits:
            by_word: dict[str, float] = {}
            found: dict[str, float] = {}
            for column in self.columns:
                best = 0.0
                for word in self.names[column]:
                    best = max(best, self._in_name(token, word))
                for word, worth in self.texts[column].items():
                    if worth > best:
                        if word not in by_word:
                            by_word[word] = _alike(token, word)
                        best = max(best, by_word[word] * worth)
                if best:
                    found[column] = best
            if not found and len(token) >= 6 and (near := difflib.get_close_matches(token, self._known, 1, MISSPELT)):
                found = {c: FORM * f for c, f in self.fits(near[0]).items()}
            self._fits[token] = found
        return self._fits[token]

    def _in_name(self, token: str, word: str) -> float:
        fit = _alike(token, word)
        if len(word) >= 4 and token.startswith(word) and (token[len(word):] in groups() or token[len(word):] in _TAILS):
            return max(fit, COMPOUND)
        if fit >= FORM or (word in self._plain_words and len(word) > 3):
            return fit
        if word in abbreviations() and token in abbreviations()[word]:
            return SHORT
        if len(word) >= 3 and len(token) > len(word) and token.startswith(word) and word not in groups():
            return max(fit, SHORT if len(word) >= 4 else 0.7)
        if len(token) >= 4 and len(word) >= len(token) + 2 and token in word and not token.isdigit():
            return max(fit, PART)
        if len(token) == 3 and len(word) >= 6 and token in groups() and word.endswith(token):
            return max(fit, PART)
        return fit

    def scores(self, phrase: str, headed: bool = False) -> dict[str, float]:
        """Column -> share of the phrase's weight that it covers, for the columns that cover any.

        headed: whether a column that leaves out the head of the phrase counts for less.
        """
        if (phrase, headed) not in self._scores:
            self._scores[phrase, headed] = self._covered(phrase, headed)
        return dict(self._scores[phrase, headed])

    def _covered(self, phrase: str, headed: bool) -> dict[str, float]:
        weights = weigh(phrase)
        if not weights:
            return {}
        covered = dict.fromkeys(self.columns, 0.0)
        explained: dict[str, set[str]] = {c: set() for c in self.columns}
        total, acronyms = 0.0, self._acronyms(phrase)
        for token, weight in weights.items():
            fits = dict(self.fits(token))
            for column, stands_for in acronyms.items():
                if token in stands_for:
                    fits[column] = max(fits.get(column, 0.0), SHORT)
            alike = sum(1 for f in fits.values() if f >= 0.5)
            n = len(self.columns)
            rarity = math.log(1 + (1 + n) / alike) if alike else UNSEEN * math.log(2 + n)
            weight *= rarity
            total += weight
            for column, fit in fits.items():
                covered[column] += weight * fit
                explained[column].add(token)
        head = max(weights, key=lambda t: (weights[t], t))
        if headed and any(head in words for words in explained.values()):
            covered = {c: w * (1.0 if head in explained[c] else HEAD_MISSED) for c, w in covered.items()}
        named = self._named(phrase)
        return {c: max(named.get(c, 0.0), covered[c] / total * (1 - AIMED + AIMED * self._aimed(c, explained[c])))
                for c in self.columns if covered[c] > 0 or c in named}

    def _aimed(self, column: str, explained: set[str]) -> float:
        """Share of the column's own words that the phrase explains: a column that says little else fits better."""
        name = [w for w in self.names[column] if not w.isdigit()]
        shares = []
        if name:
            shares.append(sum(1 for w in name if any(self._in_name(t, w) for t in explained)) / len(name))
        first = self._first(column)
        if first:
            shares.append(sum(1 for w in first if any(_alike(t, w) for t in explained)) / len(first))
        return max(shares, default=0.0)

    def _first(self, column: str) -> frozenset[str]:
        """The stems of the first part of a description."""
        return frozenset(w for w, worth in self.texts[column].items() if worth == IN_TEXT)

    def _named(self, phrase: str) -> dict[str, float]:
        """Columns named outright: an unusual name as a word of the phrase, or the whole phrase."""
        verbatim = {w.strip("'\"().,").lower() for w in phrase.split()}
        quoted = {q.lower() for q in re.findall(r"['\"]([^'\"]+)['\"]", phrase)}
        content = [t for t in tokens(phrase) if t not in LIGHT]
        whole_phrase = frozenset(tokens(phrase))
        found = {}
        for column in self.columns:
            low = column.lower()
            unusual = bool(re.search(r"[_\d.]|[a-z][A-Z]", column)) or (column.isupper() and column in phrase.split())
            whole = low == re.sub(r"^(?:the|a|an) ", "", phrase.lower().strip())
            if whole or low in quoted or (len(low) > 1 and unusual and low in verbatim):
                found[column] = 1.0 + len(column) / 1000  # the longer name is the more exact
            elif whole_phrase and whole_phrase in (frozenset(self.names[column]), self._first(column)):
                found[column] = 1.0
            elif content and tuple(content) == self.names[column]:
                found[column] = 0.85
        return found

    def _acronyms(self, phrase: str) -> dict[str, set[str]]:
        """Columns whose name is the initials of neighbouring words of the phrase, with the stems of those words."""
        spelt = [w for w in words(phrase) if w.lower() not in ("the", "a", "an")]
        found: dict[str, set[str]] = {}
        for n in range(2, 7):
            for i in range(len(spelt) - n + 1):
                run = spelt[i: i + n]
                for column in self._short_names.get("".join(w[0] for w in run).lower(), ()):
                    found.setdefault(column, set()).update(tokens(" ".join(run)))
        return found

    def shared(self, phrase: str, column: str) -> tuple[str, ...]:
        """The stems of the phrase that the column covers."""
        return tuple(sorted(t for t in set(tokens(phrase)) if column in self.fits(t)))


def _others(column: str, described: Mapping[str, Description], columns: Sequence[str]) -> list[str]:
    """The columns that the description of one names, where their names are no plain words."""
    told = set(re.findall(r"[\w.]+", described[column].text)) if column in described else set()
    return [c for c in columns if c != column and c in told and (len(c) > 4 or not c.isalpha()) and c not in groups()]


def _name_tokens(column: str) -> list[str]:
    """Stems of a name; a two-digit pair such as ``2225`` counts as both parts."""
    found = list(tokens(column)) or [column.lower()]
    for token in tuple(found):
        if len(token) == 4 and token.isdigit() and not 1800 <= int(token) <= 2100:
            found += [token[:2], token[2:]]
    return found


def _text_tokens(description: Description) -> dict[str, float]:
    """Stem -> worth: what comes first in a description counts more than codes and remarks after it."""
    text = description.text
    cut = _CODES.search(text)
    first, rest = (text[: cut.start()], text[cut.start():]) if cut and cut.start() > 3 else (text, "")
    worth, later = (IN_TEXT, LATER_IN_TEXT) if description.form != "mention" else (0.6, 0.45)
    found = dict.fromkeys(tokens(first), worth)
    if not found:
        found, rest = dict.fromkeys(tokens(text), worth), ""
    for token in tokens(rest):
        found.setdefault(token, later)
    return found


@functools.lru_cache(maxsize=200_000)
def _alike(a: str, b: str) -> float:
    """How nearly two stems are one word: the same, another form, a year in two digits, or a synonym."""
    if a == b:
        return SAME
    if a.isdigit() or b.isdigit():
        year = len(a) != len(b) and min(len(a), len(b)) == 2 and max(len(a), len(b)) == 4
        return FORM if year and (a.endswith(b) or b.endswith(a)) else 0.0
    short, long = sorted((a, b), key=len)
    if len(short) >= 4 and long.startswith(short) and long[len(short):] in _ENDINGS:
        return FORM
    return SYNONYM if synonyms(a, b) else 0.0
