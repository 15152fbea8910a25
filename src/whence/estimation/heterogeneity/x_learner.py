"""X-learner: each person's missing outcome filled in by the other arm's model, and the gaps learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from whence.core.card import Card
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused
from whence.estimation.heterogeneity.importance import importance
from whence.estimation.heterogeneity.sample import EFFECT_LEARNER, Designs, Fitted, needs_everything, sample, stage
from whence.estimation.interactive import (
    CLIP,
    N_FOLDS,
    OUTCOME_LEARNER,
    TREATMENT_LEARNER,
    chosen_learners,
    classifiers,
)
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared

CARD = Card(
    name="x_learner",
    task="heterogeneity",
    title="X-learner: effects learned from filled-in outcomes",
    summary="Fills in what each person would have had in the other arm, learns these gaps in either arm, and weighs "
    "the two by the chance of treatment: suits arms of very different size.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Among people alike in the controls, who was treated has nothing else to do with the outcome.",
        "People of every kind in the controls could have been in either arm.",
        "The outcome models come close, above all that of the larger arm.",
    ),
    parameters=(OUTCOME_LEARNER, TREATMENT_LEARNER, EFFECT_LEARNER, N_FOLDS, CLIP, LEVEL),
    output="Conditional",
    cost="The nuisances of AIPW and 2 x n_folds fits of the effect learner.",
    citations=("Künzel, Sekhon, Bickel and Yu (2019), Metalearners for estimating heterogeneous treatment effects "
               "using machine learning, PNAS 116(10)",),
    function="whence.estimation.heterogeneity.x_learner:x_learner",
)


def x_learner(
    data: Prepared, by: tuple[str, ...], *, outcome_learner: Any = "auto", treatment_learner: Any = "auto",
    effect_learner: Any = "auto", n_folds: int = 5, clip: float = 0.01, seed: int = 0, progress: Progress = SILENT,
) -> Fitted | Refused:
    """e(x) t_0(x) + (1 - e(x)) t_1(x) (Künzel et al. 2019, equations 7 to 9): t_1 learned from y - m_0 among the
    treated, t_0 from m_1 - y among the others, with the outcomes m and the chance e expected by other folds.

    Refused: those of ``sample``; ``by_not_used``.
    """
    s = sample(data, by, outcome_learner, treatment_learner, n_folds, clip, seed, progress)
    if isinstance(s, Refused):
        return s
    refused = needs_everything(s, CARD.name)
    designs = s.designs(effect_learner, treatment_learner) if refused is None else refused
    if isinstance(designs, Refused):
        return designs
    codes, y = s.data.treatment.codes, s.data.outcome
    engine, part = s.engine(designs), 1 - 1 / (s.fold.max() + 1)
    fewest = int(part * int(np.bincount(codes).min()))
    learners = chosen_learners(designs, effect_learner, fewest)
    among_treated = stage(engine, learners, y - s.outcome[:, 0], codes == 1)
    among_others = stage(engine, learners, s.outcome[:, 1] - y, codes == 0)
    chance = stage(engine, classifiers(chosen_learners(designs, treatment_learner, fewest)), codes, classify=True)

    def at(new: Designs) -> np.ndarray:
        e = np.clip(chance.at(new), 0.0, 1.0)
        return e * among_others.at(new) + (1 - e) * among_treated.at(new)

    effects = s.chance * among_others.out_of_fold + (1 - s.chance) * among_treated.out_of_fold
    return Fitted(s, effects, None, lambda new: (at(new), None), designs, importance(at, designs, by, seed))
