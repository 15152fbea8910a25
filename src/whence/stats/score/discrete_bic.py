"""BIC of discrete networks."""

from __future__ import annotations

import math

from whence.core.card import Card
from whence.data.table import Table
from whence.stats.score.expected import expected_rows
from whence.stats.score.parameters import GAMMA, INDEPENDENT_ROWS, PENALTY, SCHWARZ
from whence.stats.score.score import Score

CARD = Card(
    name="discrete_bic",
    task="score",
    title="Extended BIC, categories",
    summary="Likelihood of a network of categories, less a price for each probability that had to be estimated.",
    data_kinds=("binary", "categorical", "ordinal"),
    assumptions=(INDEPENDENT_ROWS, "There are many rows for each combination of parent values."),
    parameters=(PENALTY, GAMMA),
    output="Score",
    cost="n per local score",
    citations=(
        SCHWARZ,
        "Chen, J. and Chen, Z. (2008). Extended Bayesian information criteria for model selection with large model "
        "spaces. Biometrika 95:759-771.",
    ),
    function="whence.stats.score.discrete_bic:discrete_bic",
)


def discrete_bic(table: Table, names: tuple[str, ...], penalty: float, gamma: float) -> Score:
    """Local score: sum N_jk log(N_jk / N_j) - penalty log(n)/2 (r - 1) q - 2 gamma log(d) k for k parents."""
    rows = expected_rows(table, names)
    kernel = rows.kernel(1, float(penalty), -2 * gamma * math.log(len(names)))
    return Score(CARD.name, names, rows.worth, {"penalty": penalty, "gamma": gamma}, kernel, rows.remarks)
