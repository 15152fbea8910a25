"""Bounds under the marginal sensitivity model with the user's factor, on a table."""

from __future__ import annotations

from functools import partial

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused
from whence.estimation.bounding.scores import HIGHEST, LOWEST, Found, found, limits, strata, stratified_scores
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.identification.marginal_sensitivity import assumption, greatest_mean
from whence.identification.strata import extremes

CARD = Card(
    name="marginal_sensitivity",
    task="bounds",
    title="Marginal sensitivity bounds",
    summary="The effect if hidden causes change the odds of treatment by at most a factor.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Hidden causes change the odds of treatment, among people alike in the controls, by at most the factor.",
    ),
    parameters=(
        Parameter("gamma", "float", 1.5, "The factor (Lambda); 1 says that nothing is hidden.", 1.0, 1e6),
        LOWEST, HIGHEST, LEVEL,
    ),
    output="Bounds",
    cost="One sort per stratum, level and end.",
    citations=(
        "Tan (2006), A distributional approach for causal inference using propensity scores, JASA 101",
        "Dorn and Guo (2022), Sharp sensitivity analysis for inverse propensity weighting via quantile balancing, JASA",
    ),
    function="whence.estimation.bounding.marginal_sensitivity:marginal_sensitivity",
)


def marginal_sensitivity(
    data: Prepared, *, gamma: float = 1.5, lowest: float | None = None, highest: float | None = None,
    level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Found | Refused:
    """Sharp bounds of Tan's model within the strata of the controls (Dorn and Guo 2022).

    Refused: ``too_many_strata``.
    """
    code = strata(data)
    if isinstance(code, Refused):
        return code
    ends, said = limits(data, lowest, highest)
    scores, alone = stratified_scores(data, code, partial(extremes, partial(greatest_mean, gamma=gamma)), ends)
    evidence = {"strata": int(code.max()) + 1, "rows_without_counterpart": alone, "gamma": gamma}
    return found(data, scores, level, (assumption(gamma),), evidence, said if alone else ())
