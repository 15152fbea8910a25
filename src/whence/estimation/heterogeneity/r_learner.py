"""R-learner: the effect that best ties what is left of the outcome to what is left of the treatment."""

from __future__ import annotations

from typing import Any

import numpy as np

from whence.core.card import Card
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused
from whence.estimation.heterogeneity.importance import importance
from whence.estimation.heterogeneity.sample import EFFECT_LEARNER, Fitted, effect_stage, sample
from whence.estimation.interactive import CLIP, N_FOLDS, OUTCOME_LEARNER, TREATMENT_LEARNER
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared

CARD = Card(
    name="r_learner",
    task="heterogeneity",
    title="R-learner: what is left of the outcome on what is left of the treatment",
    summary="Takes out of outcome and treatment what the controls predict, and finds the effect by which what is left "
    "of the one goes best with what is left of the other.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Among people alike in the controls, who was treated has nothing else to do with the outcome.",
        "People of every kind in the controls could have been in either arm.",
        "The learners come close enough to the outcome and the treatment given the controls (their errors multiply).",
        "Where effects may differ by some of the controls only, the effect there weighs people by how open it was "
        "whether they would be treated.",
    ),
    parameters=(OUTCOME_LEARNER, TREATMENT_LEARNER, EFFECT_LEARNER, N_FOLDS, CLIP, LEVEL),
    output="Conditional",
    cost="The nuisances of AIPW and n_folds fits of the effect learner.",
    citations=("Nie and Wager (2021), Quasi-oracle estimation of heterogeneous treatment effects, Biometrika 108(2)",),
    function="whence.estimation.heterogeneity.r_learner:r_learner",
)


def r_learner(
    data: Prepared, by: tuple[str, ...], *, outcome_learner: Any = "auto", treatment_learner: Any = "auto",
    effect_learner: Any = "auto", n_folds: int = 5, clip: float = 0.01, seed: int = 0, progress: Progress = SILENT,
) -> Fitted | Refused:
    """The t that minimises the mean of ((y - m) - (a - e) t(x))^2 (Nie and Wager 2021, equation 4), as the regression
    of (y - m) / (a - e) with weights (a - e)^2; m and e, expected outcome and treatment, from other folds.

    Refused: those of ``sample``.
    """
    s = sample(data, by, outcome_learner, treatment_learner, n_folds, clip, seed, progress)
    if isinstance(s, Refused):
        return s
    left = s.treated - s.chance
    last = effect_stage(s, effect_learner, (s.data.outcome - s.expected) / left, s.data.w * np.square(left))
    if isinstance(last, Refused):
        return last
    designs = s.designs(effect_learner)
    assert not isinstance(designs, Refused)
    return Fitted(s, last.out_of_fold, None, lambda new: (last.at(new), None), designs,
                  importance(last.at, designs, by, seed))
