"""Extended BIC of linear Gaussian models."""

from __future__ import annotations

import math

import numpy as np

from whence.core.card import Card
from whence.data.table import Table
from whence.kernels.scores import gaussian_score
from whence.stats.score.correlations import correlations
from whence.stats.score.parameters import GAMMA, INDEPENDENT_ROWS, PENALTY, SCHWARZ
from whence.stats.score.score import Score

CARD = Card(
    name="gaussian_bic",
    task="score",
    title="Extended BIC, linear Gaussian",
    summary="Likelihood of a linear model with normal noise, less a price for each arrow that grows with the "
    "logarithm of the rows and of the columns.",
    data_kinds=("continuous", "count"),
    assumptions=("Each variable is a linear function of its parents plus normal noise.", INDEPENDENT_ROWS),
    parameters=(PENALTY, GAMMA),
    output="Score",
    cost="n d^2 once, then k^2 d for all additions to k parents",
    citations=(
        SCHWARZ,
        "Foygel, R. and Drton, M. (2010). Extended Bayesian information criteria for Gaussian graphical models. "
        "Advances in Neural Information Processing Systems 23.",
    ),
    function="whence.stats.score.gaussian_bic:gaussian_bic",
)


def gaussian_bic(table: Table, names: tuple[str, ...], penalty: float, gamma: float) -> Score:
    """Local score: -n/2 log(residual variance) - k (penalty log(n)/2 + 2 gamma log(d)) for k parents.

    Additive constants, which no comparison sees, are left out. Foygel and Drton (2010), equation 1, per arrow.
    """
    found = correlations(table, names)
    d, n = len(names), found.n
    price = penalty * math.log(n) / 2 + 2 * gamma * math.log(d)
    most = min(d, n - 1)  # with as many parents as rows the fit is perfect and means nothing
    level = -price * np.arange(most, dtype=np.float64)
    kernel = gaussian_score(found.matrix, level, np.full(most, n / 2), 0.0)
    return Score(CARD.name, names, n, {"penalty": penalty, "gamma": gamma}, kernel, found.remarks)
