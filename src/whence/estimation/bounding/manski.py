"""Bounds without any assumption about who was treated, on a table."""

from __future__ import annotations

import numpy as np

from whence.core.card import Card
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused
from whence.estimation.bounding.scores import HIGHEST, LOWEST, Found, found, limits, target
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared

CARD = Card(
    name="manski",
    task="bounds",
    title="No-assumption bounds",
    summary="The effect if those whose outcome at a level was not seen had the least or the greatest one.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=("The outcome lies within its limits.",),
    parameters=(LOWEST, HIGHEST, LEVEL),
    output="Bounds",
    cost="One pass over the rows.",
    citations=(
        "Manski (1990), Nonparametric bounds on treatment effects, American Economic Review 80",
    ),
    function="whence.estimation.bounding.manski:manski",
)


def manski(
    data: Prepared, *, lowest: float | None = None, highest: float | None = None, level: float = 0.95, seed: int = 0,
    progress: Progress = SILENT,
) -> Found | Refused:
    """The least and the greatest effect that some unseen outcomes within the limits would give (sharp).

    Controls change nothing here: averaged over them the bounds are the same.
    """
    ends, remarks = limits(data, lowest, highest)
    asked = target(data)
    scores = np.zeros((data.n, 2, 2))
    for arm in (0, 1):
        at = data.treatment.codes == arm
        scores[asked & at, arm] = data.outcome[asked & at, None]
        scores[asked & ~at, arm] = ends
    return found(data, scores, level, CARD.assumptions, {"limits": list(ends)}, remarks)
