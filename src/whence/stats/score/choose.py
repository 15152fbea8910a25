"""Picks the score that fits the kinds of the columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whence.core.errors import WhenceError
from whence.core.registry import find_card, load_function
from whence.data.table import CODED, NUMERIC, Table
from whence.stats.score.score import Score


def score(table: Table, names: tuple[str, ...], method: str = "auto", given: Mapping[str, Any] | None = None) -> Score:
    """The score of graphs over the columns ``names``.

    method: a score's card, or ``"auto"``: BDeu for columns with levels, extended BIC for numbers; ``"bayes"`` for
    BGe with numbers, so that scores are log probabilities. given: parameters of its card; None values mean its
    defaults. Raises ``WhenceError``: ``unknown_method``, ``unknown_parameter``,
    ``wrong_kind`` for columns the score does not take.
    """
    kinds = {name: table.kind(name) for name in names}
    if method in ("auto", "bayes"):
        numbers = "gaussian_bic" if method == "auto" else "bge"
        method = "bdeu" if set(kinds.values()) <= CODED else numbers
        if set(kinds.values()) - CODED and set(kinds.values()) - NUMERIC:
            method = MIXED
    card = find_card("score", method)
    for name, kind in kinds.items():
        if kind not in card.data_kinds:
            raise WhenceError(
                f"Column {name!r} is {kind}; the score {card.name!r} takes {', '.join(card.data_kinds)}.",
                code="wrong_kind", value=name, allowed=card.data_kinds,
                hint="Leave score='auto', or leave this column out.",
            )
    parameters = card.checked({key: value for key, value in (given or {}).items() if value is not None})
    return load_function(card)(table, names, **parameters)


MIXED = "degenerate_gaussian"
