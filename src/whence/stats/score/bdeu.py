"""BDeu: the marginal likelihood of a discrete network under a prior that likes no table better than another."""

from __future__ import annotations

import math

from whence.core.card import Card, Parameter
from whence.data.table import Table
from whence.stats.score.expected import expected_rows
from whence.stats.score.parameters import GAMMA, INDEPENDENT_ROWS
from whence.stats.score.score import Score

CARD = Card(
    name="bdeu",
    task="score",
    title="Bayesian Dirichlet score, equivalent and uniform (BDeu)",
    summary="Probability of the data under a network of categories, averaged over all its probability tables.",
    data_kinds=("binary", "categorical", "ordinal"),
    assumptions=(INDEPENDENT_ROWS, "All probability tables are equally plausible beforehand."),
    parameters=(
        Parameter("sample_size", "float", 1.0, "equivalent sample size: how many rows the prior is worth", low=0.0,
                  open_ends=True),
        GAMMA,
    ),
    output="Score",
    cost="n per local score",
    citations=(
        "Heckerman, D., Geiger, D. and Chickering, D. M. (1995). Learning Bayesian networks: the combination of "
        "knowledge and statistical data. Machine Learning 20:197-243.",
    ),
    function="whence.stats.score.bdeu:bdeu",
)


def bdeu(table: Table, names: tuple[str, ...], sample_size: float, gamma: float) -> Score:
    """Heckerman, Geiger and Chickering (1995), equation 28 with N'_ijk = sample_size / (r_i q_i), in logarithms."""
    rows = expected_rows(table, names)
    kernel = rows.kernel(0, float(sample_size), -2 * gamma * math.log(len(names)))
    return Score(CARD.name, names, rows.worth, {"sample_size": sample_size, "gamma": gamma}, kernel, rows.remarks)
