"""BGe: the marginal likelihood of a linear Gaussian network under a prior that likes no member of a class better."""

from __future__ import annotations

import math

import numpy as np

from whence.core.card import Card, Parameter
from whence.data.table import Table
from whence.kernels.scores import gaussian_score
from whence.stats.score.correlations import correlations
from whence.stats.score.parameters import INDEPENDENT_ROWS, NO_GAMMA
from whence.stats.score.score import Score

CARD = Card(
    name="bge",
    task="score",
    title="Bayesian Gaussian score, equivalent (BGe)",
    summary="Probability of the data under a linear Gaussian network, averaged over all its coefficients and "
    "variances.",
    data_kinds=("continuous", "count"),
    assumptions=(
        "Each variable is a linear function of its parents plus normal noise.",
        INDEPENDENT_ROWS,
        "Beforehand the mean is normal and the precision Wishart, alike for every variable once standardised.",
    ),
    parameters=(
        Parameter("sample_size", "float", 1.0, "how many rows the prior mean is worth (alpha_mu)", low=0.0,
                  open_ends=True),
        Parameter("degrees", "float", 2.0, "degrees of freedom of the Wishart prior above the number of columns "
                  "(alpha_w - d)", low=1.0, open_ends=True),
        NO_GAMMA,
    ),
    output="Score",
    cost="n d^2 once, then k^2 d for all additions to k parents",
    citations=(
        "Geiger, D. and Heckerman, D. (2002). Parameter priors for directed acyclic graphical models and the "
        "characterization of several probability distributions. Annals of Statistics 30:1412-1440.",
        "Kuipers, J., Moffa, G. and Heckerman, D. (2014). Addendum on the scoring of Gaussian directed acyclic "
        "graphical models. Annals of Statistics 42:1689-1691.",
    ),
    function="whence.stats.score.bge:bge",
)


def bge(table: Table, names: tuple[str, ...], sample_size: float, degrees: float, gamma: float) -> Score:
    """Kuipers, Moffa and Heckerman (2014), equations 2 to 4, for columns standardised with n - 1.

    The prior mean is zero and the prior matrix T = t I with t = alpha_mu (alpha_w - d - 1) / (alpha_mu + 1), so that
    every variable has variance one beforehand. The ratio of equation 2 for a variable with its parents and for the
    parents alone leaves one gamma function and, by Schur's complement, the variance of the variable given them.
    """
    found = correlations(table, names)
    d, n = len(names), found.n
    t = sample_size * (degrees - 1) / (sample_size + 1)
    posterior = t * np.eye(d) + (n - 1) * found.matrix
    k = np.arange(d)
    level = np.array([_level(j, n, sample_size, degrees, t) for j in range(d)]) - 2 * gamma * math.log(d) * k
    kernel = gaussian_score(posterior, level, (n + degrees + k + 1) / 2, -0.5)
    parameters = {"sample_size": sample_size, "degrees": degrees, "gamma": gamma}
    return Score(CARD.name, names, n, parameters, kernel, found.remarks)


def _level(k: int, n: int, sample_size: float, degrees: float, t: float) -> float:
    """What a local score with k parents holds beside the data."""
    before, after = degrees + k + 1, n + degrees + k + 1
    power = (before * (k + 1) - (before - 1) * k) / 2
    return (-n / 2 * math.log(math.pi) + math.log(sample_size / (n + sample_size)) / 2
            + math.lgamma(after / 2) - math.lgamma(before / 2) + power * math.log(t))
