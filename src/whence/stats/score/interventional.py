"""Scores of graphs from rows with and without interventions on known variables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from whence.core.errors import WhenceError
from whence.core.registry import find_card
from whence.data.table import CODED, NUMERIC, Table
from whence.kernels.scores import discrete_score, gaussian_score, score_by_child
from whence.stats.score.choose import MIXED
from whence.stats.score.correlations import Correlations, correlations
from whence.stats.score.degenerate_gaussian import degenerate_gaussian
from whence.stats.score.levels import level_codes
from whence.stats.score.score import Score

KINDS = {"gaussian_bic": NUMERIC, "bdeu": CODED, "discrete_bic": CODED, MIXED: CODED | NUMERIC}


def interventional(table: Table, names: tuple[str, ...], held: np.ndarray, method: str = "auto",
                   given: Mapping[str, Any] | None = None) -> Score:
    """The score in which each variable is judged by the rows in which it was not intervened on.

    held: bool (rows, d), whether a row's intervention set the variable. method: ``"gaussian_bic"``, ``"bdeu"``,
    ``"discrete_bic"`` or ``"degenerate_gaussian"``; ``"auto"`` goes by the kinds. given: parameters of that card; None
    values mean its defaults.
    Every variable must have rows in which it was not intervened on and in which it varies. Raises ``WhenceError``
    (``unknown_method``, ``unknown_parameter``, ``wrong_kind``).

    An intervention takes the place of a variable's own mechanism, so its factor of the likelihood says nothing about
    the graph there, and everywhere else its mechanism is the same: Hauser and Buhlmann (2012, 2015), whose BIC counts
    all rows in the price of an arrow; for categories Cooper and Yoo (1999).
    """
    card = find_card("score", _method(table, names, method))
    parameters = card.checked({key: value for key, value in (given or {}).items() if value is not None})
    masks, which = np.unique(~held.T, axis=0, return_inverse=True)
    build = {"gaussian_bic": _numbers, MIXED: _mixed}.get(card.name, _categories)
    whole, remarks, parts = build(table, names, list(masks), card.name, parameters)
    kernel = score_by_child(parts, np.ascontiguousarray(which.ravel(), dtype=np.int32))
    return Score(card.name, names, whole, parameters, kernel, remarks)


def _method(table: Table, names: tuple[str, ...], method: str) -> str:
    kinds = {name: table.kind(name) for name in names}
    if method == "auto":
        method = "bdeu" if set(kinds.values()) <= CODED else MIXED
        method = "gaussian_bic" if set(kinds.values()) <= NUMERIC else method
    if method not in KINDS:
        raise WhenceError(f"The score {method!r} does not know about interventions.", code="unknown_method",
                          value=method, allowed=("auto", *KINDS))
    for name, kind in kinds.items():
        if kind not in KINDS[method]:
            raise WhenceError(
                f"Column {name!r} is {kind}; the score {method!r} takes {', '.join(sorted(KINDS[method]))}.",
                code="wrong_kind", value=name, allowed=tuple(sorted(KINDS[method])),
                hint="Leave score='auto', or leave this column out.",
            )
    return method


def _numbers(table: Table, names: tuple[str, ...], masks: list[np.ndarray], _: str, given: Mapping[str, Any]
             ) -> tuple[int, Any, list[Any]]:
    d, whole = len(names), correlations(table, names)
    price = given["penalty"] * math.log(whole.n) / 2 + 2 * given["gamma"] * math.log(d)
    parts = []
    for rows in masks:
        found = whole if rows.all() else _correlations(table.take(rows), names)
        most = max(1, min(d, found.n - 1))
        parts.append(gaussian_score(found.matrix, -price * np.arange(most, dtype=np.float64),
                                    np.full(most, found.n / 2), 0.0))
    return whole.n, whole.remarks, parts


def _correlations(table: Table, names: tuple[str, ...]) -> Correlations:
    """As ``correlations``; a column that is constant in these rows tells nothing about the others."""
    values = table.matrix(names)
    varies = np.flatnonzero(np.nanmin(values, axis=0) < np.nanmax(values, axis=0))
    found = correlations(table, tuple(names[k] for k in varies))
    matrix = np.eye(len(names))
    matrix[np.ix_(varies, varies)] = found.matrix
    return Correlations(matrix, found.n)


def _categories(table: Table, names: tuple[str, ...], masks: list[np.ndarray], method: str, given: Mapping[str, Any]
                ) -> tuple[int, Any, list[Any]]:
    codes, cards, remarks = level_codes(table, names)
    complete, n, structure = table.complete(names), codes.shape[1], -2 * given["gamma"] * math.log(len(names))
    parts = []
    for rows in masks:
        own = np.ascontiguousarray(codes[:, rows[complete]])
        # The kernel's price counts its own rows; the BIC counts all of them.
        strength = (given["sample_size"] if method == "bdeu"
                    else given["penalty"] * math.log(n) / math.log(max(2, own.shape[1])))
        parts.append(discrete_score(own, cards, 0 if method == "bdeu" else 1, float(strength), structure))
    return n, remarks, parts


def _mixed(table: Table, names: tuple[str, ...], masks: list[np.ndarray], _: str, given: Mapping[str, Any]
           ) -> tuple[int, Any, list[Any]]:
    whole = degenerate_gaussian(table, names, given["penalty"], given["gamma"])
    complete, parts = table.complete(names), []
    for rows in masks:
        size = int((rows & complete).sum())
        penalty = given["penalty"] * math.log(max(2, whole.n)) / math.log(max(2, size))
        parts.append(degenerate_gaussian(table.take(rows), names, penalty, given["gamma"]).kernel)
    return whole.n, whole.remarks, parts
