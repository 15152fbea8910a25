"""T-learner: the outcome learned among the treated and among the others, and the difference of the two."""

from __future__ import annotations

from typing import Any

import numpy as np

from whence.core.card import Card
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused
from whence.estimation.heterogeneity.importance import importance
from whence.estimation.heterogeneity.sample import Designs, Fitted, Sample, Stage, needs_everything, sample, stage
from whence.estimation.interactive import (
    CLIP,
    N_FOLDS,
    OUTCOME_LEARNER,
    TREATMENT_LEARNER,
    chosen_learners,
    outcome_classifies,
)
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared

CARD = Card(
    name="t_learner",
    task="heterogeneity",
    title="T-learner: two outcome models",
    summary="Learns the outcome among the treated and among the others apart, and takes the difference.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Among people alike in the controls, who was treated has nothing else to do with the outcome.",
        "People of every kind in the controls could have been in either arm.",
        "The two outcome models are right: what one gets wrong and the other does not passes for a difference.",
    ),
    parameters=(OUTCOME_LEARNER, TREATMENT_LEARNER, N_FOLDS, CLIP, LEVEL),
    output="Conditional",
    cost="The nuisances of AIPW; a fit on all rows for importance and for each new table.",
    citations=("Künzel, Sekhon, Bickel and Yu (2019), Metalearners for estimating heterogeneous treatment effects "
               "using machine learning, PNAS 116(10)",),
    function="whence.estimation.heterogeneity.t_learner:t_learner",
)


def t_learner(
    data: Prepared, by: tuple[str, ...], *, outcome_learner: Any = "auto", treatment_learner: Any = "auto",
    n_folds: int = 5, clip: float = 0.01, seed: int = 0, progress: Progress = SILENT,
) -> Fitted | Refused:
    """The difference of two regressions (Künzel et al. 2019, equation 5), each row's by fits on other folds.

    Refused: those of ``sample``; ``by_not_used``.
    """
    s = sample(data, by, outcome_learner, treatment_learner, n_folds, clip, seed, progress)
    if isinstance(s, Refused):
        return s
    refused = needs_everything(s, CARD.name)
    designs = s.designs(outcome_learner) if refused is None else refused
    if isinstance(designs, Refused):
        return designs
    arms = arm_stages(s, designs, outcome_learner)

    def at(new: Designs) -> np.ndarray:
        return arms[1].at(new) - arms[0].at(new)

    return Fitted(s, s.outcome[:, 1] - s.outcome[:, 0], None, lambda new: (at(new), None), designs,
                  importance(at, designs, by, seed))


def arm_stages(s: Sample, designs: dict, outcome_learner: Any) -> tuple[Stage, Stage]:
    """The outcome in either arm, as ``sample`` learned it."""
    codes = s.data.treatment.codes
    rows = int((1 - 1 / (s.fold.max() + 1)) * int(np.bincount(codes).min()))
    learners = chosen_learners(designs, outcome_learner, rows)
    classify = outcome_classifies(s.data, learners)
    engine = s.engine(designs)
    control, treated = (stage(engine, learners, s.data.outcome, codes == arm, classify) for arm in (0, 1))
    return control, treated
