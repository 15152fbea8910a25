"""Words that a description puts beside the question's own: glosses in parentheses, and what it says of a name.

``universal basic income (UBI)`` makes the one stand for the other. Where no column fits a phrase, the sentence of the
description that speaks of it (``The Clean Air Act, passed in Ohio in 1990``) lends its words.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from whence.studies.grammar import read_phrases
from whence.studies.stems import tokens
from whence.studies.words import plain, sentences

_GLOSS = re.compile(r"((?:[\w'-]+ ){1,5})\(([^()=:;,\d]{2,40})\)")
_AIM = re.compile(r"\b(?:effects?|impacts?|influence) of\b|\baffect(?:s|ed)?\b|\binfluence[sd]?\b", re.IGNORECASE)
WINDOW = 14  # content words after the phrase that count as said of it


def glosses(about: str, phrase: str, lines: Collection[str]) -> str:
    """Words that parentheses in the description put beside words of the phrase, either way; empty for none.

    lines: the sentences that describe columns, which are left aside. A short form stands for the words whose initials
    it is, and only for all of them; a name in parentheses stands for the word before it.
    """
    wanted, found = set(tokens(phrase)), []
    for sentence in sentences(plain(about)):
        if sentence in lines:
            continue
        for lead, inside in _GLOSS.findall(sentence):
            spoken = lead.split()
            if inside.isupper() and inside.isalpha():
                meant = spoken[-len(inside):]
                if "".join(w[0] for w in meant).upper() != inside:
                    continue
                long = set(tokens(" ".join(meant)))
                found += [inside] if long <= wanted else [" ".join(meant)] if inside in phrase else []
            elif len(inside.split()) <= 4 and set(tokens(spoken[-1])) & wanted and inside[:1].isupper():
                found.append(inside)
    return " ".join(dict.fromkeys(found))


def said_of(about: str, phrase: str, lines: Collection[str]) -> str:
    """What the first sentence about the phrase's own words goes on to say. lines: those that describe columns."""
    wanted = list(dict.fromkeys(tokens(phrase)))
    for sentence in sentences(plain(about)):
        if sentence in lines:
            continue
        spoken = re.findall(r"[\w'-]+", sentence)
        places = [i for i, word in enumerate(spoken) if set(tokens(word)) & set(wanted)]
        covered = {t for i in places for t in tokens(spoken[i])} & set(wanted)
        if places and len(covered) >= max(1, 0.5 * len(wanted)):
            rest = [w for w in spoken[places[-1] + 1:] if tokens(w)]
            if rest:
                return " ".join(rest[:WINDOW])
    return ""


def aims(about: str) -> list[tuple[str, str]]:
    """Cause and outcome of the first sentences in which a description says what it set out to study."""
    found = []
    for sentence in sentences(plain(about)):
        if len(found) < 2 and len(sentence) < 400 and _AIM.search(sentence):
            read = read_phrases(sentence)
            if read.fits:
                found.append((read.treatment, read.outcome))
    return found
