"""DR-learner: doubly robust scores of people, learned from the columns by which effects may differ."""

from __future__ import annotations

from typing import Any

from whence.core.card import Card
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused
from whence.estimation.heterogeneity.importance import importance
from whence.estimation.heterogeneity.sample import EFFECT_LEARNER, Fitted, effect_stage, sample
from whence.estimation.interactive import CLIP, N_FOLDS, OUTCOME_LEARNER, TREATMENT_LEARNER
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared

CARD = Card(
    name="dr_learner",
    task="heterogeneity",
    title="DR-learner: doubly robust scores, regressed",
    summary="Regresses the doubly robust score of each person on the columns; right for the effect when either the "
    "outcome or the propensity model is.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Among people alike in the controls, who was treated has nothing else to do with the outcome.",
        "People of every kind in the controls could have been in either arm.",
        "The learners come close enough to the outcome and propensity functions (their errors multiply).",
    ),
    parameters=(OUTCOME_LEARNER, TREATMENT_LEARNER, EFFECT_LEARNER, N_FOLDS, CLIP, LEVEL),
    output="Conditional",
    cost="The nuisances of AIPW and n_folds fits of the effect learner.",
    citations=("Kennedy (2023), Towards optimal doubly robust estimation of heterogeneous causal effects, Electronic "
               "Journal of Statistics 17(2)",),
    function="whence.estimation.heterogeneity.dr_learner:dr_learner",
)


def dr_learner(
    data: Prepared, by: tuple[str, ...], *, outcome_learner: Any = "auto", treatment_learner: Any = "auto",
    effect_learner: Any = "auto", n_folds: int = 5, clip: float = 0.01, seed: int = 0, progress: Progress = SILENT,
) -> Fitted | Refused:
    """The regression of the scores of ``sample`` on the columns (Kennedy 2023, algorithm 1), on the same folds.

    Refused: those of ``sample``.
    """
    s = sample(data, by, outcome_learner, treatment_learner, n_folds, clip, seed, progress)
    if isinstance(s, Refused):
        return s
    last = effect_stage(s, effect_learner, s.scores)
    if isinstance(last, Refused):
        return last
    designs = s.designs(effect_learner)
    assert not isinstance(designs, Refused)
    return Fitted(s, last.out_of_fold, None, lambda new: (last.at(new), None), designs,
                  importance(last.at, designs, by, seed))
