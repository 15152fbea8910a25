"""Words: tokens, stems, and what a description says about each column.

A small reading of plain English, without a language model: enough to match phrases to columns and to find
the sentence that describes a column.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = re.compile(r"[A-Za-z]+|\d+(?:\.\d+)?")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")

STOP_WORDS = frozenset(
    "a an and any are as at be been being by can could did do does for from had has have how if in into is it its "
    "many much more most of on one or over people person than that the their them there these they this those to "
    "was we were what when whether which who whom whose why will with would you your about after all also among "
    "amount average between both but compared each effect impact influence average level number rate variable "
    "column value values measure measured measures indicates indicating represents whether otherwise".split()
)
_SUFFIXES = ("ational", "ization", "isation", "fulness", "ations", "ation", "ments", "ment", "ness", "ings", "ing",
             "ions", "ion", "ees", "ee", "ers", "er", "ies", "ed", "es", "ly", "e", "s", "y")


def stem(word: str) -> str:
    """A crude stem: lower case, one common English ending removed, at least three letters kept."""
    word = word.lower()
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            word = word[: -len(suffix)]
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiouls":
        word = word[:-1]  # quitt -> quit
    return word


def tokens(text: str) -> tuple[str, ...]:
    """Stemmed content words of a phrase or a column name (``wage_1999``, ``jobTraining`` are split)."""
    words = _WORD.findall(_CAMEL.sub(" ", text.replace("_", " ")))
    return tuple(stem(w) for w in words if w.lower() not in STOP_WORDS)


@dataclass(frozen=True)
class Description:
    """What the text says of one column: the sentence or line it came from."""

    column: str
    text: str
    sentence: str


def descriptions(about: str, columns: Sequence[str]) -> dict[str, Description]:
    """Column name -> its description in ``about``, for the columns that have one.

    Two forms are read: a line ``name: text`` (also ``name - text``, ``- name: text``, several names before
    one colon), and otherwise the first sentence that mentions the name as a word.
    """
    found: dict[str, Description] = {}
    wanted = {c.lower(): c for c in columns}
    for line in about.splitlines():
        head, _, tail = _split_entry(line)
        for name in re.split(r"[,/]|\band\b", head):
            key = name.strip().strip("*`'\"•- ").lower()
            if tail and key in wanted and wanted[key] not in found:
                found[wanted[key]] = Description(wanted[key], tail.strip(), line.strip())
    sentences = [s.strip() for s in re.split(r"(?<=[.!?])\s+|\n+", about) if s.strip()]
    for column in columns:
        if column in found:
            continue
        pattern = re.compile(rf"(?<![A-Za-z0-9_]){re.escape(column)}(?![A-Za-z0-9_])", re.IGNORECASE)
        for sentence in sentences:
            if match := pattern.search(sentence):
                found[column] = Description(column, _after_name(sentence, match.end()), sentence)
                break
    return found


def _split_entry(line: str) -> tuple[str, str, str]:
    for mark in (":", " - ", " – ", " — ", "\t", " = "):
        head, found, tail = line.partition(mark)
        if found and len(head) <= 60:
            return head, found, tail
    return line, "", ""


def _after_name(sentence: str, end: int) -> str:
    """The part of the sentence that speaks of the name ending at ``end``: up to the next list item."""
    rest = sentence[end:].lstrip("'\"`*) ")
    return re.split(r";|, '| and '", rest)[0].strip() or sentence
