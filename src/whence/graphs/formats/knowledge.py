"""Knowledge as text, one statement a line, both ways.

    # from the protocol
    source: the study protocol, section 4
    tier: age sex
    tier: smoking, "body mass"
    within tiers: no
    require smoking --> "body mass"
    forbid sex --> smoking
"""

from __future__ import annotations

import re

from whence.core.errors import WhenceError
from whence.graphs.formats.edgelist import word
from whence.graphs.formats.scan import Scanner
from whence.graphs.knowledge import Knowledge

_NAME = re.compile(r"(?:(?!-->|->)[^\s,<>\"#])+")
_ARROW = re.compile(r"-->|->|<--(?![>-])|<-(?![>-])")
_BLANK = re.compile(r"(?:\s+|#.*)+")
_HEAD = re.compile(r"(tier|within tiers|source)\s*:|(require|forbid)\b", re.IGNORECASE)


class _Line(Scanner):
    """One line; failures name its number."""

    def __init__(self, text: str, number: int) -> None:
        super().__init__(text, "knowledge")
        self.number = number

    def skip(self) -> None:
        found = _BLANK.match(self.text, self.at)
        if found:
            self.at = found.end()

    def fail(self, expected: str, at: int | None = None) -> WhenceError:
        column = (self.at if at is None else at) + 1
        found = self.text[column - 1 :].strip() or "the end of the line"
        return WhenceError(
            f"Line {self.number}, column {column} of the knowledge: expected {expected}, found {found!r}.",
            code="bad_knowledge", value={"line": self.number, "column": column, "found": found}, allowed=expected,
        )


def read(text: str) -> Knowledge:
    """The statements of ``text``. Raises ``WhenceError`` (``bad_knowledge``) with line and column."""
    tiers: list[tuple[str, ...]] = []
    pairs: dict[str, list[tuple[str, str]]] = {"require": [], "forbid": []}
    within, sources = True, []
    for number, content in enumerate(text.splitlines(), start=1):
        line = _Line(content, number)
        if line.done():
            continue
        head = line.match(_HEAD).rstrip(": \t").lower()
        if head == "tier":
            tiers.append(_names(line))
        elif head == "within tiers":
            within = _yes_or_no(line)
        elif head == "source":
            sources.append(content.split(":", 1)[1].strip())
        elif head in pairs:
            pairs[head] += _arrows(line)
        else:
            raise line.fail('"tier:", "require", "forbid", "within tiers:" or "source:"')
    return Knowledge(tuple(tiers), tuple(pairs["require"]), tuple(pairs["forbid"]), within, "\n".join(sources))


def _names(line: _Line) -> tuple[str, ...]:
    names = []
    while not line.done():
        if not line.take(","):
            names.append(_name(line))
    if not names:
        raise line.fail("at least one name")
    return tuple(names)


def _name(line: _Line) -> str:
    name = line.quoted()
    if name is None:
        name = line.match(_NAME)
    if not name:
        raise line.fail("a name")
    return name


def _yes_or_no(line: _Line) -> bool:
    word = line.match(re.compile(r"yes\b|no\b", re.IGNORECASE)).lower()
    if not word or not line.done():
        raise line.fail("yes or no (whether nodes of one tier may cause each other)")
    return word == "yes"


def _arrows(line: _Line) -> list[tuple[str, str]]:
    """``a --> b``, a chain, or several separated by commas; <-- reads backwards."""
    pairs = []
    while not line.done():
        left = _name(line)
        arrow = line.match(_ARROW)
        if not arrow:
            raise line.fail("--> or <--")
        while arrow:
            right = _name(line)
            pairs.append((left, right) if arrow.endswith(">") else (right, left))
            left, arrow = right, line.match(_ARROW)
        if not line.done() and not line.take(","):
            raise line.fail("a comma or the end of the line")
    if not pairs:
        raise line.fail("an arrow such as a --> b")
    return pairs


def write(knowledge: Knowledge) -> str:
    """Text that ``read`` reads back."""
    lines = [f"source: {part}" for part in knowledge.source.splitlines()]
    lines += ["tier: " + " ".join(word(n) for n in tier) for tier in knowledge.tiers]
    if not knowledge.within_tiers:
        lines.append("within tiers: no")
    lines += [f"require {word(a)} --> {word(b)}" for a, b in knowledge.required]
    lines += [f"forbid {word(a)} --> {word(b)}" for a, b in knowledge.forbidden]
    return "".join(f"{line}\n" for line in lines)
