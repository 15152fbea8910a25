"""Degenerate Gaussian score: numbers and categories together, each category by its indicators."""

from __future__ import annotations

import math

import numpy as np

from whence.core.card import Card
from whence.core.result import Remark
from whence.data.table import CODED, Table
from whence.kernels.scores import block_score
from whence.stats.score.parameters import GAMMA, INDEPENDENT_ROWS, PENALTY
from whence.stats.score.score import Score

CARD = Card(
    name="degenerate_gaussian",
    task="score",
    title="Degenerate Gaussian score",
    summary="Treats the indicators of categories as if they were jointly normal with the numbers; quick, and accurate "
    "for mixed columns with few levels.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=("Relations between numbers, and with the shares of each category, are close to linear.",
                 INDEPENDENT_ROWS),
    parameters=(PENALTY, GAMMA),
    output="Score",
    cost="n c^2 once for c columns with indicators, then cubic in the columns of a family",
    citations=(
        "Andrews, B., Ramsey, J. and Cooper, G. F. (2019). Learning high-dimensional directed acyclic graphs with "
        "mixed data-types. Proceedings of Machine Learning Research 104:4-21.",
    ),
    function="whence.stats.score.degenerate_gaussian:degenerate_gaussian",
)


def degenerate_gaussian(table: Table, names: tuple[str, ...], penalty: float, gamma: float) -> Score:
    """Local score: -n/2 log det(covariance of the columns of y given those of its parents) - penalty log(n)/2 times
    the number of coefficients - 2 gamma log(d) k for k parents, on complete rows.

    A category stands for one indicator per level that occurs, but the first.
    """
    rows = table.complete(names)
    n, lost = int(rows.sum()), int((~rows).sum())
    columns, starts = [], [0]
    for name in names:
        values = table.column(name).values[rows]
        if table.kind(name) in CODED:
            columns += [(values == level).astype(np.float64) for level in np.unique(values)[1:]]
        else:
            away = np.asarray(values, dtype=np.float64)
            away = away - away.mean() if n else away
            columns.append(away / (np.abs(away).max(initial=0.0) or 1.0))
        if starts[-1] == len(columns):
            columns.append(np.zeros(n))  # one level is left in the complete rows: a column that explains nothing
        starts.append(len(columns))
    matrix = np.eye(len(columns)) if n < 2 else _correlation(np.array(columns))
    kernel = block_score(matrix, np.array(starts, dtype=np.int32), float(n), penalty * math.log(max(n, 1)) / 2,
                         -2 * gamma * math.log(len(names)))
    remarks = () if not lost else (Remark(
        "missing_rows", f"{lost:,} of {len(table):,} rows miss a value and were not used.", (), {"rows": lost}),)
    return Score(CARD.name, names, n, {"penalty": penalty, "gamma": gamma}, kernel, remarks)


def _correlation(columns: np.ndarray) -> np.ndarray:
    """(c, c) of the rows of ``columns``; a constant one is uncorrelated with all others."""
    centred = columns - columns.mean(axis=1, keepdims=True)
    size = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    scaled = centred / np.where(size > 0, size, 1.0)
    out = scaled @ scaled.T
    np.fill_diagonal(out, 1.0)
    return np.ascontiguousarray(out)
