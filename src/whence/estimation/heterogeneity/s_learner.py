"""S-learner: one model of the outcome with the treatment among its columns, asked about either arm."""

from __future__ import annotations

from typing import Any

import numpy as np

from whence.core.card import Card
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused
from whence.estimation.crossfit import CrossFitter
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
from whence.stats.features import Features

CARD = Card(
    name="s_learner",
    task="heterogeneity",
    title="S-learner: one outcome model with the treatment in it",
    summary="Learns the outcome from the columns and the treatment at once, and asks it what treatment would change.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Among people alike in the controls, who was treated has nothing else to do with the outcome.",
        "People of every kind in the controls could have been in either arm.",
        "The outcome model is right; a learner that shrinks pulls the effect towards nothing.",
    ),
    parameters=(OUTCOME_LEARNER, TREATMENT_LEARNER, N_FOLDS, CLIP, LEVEL),
    output="Conditional",
    cost="The nuisances of AIPW, n_folds fits of the outcome learner; a fit on all rows for importance and new tables.",
    citations=("Künzel, Sekhon, Bickel and Yu (2019), Metalearners for estimating heterogeneous treatment effects "
               "using machine learning, PNAS 116(10)",),
    function="whence.estimation.heterogeneity.s_learner:s_learner",
)


def s_learner(
    data: Prepared, by: tuple[str, ...], *, outcome_learner: Any = "auto", treatment_learner: Any = "auto",
    n_folds: int = 5, clip: float = 0.01, seed: int = 0, progress: Progress = SILENT,
) -> Fitted | Refused:
    """What one regression says of a row treated less what it says of it untreated (Künzel et al. 2019, equation 3).

    Linear learners see the products of treatment and columns too, without which every effect would be the same.
    Refused: those of ``sample``; ``by_not_used``.
    """
    s = sample(data, by, outcome_learner, treatment_learner, n_folds, clip, seed, progress)
    if isinstance(s, Refused):
        return s
    refused = needs_everything(s, CARD.name)
    designs = s.designs(outcome_learner) if refused is None else refused
    if isinstance(designs, Refused):
        return designs
    one = _one_model(s, designs, outcome_learner)
    inside = one.out_of_fold.reshape(3, s.n)

    def at(new: Designs) -> np.ndarray:
        return one.at(_asked(new, 1.0)) - one.at(_asked(new, 0.0))

    return Fitted(s, inside[1] - inside[2], None, lambda new: (at(new), None), designs,
                  importance(at, designs, by, seed))


def _asked(designs: Designs, treated: np.ndarray | float) -> dict[int, np.ndarray]:
    """Designs with the treatment, the same for all or (n,), and for linear learners its products with the columns."""
    out = {}
    for degree, x in designs.items():
        a = np.broadcast_to(treated, len(x))[:, None]
        out[degree] = np.column_stack([a, x] if degree == 0 else [a, x, a * x])
    return out


def _one_model(s: Sample, designs: dict[int, Features], outcome_learner: Any) -> Stage:
    """Learned on the rows as they are; below these stand the same rows treated, then untreated, to be asked about."""
    known = {degree: made.matrix for degree, made in designs.items()}
    three = [_asked(known, a) for a in (s.treated, 1.0, 0.0)]
    engine = CrossFitter({d: np.vstack([part[d] for part in three]) for d in known}, np.tile(s.fold, 3),
                         np.tile(s.data.w, 3), s.seed, s.progress)
    rows = int((1 - 1 / (s.fold.max() + 1)) * s.n)
    learners = chosen_learners(designs, outcome_learner, rows)
    return stage(engine, learners, np.tile(s.data.outcome, 3), np.repeat([True, False, False], s.n),
                 outcome_classifies(s.data, learners))
