"""Controls that add up to the outcome: nothing is left for a treatment to change, so there is no answer.

A score among the outcomes beside the items it is made of is the usual case. Regression would fit perfectly
and give an effect of zero with an error of zero.
"""

from __future__ import annotations

import numpy as np

from whence.core.result import Refused
from whence.estimation.prepare import Prepared
from whence.stats.blocks import cholesky_of_scaled, gram
from whence.stats.regress import ols

CLEARLY = 1e-6
UNEXPLAINED = 1e-9  # share of the outcome's variance below which the controls determine it


def outcome_determined(data: Prepared) -> Refused | None:
    """``Refused`` (``outcome_determined``) when the controls predict the outcome exactly, naming those that do."""
    controls = data.features()
    if isinstance(controls, Refused) or not data.spec.controls or data.n <= controls.matrix.shape[1] + 1:
        return None  # too few rows is refused by the estimators, which know how many they need
    # Sums of products settle it unless little is left, where they say too little and the rows are asked.
    products = gram(controls.matrix, data.outcome - data.outcome.mean(), weights=data.weights)
    factor = cholesky_of_scaled(products)
    if factor is not None and factor[-1, -1] ** 2 > CLEARLY:
        return None
    design = np.column_stack([np.ones(data.n), controls.matrix])
    if 1 - ols(design, data.outcome, data.weights).r_squared > UNEXPLAINED:
        return None
    sources = np.array(["", *controls.sources])
    parts = [name for name in sorted(set(controls.sources))
             if 1 - ols(design[:, sources != name], data.outcome, data.weights).r_squared > UNEXPLAINED]
    named = ", ".join(parts) if parts else "the controls"
    return Refused(
        "outcome_determined",
        f"The controls determine {data.spec.outcome!r} exactly, so no treatment could change it once they are held.",
        {"controls": parts or sorted(set(controls.sources)), "rows": data.n},
        f"Leave out what the outcome is made of: {named}.",
    )
