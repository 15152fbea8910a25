"""Bounds from a ball around the outcomes seen, with the user's divergence and radius, on a table."""

from __future__ import annotations

from functools import partial

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.bounding.scores import HIGHEST, LOWEST, Found, found, limits, strata, stratified_scores
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.identification.divergence import DIVERGENCES, assumption, greatest_mean
from whence.identification.strata import Extreme, extremes

CARD = Card(
    name="divergence",
    task="bounds",
    title="f-divergence sensitivity bounds",
    summary="The effect if, among people alike in the controls, unseen outcomes are distributed within a radius of "
    "those seen.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Among people alike in the controls, unseen outcomes are distributed within the radius of those seen.",
    ),
    parameters=(
        Parameter("divergence", "choice", "kl", "Which divergence of the unseen outcomes from those seen.",
                  choices=DIVERGENCES),
        Parameter("radius", "float", 0.1, "How far apart they may be; 0 says that nothing is hidden.", 0.0, 1e6),
        LOWEST, HIGHEST, LEVEL,
    ),
    output="Bounds",
    cost="One root in one unknown per stratum, level and end.",
    citations=(
        "Jin, Ren and Candes (2022), Sensitivity analysis under the f-sensitivity models, arXiv 2203.04373",
        "Ben-Tal et al. (2013), Robust solutions of optimization problems affected by uncertain probabilities, "
        "Management Science 59",
    ),
    function="whence.estimation.bounding.divergence:divergence",
)


def divergence(
    data: Prepared, *, divergence: str = "kl", radius: float = 0.1, lowest: float | None = None,
    highest: float | None = None, level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Found | Refused:
    """Sharp bounds within the strata of the controls; see ``whence.identification.divergence`` for the definition.

    A radius that a sample's largest outcome alone can use up is reported: the bound is then the edge of the data.
    Refused: ``too_many_strata``.
    """
    code = strata(data)
    if isinstance(code, Refused):
        return code
    ends, said = limits(data, lowest, highest)
    edge: list[bool] = []

    def within(values: np.ndarray, share: np.ndarray) -> tuple[Extreme, Extreme]:
        pair = extremes(partial(greatest_mean, divergence=divergence, radius=radius), values, share)
        edge.extend(pair[end].reached for end in (0, 1))
        return pair

    scores, alone = stratified_scores(data, code, within, ends)
    remarks = said if alone else ()
    if any(edge):
        remarks = (*remarks, Remark(
            "driven_by_support", f"The radius allows all the mass on the outermost outcome seen in {sum(edge)} of "
            f"{len(edge)} cases; there the bound is the edge of the data, and more rows will widen it.",
            (data.spec.outcome,), {"at_the_edge": sum(edge), "cases": len(edge)},
        ))
    evidence = {"strata": int(code.max()) + 1, "rows_without_counterpart": alone, "divergence": divergence,
                "radius": radius}
    return found(data, scores, level, (assumption(divergence, radius),), evidence, remarks)
