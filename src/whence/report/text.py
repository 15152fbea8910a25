"""Sentences that know which of their words are column names and which are key numbers.

A sentence is a string in which such words stand between private-use characters. A terminal gets them
``plain``; a page gets tags. What comes from data cannot forge a mark: marks inside a name are removed.
"""

from __future__ import annotations

import re
import unicodedata

_MARKS = {"name": ("\ue000", "\ue001"), "key": ("\ue002", "\ue003")}
_ALL = re.compile("[\ue000-\ue003]")


def name(value: object) -> str:
    """A column or one of its values, marked as such; control characters are spelled out."""
    text = "".join(c if not unicodedata.category(c).startswith("C") or c in "\u200c\u200d" else _spelled(c)
                   for c in str(value))
    return _MARKS["name"][0] + text + _MARKS["name"][1]


def key(text: str) -> str:
    """A number that the eye should find."""
    return _MARKS["key"][0] + text + _MARKS["key"][1]


def plain(text: str) -> str:
    """The sentence without marks."""
    return _ALL.sub("", text)


def html(text: str) -> str:
    """The sentence as HTML: escaped, with names and key numbers in tags of their own."""
    from markupsafe import Markup, escape

    tagged = str(escape(text))
    for word, (start, end) in _MARKS.items():
        tag = {"name": "var", "key": "strong"}[word]
        tagged = re.sub(f"{start}([^{start}{end}]*){end}", rf"<{tag}>\1</{tag}>", tagged)
    return Markup(_ALL.sub("", tagged))


def typeset(text: str) -> str:
    """A sentence from elsewhere, with minus signs in place of hyphens before numbers."""
    return re.sub(r"(?<![\w.)-])-(?=\.?\d)", "\u2212", str(text))


def _spelled(character: str) -> str:
    return "" if _ALL.match(character) else character.encode("unicode_escape").decode()
