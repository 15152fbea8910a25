"""Conditional Gaussian score: numbers are jointly normal within every combination of categories."""

from __future__ import annotations

import math

import numpy as np

from whence.core.card import Card
from whence.core.errors import WhenceError
from whence.data.table import CODED, Table
from whence.kernels.scores import cells_score
from whence.stats.score.levels import MOST_LEVELS, complete_rows
from whence.stats.score.parameters import GAMMA, INDEPENDENT_ROWS, PENALTY
from whence.stats.score.score import Score

CARD = Card(
    name="conditional_gaussian",
    task="score",
    title="Conditional Gaussian score",
    summary="Numbers and categories together: within every combination of levels the numbers are jointly normal with "
    "means, slopes and spreads of their own. It sees slopes that differ between levels, and needs many rows.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=("Within every combination of levels, the numbers are jointly normal.", INDEPENDENT_ROWS,
                 "There are many rows for each combination of levels."),
    parameters=(PENALTY, GAMMA),
    output="Score",
    cost="n k^2 per local score with k numbers",
    citations=(
        "Andrews, B., Ramsey, J. and Cooper, G. F. (2018). Scoring Bayesian networks of mixed variables. International "
        "Journal of Data Science and Analytics 6:3-18.",
    ),
    function="whence.stats.score.conditional_gaussian:conditional_gaussian",
)


def conditional_gaussian(table: Table, names: tuple[str, ...], penalty: float, gamma: float) -> Score:
    """Local score: L(y and parents) - L(parents) - penalty log(n)/2 times the parameters they differ by - 2 gamma
    log(d) k for k parents, on complete rows; L is the maximal log-likelihood of a set of columns under the conditional
    Gaussian law (Andrews et al. 2018, section 3), numbers standardised.

    A set with q combinations of levels and c numbers has q (c + c (c + 1) / 2) + q - 1 parameters. A combination with
    no more than c + 1 rows, or in which numbers determine each other, takes the covariance pooled over combinations.
    Raises ``WhenceError``: ``too_many_levels`` for a column with more than 255; ``no_complete_rows``.
    """
    rows, remarks = complete_rows(table, names)
    n = int(rows.sum())
    codes, values = np.zeros((len(names), n), dtype=np.uint8), np.zeros((len(names), n))
    cards = np.zeros(len(names), dtype=np.int32)
    for i, name in enumerate(names):
        column = table.column(name).values[rows]
        if table.kind(name) not in CODED:
            values[i] = _standardised(np.asarray(column, dtype=np.float64))
            continue
        occurring, coded = np.unique(column, return_inverse=True)
        if len(occurring) > MOST_LEVELS:
            raise WhenceError(f"Column {name!r} has {len(occurring)} levels.", code="too_many_levels", value=name,
                              allowed=f"at most {MOST_LEVELS}", hint="Merge levels, or leave the column out.")
        codes[i], cards[i] = coded, len(occurring)
    kernel = cells_score(codes, cards, values, penalty * math.log(n) / 2, -2 * gamma * math.log(len(names)))
    return Score(CARD.name, names, n, {"penalty": penalty, "gamma": gamma}, kernel, remarks)


def _standardised(x: np.ndarray) -> np.ndarray:
    x = x - x.mean()
    x = x / (np.abs(x).max() or 1.0)
    return x / (math.sqrt(float((x**2).mean())) or 1.0)
