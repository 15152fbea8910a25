"""Sentences about two variables: statements of (in)dependence, and causal hypotheses.

One statement a sentence, a line, or between semicolons:

    A _||_ B | C, D         A ⫫ B | C          A _/||_ B          not A _||_ B
    A is independent of B given C and D.       A and B are not independent.
    A correlates with B.                       A and B are conditionally independent given C.

"Suppose there is a closed system of 3 variables, A, B and C." names the variables; the sentence that announces
the list is passed over. Names may have several words where no word of the grammar is among them; quoted names may
hold anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from whence.core.errors import WhenceError


@dataclass(frozen=True)
class Statement:
    """a and b are independent, or dependent, given a set (names sorted)."""

    a: str
    b: str
    given: tuple[str, ...] = ()
    independent: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        return (self.a, self.b, *self.given)

    def __str__(self) -> str:
        given = f" given {', '.join(self.given)}" if self.given else ""
        return f"{self.a} is {'independent of' if self.independent else 'dependent on'} {self.b}{given}"


_GIVEN = (r"(?:\s*,?\s+(?:when\s+)?(?:given|conditional(?:ly)?\s+on|conditioned\s+on|conditioning\s+on|"
          r"controlling\s+for|adjusting\s+for)\s+(?P<given>.+))?")
_SYMBOL = r"(?:\|\||⫫|⊥⊥|⊥|⟂|⟂⟂)"
_WORD = r"(?P<word>independent|dependent|uncorrelated|correlated|unrelated|related|associated|unassociated)"
_HOW = r"(?P<no>\s+not)?(?:\s+(?:statistically|conditionally|marginally|unconditionally|mutually))?"
_FORMS = [re.compile(form, re.IGNORECASE) for form in (
    rf"(?P<neg>not\s+)?(?P<a>.+?)\s*(?:_(?P<bar>/)?\|\|_|(?P<slash>/|!|̸)?{_SYMBOL}(?P<over≯)?)\s*(?P<b>[^|]+?)"
    r"\s*(?:\|\s*(?P<given>.+))?",
    rf"(?P<a>.+?)\s+is{_HOW}\s+{_WORD}\s+(?:of|on|from|with|to)\s+(?P<b>.+?){_GIVEN}",
    rf"(?P<a>.+?)\s+and\s+(?P<b>.+?)\s+are{_HOW}\s+{_WORD}(?:\s+(?:of|on|from|with|to)\s+each\s+other)?{_GIVEN}",
    rf"(?P<a>.+?)(?P<no>\s+does\s+not)?\s+(?P<word>correlates?\s+with|depends?\s+on)\s+(?P<b>.+?){_GIVEN}",
)]
_FILLER = re.compile(r"^(?:(?:however|but|also|and|moreover|furthermore|then|while|in addition)\b[,\s]*)+",
                     re.IGNORECASE)
_SYSTEM = re.compile(r"(?:suppose|assume|consider|let)?\b.*\bsystem\s+of\s+\w+\s+variables?\s*[,:]\s*(?P<names>.+)",
                     re.IGNORECASE)
_ANNOUNCES = re.compile(r".*\b(?:relations?|relationships?|statements?)\b.*\b(?:as follows|following|below|these)\b"
                        r"\s*:?", re.IGNORECASE)


def read(source: str | Iterable[str | tuple[Any, ...]]) -> tuple[tuple[Statement, ...], tuple[str, ...]]:
    """The statements, each once, and the variables that the text names. Raises ``WhenceError`` (``bad_statement``)."""
    found: dict[Statement, None] = {}
    named: tuple[str, ...] = ()
    for item in [source] if isinstance(source, str) else source:
        if isinstance(item, Statement):
            found[item] = None
            continue
        if not isinstance(item, str):
            found.update(dict.fromkeys(_from_tuple(item)))
            continue
        for sentence in sentences(item):
            system = _SYSTEM.fullmatch(sentence)
            if system:
                named = tuple(_names(system["names"], sentence))
            elif not _ANNOUNCES.fullmatch(sentence):
                found.update(dict.fromkeys(_statement(sentence)))
    return tuple(found), named


def sentences(text: str) -> list[str]:
    """The sentences of a text, without filler words at the start and the stop at the end."""
    parts = re.split(r"[;\n]|[.:](?=\s|$)", text)
    return [bare for part in parts if (bare := _FILLER.sub("", part.strip()).strip(" ."))]


def _from_tuple(item: tuple[Any, ...]) -> list[Statement]:
    wrong = WhenceError(f"{item!r} is not a statement.", code="bad_statement", value=repr(item),
                        hint='Write ("A", "B", ["C"]) for A independent of B given C; False at the end: dependent.')
    if not isinstance(item, (tuple, list)) or not 2 <= len(item) <= 4:
        raise wrong
    a, b = item[:2]
    given = item[2] if len(item) > 2 else ()
    independent = item[3] if len(item) > 3 else True
    given = (given,) if isinstance(given, str) else given
    if not isinstance(independent, bool) or not isinstance(given, (tuple, list, set, frozenset)) or not all(
            isinstance(n, str) and n for n in (a, b, *given)):
        raise wrong
    return [_made(a, b, list(given), independent, str(item))]


def _statement(sentence: str) -> list[Statement]:
    for form in _FORMS:
        match = form.fullmatch(sentence)
        if match:
            break
    else:
        raise WhenceError(f"This is not a statement about two variables: {sentence!r}.", code="bad_statement",
                          value=sentence,
                          hint='Write "A is independent of B given C", "A correlates with B" or "A _||_ B | C".')
    parts = match.groupdict()
    word = (parts.get("word") or "independent").lower()
    flips = sum(bool(parts.get(key)) for key in ("neg", "bar", "slash", "over", "no"))
    independent = word.startswith(("independent", "un")) != bool(flips % 2)
    given = _names(parts["given"], sentence) if parts.get("given") else []
    return [_made(a, b, given, independent, sentence)
            for a in _names(parts["a"], sentence) for b in _names(parts["b"], sentence)]


def _made(a: str, b: str, given: list[str], independent: bool, sentence: str) -> Statement:
    twice = [n for n in (a, b) if n in given] or ([a] if a == b else [])
    if twice:
        raise WhenceError(f"{twice[0]!r} stands twice in {sentence!r}.", code="bad_statement", value=sentence,
                          hint="A statement is about two variables, given others.")
    first, second = sorted((a, b))
    return Statement(first, second, tuple(sorted(set(given))), independent)


def _names(text: str, sentence: str) -> list[str]:
    """``"A, B and C"`` as names; a quoted name may hold anything."""
    quoted: list[str] = []

    def keep(match: re.Match[str]) -> str:
        quoted.append(match[1])
        return f"\0{len(quoted) - 1}\0"

    text = re.sub(r'"([^"]+)"', keep, text.strip()).strip("{}() ")
    parts = [p.strip() for p in re.split(r"\s*,\s*(?:and\s+)?|\s+and\s+|\s*&\s*", text)]
    out = [re.sub("\0(\\d+)\0", lambda m: quoted[int(m[1])], p) for p in parts if p]
    if not out:
        raise WhenceError(f"A name is missing in {sentence!r}.", code="bad_statement", value=sentence)
    return out


_N = r"(?P<a>.+?)", r"(?P<b>.+?)"
_PAIR = rf"{_N[0]}\s+and\s+{_N[1]}"
_EXISTS = r"(?:there\s+(?:exists?|is|are)\s+)?(?:at\s+least\s+)?(?:one|an?)?\s*"
_OF = r"\s*(?:\([^)]*\)\s*)?(?:of|between|for)\s+" + _PAIR
_HYPOTHESES = [(kind, turn, re.compile(form, re.IGNORECASE)) for kind, turn, form in (
    ("common_cause", False, rf"{_EXISTS}(?:confounders?|common\s+causes?){_OF}"),
    ("common_effect", False, rf"{_EXISTS}(?:colliders?|common\s+effects?){_OF}"),
    ("common_cause", False, rf"{_PAIR}\s+(?:share|have)\s+(?:a\s+|some\s+)?(?:common\s+cause|confounder)"),
    ("common_effect", False, rf"{_PAIR}\s+(?:share|have)\s+(?:a\s+|some\s+)?(?:common\s+effect|collider)"),
    ("indirect", False, rf"{_N[0]}\s+(?:is\s+a\s+cause\s+(?:for|of)|causes)\s+{_N[1]},?\s+but\s+(?:it\s+is\s+)?not\s+"
                        r"(?:a\s+)?direct(?:ly|\s+one)?"),
    ("indirect", False, rf"{_N[0]}\s+(?:influences|affects|causes)\s+{_N[1]}\s+(?:through|via)\s+(?:some\s+|an?\s+)?"
                        r"(?:mediators?|something\s+else|other\s+variables?)(?:\s*\(s\))?"),
    ("indirect", False, rf"{_N[0]}\s+(?:causes\s+something\s+else\s+which|indirectly)\s+causes\s+{_N[1]}"),
    ("parent", True, rf"{_N[0]}\s+is\s+(?:a\s+)?direct(?:ly)?\s+(?:caused\s+by|effect\s+of)\s+{_N[1]}"),
    ("parent", False, rf"{_N[0]}\s+(?:directly\s+(?:causes|affects|influences)|is\s+a\s+(?:direct\s+cause|parent)\s+"
                      rf"(?:of|for))\s+{_N[1]}"),
    ("causes", True, rf"{_N[0]}\s+is\s+(?:an?\s+)?(?:caused\s+by|effect\s+of)\s+{_N[1]}"),
    ("causes", False, rf"{_N[0]}\s+(?:causes|affects|influences|is\s+(?:a\s+cause|an\s+ancestor)\s+(?:of|for))\s+"
                      rf"{_N[1]}"),
)]


def hypothesis(text: str) -> tuple[str, str, str]:
    """The kind of claim (see ``whence.graphs.claims.KINDS``) and its two nodes. Raises ``WhenceError``."""
    bare = " ".join(text.split()).strip(" .")
    for kind, turn, form in _HYPOTHESES:
        match = form.fullmatch(bare)
        if match:
            a, b = (match[name].strip(' "') for name in ("a", "b"))
            return (kind, b, a) if turn else (kind, a, b)
    raise WhenceError(
        f"This is not a hypothesis that can be judged: {text!r}.", code="bad_hypothesis", value=text,
        hint='Write "A directly causes B", "A causes B", "A influences B through some mediators", "There exists at '
             'least one confounder of A and B" or "There exists at least one collider of A and B".',
    )
