"""Bounds from the propensity-only divergence ball, on a table."""

from __future__ import annotations

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.bounding.manski import manski
from whence.estimation.bounding.scores import HIGHEST, LOWEST, Found, found, limits, strata
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.identification.propensity_ball import DIVERGENCES, WARNING, ball, radius_slope

CARD = Card(
    name="propensity_ball",
    task="bounds",
    title="Propensity-only divergence ball",
    summary="Bounds whose radius follows from the propensity alone; never narrower than those without assumptions.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=("The outcome lies within its limits.",),
    parameters=(
        Parameter("divergence", "choice", "chi2", "Which divergence measures the ball.", choices=DIVERGENCES),
        LOWEST, HIGHEST, LEVEL,
    ),
    output="Bounds",
    cost="One root in one unknown per stratum, level and end.",
    citations=(
        "Jung and Kang (2026), Information-theoretic causal bounds under unmeasured confounding, arXiv 2601.17160",
    ),
    function="whence.estimation.bounding.propensity_ball:propensity_ball",
)


def propensity_ball(
    data: Prepared, *, divergence: str = "chi2", lowest: float | None = None, highest: float | None = None,
    level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Found | Refused:
    """The ball's bounds within the strata of the controls, with the narrower bounds that assume no more beside them.

    Refused: ``too_many_strata``, ``quantity_not_available`` (the ball is about the ATE).
    """
    if data.spec.quantity != "ATE":
        return Refused("quantity_not_available", "The ball bounds the mean outcome of everybody, so only the ATE.",
                       {"quantity": data.spec.quantity}, "Use method='manski', which is narrower too.")
    code = strata(data)
    if isinstance(code, Refused):
        return code
    ends, said = limits(data, lowest, highest)
    y, w, scores = data.outcome, data.w, np.zeros((data.n, 2, 2))
    for arm in (0, 1):
        for stratum in range(int(code.max()) + 1):
            rows = code == stratum
            inside = rows & (data.treatment.codes == arm)
            if not inside.any():
                scores[rows, arm] = ends
                continue
            share = w[inside].sum() / w[rows].sum()
            for end, extreme in enumerate(ball(y[inside], w[inside] / w[inside].sum(), share, divergence, ends)):
                scores[rows, arm, end] = extreme.value
                scores[inside, arm, end] += (extreme.scores - extreme.value) / share
                moved = extreme.slope * radius_slope(share, divergence)
                scores[rows, arm, end] += moved * (inside[rows] - share)
    plain = manski(data, lowest=ends[0], highest=ends[1], level=level)
    assert isinstance(plain, Found)
    inner = [plain.lower, plain.upper]
    warning = Remark("driven_by_support", f"{WARNING} They are {inner[0]:.4g} to {inner[1]:.4g}.", (data.spec.outcome,),
                     {"without_assumptions": inner, "limits": list(ends)})
    evidence = {"divergence": divergence, "strata": int(code.max()) + 1, "limits": list(ends),
                "without_assumptions": inner}
    return found(data, scores, level, CARD.assumptions, evidence, (*said, warning))
