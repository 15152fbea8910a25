"""RCoT: random Fourier features of x and of y, less their regression on random features of z."""

from __future__ import annotations

from collections.abc import Sequence

from whence.core.card import Card
from whence.data.table import Table
from whence.stats.citest.random_features import PARAMETERS, run
from whence.stats.citest.result import IndependenceTest

CARD = Card(
    name="rcot",
    task="independence_test",
    title="Randomised conditional correlation test",
    summary="A quick relative of KCI for thousands of rows: a few random waves of x and of y are compared after "
    "regression on random waves of the others. Blind to dependence that averages out over the others.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=("Means of functions of both variables change smoothly with the others.", "Rows are independent."),
    parameters=PARAMETERS,
    output="IndependenceTest",
    cost="n times the square of the number of features",
    citations=(
        "Strobl, E. V., Zhang, K. and Visweswaran, S. (2019). Approximate kernel-based conditional independence tests "
        "for fast non-parametric causal discovery. Journal of Causal Inference 7:20180017.",
        "Rahimi, A. and Recht, B. (2007). Random features for large-scale kernel machines. Advances in Neural "
        "Information Processing Systems 20.",
    ),
    function="whence.stats.citest.rcot:rcot_test",
)


def rcot_test(
    table: Table, x: str, y: str, given: Sequence[str] = (), *, features: int = 5, features_given: int = 100,
    seed: int = 0,
) -> IndependenceTest:
    """Tests x independent of y given ``given`` on the rows where all of them are present.

    The features come from ``seed`` and the names of the columns. With fewer than 300 rows regression takes the
    leading directions of the features of the conditioning variables only, one per three rows: a hundred would leave
    no noise to test. Raises ``WhenceError`` for unknown or repeated columns, and for datetime and text.
    """
    parameters = {"features": features, "features_given": features_given}
    return run(CARD, table, x, y, tuple(given), parameters, seed, joined=False)
