"""qNML: how well a discrete network compresses the data, without a prior or a penalty to choose."""

from __future__ import annotations

import math

import numpy as np

from whence.core.card import Card
from whence.data.table import Table
from whence.stats.score.expected import expected_rows
from whence.stats.score.parameters import INDEPENDENT_ROWS, NO_GAMMA
from whence.stats.score.score import Score

TABLE = 10_000  # numbers of values up to which the normaliser comes from its recurrence
EXACT_ROWS = 10_000  # rows up to which its first term is summed

CARD = Card(
    name="qnml",
    task="score",
    title="Quotient normalised maximum likelihood (qNML)",
    summary="Likelihood of a network of categories, less how well a table of its size would fit any data: nothing to "
    "choose, and equal for graphs that say the same.",
    data_kinds=("binary", "categorical", "ordinal"),
    assumptions=(INDEPENDENT_ROWS, "The graph that compresses the data most is the one to look for."),
    parameters=(NO_GAMMA,),
    output="Score",
    cost="n per local score",
    citations=(
        "Silander, T., Leppa-aho, J., Jaasaari, E. and Roos, T. (2018). Quotient normalized maximum likelihood "
        "criterion for learning Bayesian network structures. Proceedings of Machine Learning Research 84:948-957.",
        "Kontkanen, P. and Myllymaki, P. (2007). A linear-time algorithm for computing the multinomial stochastic "
        "complexity. Information Processing Letters 103:227-233.",
        "Szpankowski, W. and Weinberger, M. J. (2012). Minimax pointwise redundancy for memoryless models over large "
        "alphabets. IEEE Transactions on Information Theory 58:4094-4104.",
    ),
    function="whence.stats.score.qnml:qnml",
)


def qnml(table: Table, names: tuple[str, ...], gamma: float) -> Score:
    """Local score: sum N_jk log(N_jk / N_j) - C(n, q r) + C(n, q), r levels of the node and q combinations of its
    parents' (Silander et al. 2018, equation 8), less 2 gamma log(d) per arrow. C is ``regrets``; above 10,000 values
    the formula of Szpankowski and Weinberger, which is then off by less than 2e-5.
    """
    rows = expected_rows(table, names)
    kernel = rows.kernel(2, 0.0, -2 * gamma * math.log(len(names)), regrets(rows.worth, TABLE).tolist())
    return Score(CARD.name, names, rows.worth, {"gamma": gamma}, kernel, rows.remarks)


def regrets(n: int, most: int) -> np.ndarray:
    """(most + 1,) log of the normaliser of a multinomial with 0 .. most values and n rows; minus infinity for none.

    Kontkanen and Myllymaki (2007), theorem 1: C(K + 2) = C(K + 1) + (n / K) C(K), here as the ratio of one to the
    next. The first ratio is the sum over the rows in the first of two values, or above 10,000 rows Szpankowski's
    (1998) expansion of it, which is then right to 1e-10 of its size.
    """
    ratio = _two_values(n)
    ratios = [1.0, ratio]
    for k in range(1, most - 1):
        ratio = 1 + n / k / ratio
        ratios.append(ratio)
    return np.concatenate([[-math.inf], np.cumsum(np.log(ratios))])


def _two_values(n: int) -> float:
    if n > EXACT_ROWS:
        return math.sqrt(math.pi * n / 2) + 2 / 3 + math.sqrt(2 * math.pi / n) / 24 - 4 / (135 * n)
    from scipy.special import gammaln, xlogy

    k = np.arange(n + 1.0)
    ways = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return float(np.exp(ways + xlogy(k, k / n) + xlogy(n - k, (n - k) / n)).sum())
