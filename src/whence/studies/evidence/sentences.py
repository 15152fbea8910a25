"""Sentences of a description, and whether a phrase in one is denied."""

from __future__ import annotations

import re

_END = re.compile(r"(?<=[.!?;])\s+|\n+|\\n")
_DENIED = re.compile(
    r"\b(?:not|never|no|non|without|isn't|wasn't|weren't|aren't|cannot|nor|neither|lack(?:s|ed|ing)?|absence of|"
    r"rather than|instead of|un)\W+(?:\w+\W+){0,3}$", re.IGNORECASE)


def sentences(text: str) -> list[str]:
    """The sentences and lines of ``text``, without empty ones."""
    return [part.strip() for part in _END.split(text) if part and part.strip()]


def denied(sentence: str, start: int) -> bool:
    """Whether what starts at ``start`` is denied by words shortly before it: ``was not``, ``without any``."""
    return bool(_DENIED.search(sentence[:start]))
