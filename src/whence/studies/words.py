"""What a free text says of each column: lists, tables, parentheses and plain sentences.

A small reading of plain English, without a language model: it finds the part of the text that speaks of a column,
under its own name, with spaces for underscores, or slightly misspelt.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from whence.studies.stems import STOP_WORDS, stem, tokens

__all__ = ["STOP_WORDS", "Description", "bare", "descriptions", "plain", "sentences", "stem", "tokens"]

_QUOTES = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "‑": "-", "‐": "-", "\u00a0": " ", "`": "'"})
_BULLET = re.compile(r"^\s*(?:[-*•–—·]\s+|\(?\d{1,3}[.)]\s+)?")
_MARKS = re.compile(r"\s*(?::=|:|\t+|(?<=\s)[-–—](?=\s)|->|→|(?<![<>=!])=(?!=))\s*")
_WRAPPED = " \t*'\"|[]"
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')]*\s+(?=[A-Z\"'(0-9*•-])|\n+")
_LEADING = re.compile(
    r"^(?:\W|(?:which|that|is|are|was|were|a|an|the|variable|column|field|represents?|representing|indicates?|"
    r"indicating|denotes?|denoting|records?|recording|shows?|showing|measures?|measuring|refers? to|stands? for|gives?|"
    r"captures?|contains?|signifies|means?|reflects?|describes?|reports?|tells?|says?|notes?|specifies|identifies)\b)+",
    re.IGNORECASE)
_RUN = re.compile(r"\b([A-Za-z_]+?)(\d+)\s*(?:-|–|—|to|through|\.{2,3}|…)\s*([A-Za-z_]*?)(\d+)\b")
LIKE_ENOUGH = 0.86  # share of matching letters from which a misspelt name in a list is taken for a column's


@dataclass(frozen=True)
class Description:
    """What the text says of one column: the part about it, and the sentence or line it came from.

    form: how it was found: ``entry`` (a list or table), ``aside`` (in or before parentheses), ``prose`` (after the
    name in a sentence), ``mention`` (a sentence or clause that speaks of it).
    """

    column: str
    text: str
    sentence: str
    form: str = "entry"


def plain(text: str) -> str:
    """The text with typographic quotes, hyphens and spaces made plain and written-out line breaks made real."""
    return text.translate(_QUOTES).replace("\\n", "\n").replace("\r", "\n")


def bare(text: str) -> str:
    """A description without its opening words (``represents the``, ``is a variable that indicates``)."""
    return _LEADING.sub("", text)


def sentences(text: str) -> list[str]:
    """Sentences and lines, without surrounding space."""
    return [s.strip() for s in _SENTENCE_END.split(text) if s and s.strip()]


def descriptions(about: str, columns: Sequence[str]) -> dict[str, Description]:
    """Column name -> its description in ``about``, for the columns that have one.

    Read in this order: list entries (``name: text``, ``name = text``, ``- name - text``, several names before one
    mark, rows of a table), entries within a line (``a: text, b: text``), entries whose name is slightly misspelt,
    parentheses after or around the name, the words after the name, and last a clause with all words of the name.
    """
    about = plain(about)
    names = {_key(c): c for c in sorted(columns, reverse=True) if _key(c)}
    found: dict[str, Description] = {}
    loose: list[tuple[str, str, str]] = []
    for line in _lines(about):
        _entries(line, names, found, loose)
    for line in about.splitlines():
        _within_line(line, names, found)
    for head, tail, line in loose:
        _misspelt(head, tail, line, names, found)
    _runs(about, names, found)
    spoken = sentences(about)
    found |= _mentions(spoken, [c for c in names.values() if c not in found], names)
    missed = [c for c in names.values() if c not in found and len(set(tokens(c))) >= 2]
    if missed:
        found |= _clauses(spoken, missed)
    return found


def _key(name: str) -> str:
    return re.sub(r"[\s_.]+", "_", name.strip(_WRAPPED)).lower()


def _lines(about: str) -> Iterator[str]:
    """Lines, with a line that goes on in lower case joined to the one before."""
    held = ""
    for line in about.splitlines():
        goes_on = held and line[:1].islower() and not _MARKS.search(line[:60]) and _MARKS.search(held[:80])
        if goes_on and not held.rstrip().endswith((".", ":")):
            held += " " + line.strip()
            continue
        if held:
            yield held
        held = line
    if held:
        yield held


def _entries(
    line: str, names: Mapping[str, str], found: dict[str, Description], loose: list[tuple[str, str, str]]
) -> None:
    """A line that describes one column or several: head, mark, text; or a row of a table."""
    body = _BULLET.sub("", line, count=1)
    if line.count("|") >= 2:
        cells = [c.strip(_WRAPPED) for c in line.strip().strip("|").split("|")]
        heads, tail = cells[:1], "; ".join(c for c in cells[1:] if c)
    else:
        mark = _MARKS.search(body)
        if mark is None or mark.end() == len(body):
            return
        head, tail = body[: mark.start()], body[mark.end():].strip()
        if len(head) > 60 and not re.search(r"[,/]", head):
            return
        aside = re.search(r"\s*[(\[]([^)\]]*)[)\]]\s*\**$", head)
        if aside and _key(head) not in names:
            head, tail = head[: aside.start()], f"{tail} ({aside[1]})"
        whole = _key(head)
        heads = [head] if whole in names else [h for h in re.split(r"[,/;]|\band\b|&", head) if h.strip()]
        if len(heads) > 1 and sum(_key(h) in names for h in heads) < 0.6 * len(heads):
            return
    for part in heads:
        key = _key(part)
        if key in names and tail:
            told = found.get(names[key])
            if told is None or told.text.startswith(tail):  # told twice: the shorter has nothing run on to it
                found[names[key]] = Description(names[key], tail, line.strip())
        elif key and key not in names and tail and len(heads) == 1 and len(key) >= 4:
            loose.append((key, tail, line.strip()))


def _within_line(line: str, names: Mapping[str, str], found: dict[str, Description]) -> None:
    """Entries inside a line: ``age: age in years, urban: whether the person lives in a town``."""
    starts = [(m.start(), m.end(), names[_key(m[1])]) for m in re.finditer(r"(?<![\w.])'?([\w.]+)'?\s*[:=]\s+", line)
              if _key(m[1]) in names and not m[1].isdigit()]
    for i, (_, end, column) in enumerate(starts):
        if column in found:
            continue
        stop = starts[i + 1][0] if i + 1 < len(starts) else len(line)
        text = sentences(line[end:stop] + "\n")
        if text and text[0].strip(" ,;.") and len(starts) > 1:
            found[column] = Description(column, text[0].strip(" ,;."), line[max(0, starts[i][0]):stop].strip())


def _misspelt(
    head: str, tail: str, line: str, names: Mapping[str, str], found: dict[str, Description]
) -> None:
    free = sorted(k for k, c in names.items() if c not in found and len(k) >= 4)
    near = difflib.get_close_matches(head, free, n=2, cutoff=LIKE_ENOUGH)
    digits = re.sub(r"\D", "", head)
    near = [k for k in near if re.sub(r"\D", "", k) == digits]
    if len(near) == 1:
        found[names[near[0]]] = Description(names[near[0]], tail, line)


def _runs(about: str, names: Mapping[str, str], found: dict[str, Description]) -> None:
    """Numbered columns told of as a run: ``the confounders x1-x25 correspond to ...``."""
    for sentence in sentences(about):
        for run in _RUN.finditer(sentence):
            first, last = int(run[2]), int(run[4])
            if (run[3] and run[3] != run[1]) or not first < last <= first + 500:
                continue
            for i in range(first, last + 1):
                column = names.get(f"{run[1]}{i}".lower())
                if column is not None and column not in found:
                    found[column] = Description(column, sentence[: run.start()].strip(" ("), sentence, "mention")


def _mentions(spoken: Sequence[str], wanted: Sequence[str], names: Mapping[str, str]) -> dict[str, Description]:
    """The best mention of each wanted column in sentences: parentheses first, then the words after it."""
    found: dict[str, list[Description]] = {}
    low = "\n".join(spoken).lower()
    here = [c for c in names.values() if all(part in low for part in _parts(c.lower()))]  # saves compiling the rest
    wanted = [c for c in wanted if c in set(here)]
    patterns = {c: _pattern(c) for c in wanted}
    longest_first = sorted(here, key=lambda c: (-len(c), c))
    every = re.compile("|".join(_pattern(c).pattern for c in longest_first if wanted) or "$^", re.IGNORECASE)
    for sentence in spoken:
        for column in wanted:
            for match in patterns[column].finditer(sentence):
                exact = match[0] == column or "'" in sentence[max(0, match.start() - 1):match.start()]
                if len(column) == 1 and not (match[0] == column and _set_off(sentence, match)):
                    continue
                said = _said(sentence, match, every)
                if said is not None:
                    text, form = said
                    plain_word = not exact or (column.isalpha() and column.islower() and form == "prose"
                                               and sentence[match.start() - 1:match.start()] != "'")
                    form = "mention" if form == "prose" and plain_word else form
                    found.setdefault(column, []).append(Description(column, text, sentence, form))
    return {c: _best(several) for c, several in found.items()}


def _parts(column: str) -> list[str]:
    return [p for p in re.split(r"[\s_.]+", column.strip()) if p]


def _pattern(column: str) -> re.Pattern[str]:
    parts = [re.escape(p) for p in _parts(column)]
    return re.compile(r"(?<![A-Za-z0-9_])" + r"[\s_.]+".join(parts or ["$^"]) + r"(?![A-Za-z0-9_])", re.IGNORECASE)


def _set_off(sentence: str, match: re.Match[str]) -> bool:
    """Whether a one-letter name is marked as one: quoted, in parentheses, or a capital before a verb."""
    before, after = sentence[:match.start()].rstrip()[-1:], sentence[match.end():].lstrip()
    verb = re.match(r"(?:is|are|was|denotes?|represents?|indicates?|equals?|=|:)", after)
    return (before in "('\"," and after[:1] in ")'\",;:") or bool(verb and (not before or match[0].isupper()))


def _said(sentence: str, match: re.Match[str], every: re.Pattern[str]) -> tuple[str, str] | None:
    """What a sentence says at one mention of a column, and in which form."""
    before, after = sentence[: match.start()].rstrip("'\"* "), sentence[match.end():].lstrip("'\"* ")
    if after.startswith("("):
        inside = after[1:].split(")")[0].strip()
        if len(inside.split()) >= 2 and not every.fullmatch(inside):
            return inside, "aside"
    if before.endswith("("):
        lead = re.split(r"[,;:()]|\band\b", before[:-1].strip())[-1].strip()
        rest = after.split(")")[0].strip(" ,;:'\"")
        if len(lead) >= 3:
            return (f"{lead} ({rest})" if rest else lead), "aside"
    if " " in match[0] and re.match(r"[,;)]|status[,;)]", after):  # one of a list: the item is all that is said
        item = re.split(r"[,;:()]|\band\b", before)[-1].strip()
        return f"{item} {match[0]}".strip(), "prose"
    following = next((m for m in every.finditer(after) if _unmistakable(after, m)), None)
    text = after[: following.start()] if following else after
    text = re.split(r";|, '| and '|, and (?:the )?'", text)[0]
    text = text.strip(" ,;.('\"")
    if len(text) < 3:
        return None
    return text, "prose"


def _unmistakable(text: str, match: re.Match[str]) -> bool:
    """Whether a column is meant and not a plain word: an unusual name as written, a quoted one, an item of a list."""
    name, before, after = match[0], text[: match.start()].rstrip(), text[match.end():]
    if re.search(r"[_\d]|[a-z][A-Z]", name) or text[match.start() - 1: match.start()] in ("'", '"'):
        return " " not in name or text[match.start() - 1: match.start()] in ("'", '"')
    return before.endswith((",", ";")) and bool(re.match(r"'?\s*(?:,|\(|:|=)", after))


def _best(several: Sequence[Description]) -> Description:
    order = {"aside": 0, "prose": 1, "mention": 2}
    ranked = sorted(several, key=lambda d: order[d.form])
    best = ranked[0]
    more = [d.text for d in ranked[1:3] if d.form == best.form and d.text != best.text and d.form != "mention"]
    return Description(best.column, ". ".join([best.text, *more]), best.sentence, best.form)


def _clauses(spoken: Sequence[str], wanted: Sequence[str]) -> dict[str, Description]:
    """For columns named by two words or more, the shortest clause, or else short sentence, that holds all its words."""
    clauses = [(c.strip(), s) for s in spoken for c in re.split(r"[,;()]|\band\b", s) if c.strip()]
    places = [(c, s, set(tokens(c))) for c, s in clauses]
    whole = [(s, s, set(tokens(s))) for s in spoken if len(s) <= 250]
    found = {}
    for column in wanted:
        parts = set(tokens(column))
        holding = ([(c, s) for c, s, held in places if parts <= held]
                   or [(c, s) for c, s, held in whole if parts <= held])
        if holding:
            clause, sentence = min(holding, key=lambda pair: (len(pair[0]), pair))
            found[column] = Description(column, clause, sentence, "mention")
    return found
