"""Bounds with monotone treatment response or selection, on a table."""

from __future__ import annotations

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused
from whence.estimation.bounding.scores import HIGHEST, LOWEST, Found, found, limits, target
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared

DIRECTIONS = ("increasing", "decreasing", "none")
RESPONSE = {"increasing": "Nobody's outcome is lower for the treatment.",
            "decreasing": "Nobody's outcome is higher for the treatment."}
SELECTION = {"increasing": "The treated have on average outcomes no lower than the others, treated or not.",
             "decreasing": "The treated have on average outcomes no higher than the others, treated or not."}

CARD = Card(
    name="monotone",
    task="bounds",
    title="Monotone response and selection bounds",
    summary="The effect if the treatment moves nobody's outcome the other way, or if the treated do better anyway.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=("The treatment never moves an outcome against the direction given, or the treated differ from the "
                 "others in the direction given.",),
    parameters=(
        Parameter("response", "choice", "increasing", "increasing: nobody's outcome falls by the treatment; "
                  "decreasing: nobody's rises.", choices=DIRECTIONS),
        Parameter("selection", "choice", "none", "increasing: the treated have outcomes no lower than the others under "
                  "either treatment value, on average; decreasing: no higher.", choices=DIRECTIONS),
        LOWEST, HIGHEST, LEVEL,
    ),
    output="Bounds",
    cost="One pass over the rows.",
    citations=(
        "Manski (1997), Monotone treatment response, Econometrica 65",
        "Manski and Pepper (2000), Monotone instrumental variables, Econometrica 68",
    ),
    function="whence.estimation.bounding.monotone:monotone",
)


def monotone(
    data: Prepared, *, response: str = "increasing", selection: str = "none", lowest: float | None = None,
    highest: float | None = None, level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Found | Refused:
    """Sharp bounds for two treatment values; the directions are about everybody, so controls are not used.

    Refused: ``several_levels``, ``mixed_directions``, ``monotonicity_contradicted``.
    """
    given = {direction for direction in (response, selection) if direction != "none"}
    if len(data.treatment.arms) > 2:
        return Refused("several_levels", f"{data.treatment.name!r} has {len(data.treatment.arms)} values; these bounds "
                       "are for two.", {"levels": list(data.treatment.arms)},
                       "Narrow the population to the two values compared.")
    if len(given) == 2:
        return Refused("mixed_directions", "One direction is increasing and the other decreasing.",
                       {"response": response, "selection": selection}, "Give one of the two.")
    ends, remarks = limits(data, lowest, highest)
    sign = -1.0 if "decreasing" in given else 1.0
    turned = (ends[0], ends[1]) if sign > 0 else (-ends[1], -ends[0])
    means = [float(np.average(sign * data.outcome[at], weights=data.w[at]))
             for at in (data.treatment.codes == 0, data.treatment.codes == 1)]
    if response != "none" and selection != "none" and means[1] < means[0]:
        return Refused("monotonicity_contradicted", "With both directions the treated would differ from the others the "
                       "other way than they do.", {"means": {arm: sign * m for arm, m in zip(
                           data.treatment.arms, means, strict=True)}}, "Drop one of the two directions.")
    scores = _scores(data, sign * data.outcome, turned, means, response != "none", selection != "none")
    scores = scores if sign > 0 else -scores[:, :, ::-1]
    said = tuple(texts[which] for which, texts in ((response, RESPONSE), (selection, SELECTION)) if which != "none")
    evidence = {"limits": list(ends), "response": response, "selection": selection}
    return found(data, scores, level, (*said, "The outcome lies within its limits."), evidence, remarks)


def _scores(
    data: Prepared, y: np.ndarray, ends: tuple[float, float], means: list[float], response: bool, selection: bool
) -> np.ndarray:
    """Scores (n, 2 levels, 2 ends) for increasing directions.

    Response: the outcome seen bounds the one not seen. Selection: so does the mean of those at the other level.
    """
    asked, w = target(data), data.w
    scores = np.zeros((data.n, 2, 2))
    for arm in (0, 1):
        at = data.treatment.codes == arm
        others = asked & ~at
        scores[asked & at, arm] = y[asked & at, None]
        scores[others, arm] = ends
        by_response, by_selection = (1, 0) if arm == 0 else (0, 1)  # which end each direction moves
        if response:
            scores[others, arm, by_response] = y[others]
        if selection:
            scores[others, arm, by_selection] = means[arm]
            scores[at, arm, by_selection] += w[others].sum() / w[at].sum() * (y[at] - means[arm])
    return scores
