"""What the wording of a question asks beyond its columns: a logarithm, a lag, and the arms that are compared."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from whence.studies.grammar import Phrases
from whence.studies.stems import stem, tokens
from whence.studies.subpopulation import codes
from whence.studies.words import Description, plain

_LOG = re.compile(r"\blog(?:ged|arithms?|arithmic|s)?\b|\bln\b|\blog[- ]", re.IGNORECASE)
_LOG_NAME = re.compile(r"^(?:l|ln|log)_|^(?:ln|log)|(?:_log|_ln)$", re.IGNORECASE)
_UNTREATED = frozenset(stem(w) for w in "control none placebo untreated no never standard usual "
                       "baseline nothing".split())
_LAG = re.compile(
    r"\blag(?:ged)? (?:by |of )?(?P<a>\w+)|"
    r"\bin the (?P<one>preceding|previous|prior|following|next|subsequent) (?:year|month|quarter|week|period|term)|"
    r"\b(?P<b>\w+) (?:years?|months?|quarters?|weeks?|periods?) (?:later|afterwards?|thereafter)", re.IGNORECASE)


def outcome_transform(read: Phrases, outcome: str, described: Description | None) -> str | None:
    """``"log"`` when the question asks for the outcome's logarithm and the column is not one already."""
    if not _LOG.search(read.outcome):
        return None
    already = _LOG_NAME.search(outcome) or (described is not None and _LOG.search(described.text))
    return None if already else "log"


def asked_lag(question: str) -> int | None:
    """How many periods lie between cause and outcome, where the question says so."""
    if match := _LAG.search(plain(question)):
        if match["one"]:
            return 1
        number = stem(match["a"] or match["b"])
        return int(number) if number.isdigit() else 1 if match["a"] else None
    return None


def asked_contrast(
    read: Phrases, levels: Sequence[Any], described: Description | None
) -> tuple[Any, Any | None] | None:
    """The treatment's values that the question compares, (treated, control); None for a column of plain 0 and 1.

    The values are matched by their own words, or by what the description says its codes mean. control is None when the
    question names only one arm and no value is called control or the like.
    """
    known = codes(described.text) if described is not None else {}
    said = {}
    for value in levels:
        words = value if isinstance(value, str) else known.get(float(value), ("", False))[0] if known else ""
        said[value] = frozenset(tokens(words))
    if len(levels) < 2 or not any(said.values()) or (len(levels) == 2 and not any(isinstance(v, str) for v in levels)):
        return None
    treated = _named(said, read.treatment)
    if treated is None:
        return None
    others = {v: w for v, w in said.items() if v != treated}
    control = _named(others, read.comparison) if read.comparison else None
    if control is None:
        control = next((v for v in sorted(others, key=str) if others[v] & _UNTREATED), None)
    if control is None and len(others) == 1:
        control = next(iter(others))
    return treated, control


def _named(said: dict[Any, frozenset[str]], phrase: str) -> Any | None:
    """The value whose words the phrase names most fully, if it names them all or mostly."""
    wanted = frozenset(tokens(phrase))
    shares = {v: len(w & wanted) / len(w) for v, w in said.items() if w}
    best = max(shares.values(), default=0.0)
    fitting = sorted((v for v in shares if shares[v] == best), key=lambda v: (-len(said[v]), str(v)))
    return fitting[0] if best >= 0.5 and fitting else None
