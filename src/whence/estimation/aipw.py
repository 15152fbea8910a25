"""Augmented inverse probability weighting, cross-fitted (double machine learning, interactive model)."""

from __future__ import annotations

from typing import Any

import numpy as np

from whence.core.card import Card
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused
from whence.estimation.inference import Answer
from whence.estimation.interactive import (
    CLIP,
    N_FOLDS,
    N_SPLITS,
    OUTCOME_LEARNER,
    TREATMENT_LEARNER,
    Nuisances,
    combined,
    interactive,
)
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.estimation.sensitivity_elements import interactive_elements, median_elements

CARD = Card(
    name="aipw",
    task="estimation",
    title="Cross-fitted augmented inverse probability weighting",
    summary="Predicted outcomes by arm, corrected by weighted residuals; right when either the outcome or the "
    "propensity model is, and valid with flexible learners.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Among people alike in the controls, who was treated has nothing else to do with the outcome.",
        "People of every kind in the controls could have been in either arm.",
        "The learners come close enough to the outcome and propensity functions (their errors multiply).",
    ),
    parameters=(OUTCOME_LEARNER, TREATMENT_LEARNER, N_FOLDS, N_SPLITS, CLIP, LEVEL),
    output="Effect",
    cost="n_splits x n_folds x (arms + 1) fits of each learner.",
    citations=(
        "Robins, Rotnitzky and Zhao (1994), Estimation of regression coefficients when some regressors are not "
        "always observed, JASA 89",
        "Chernozhukov et al. (2018), Double/debiased machine learning, Econometrics Journal 21",
        "Ahrens, Hansen, Schaffer and Wiemann (2025), Model averaging and double machine learning, J. Applied "
        "Econometrics 40",
    ),
    function="whence.estimation.aipw:aipw",
)


def aipw(
    data: Prepared, *, outcome_learner: Any = "auto", treatment_learner: Any = "auto", n_folds: int = 5,
    n_splits: int | None = None, clip: float = 0.01, level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """Cross-fitted AIPW for treatments with two or more arms.

    With m_b(x) the predicted outcome and e_b(x) the chance of arm b, both from other folds, the scores are
    (Chernozhukov et al. 2018, eq. 5.3 and 5.4, treatment a against control 0):

        ATE  m_a - m_0 + D_a (y - m_a) / e_a - D_0 (y - m_0) / e_0
        ATT  (D_a (y - m_0) - D_0 e_a / e_0 (y - m_0)) / P(a);   ATC likewise with the arms exchanged.

    Folds keep clusters whole and arms in proportion; splits are combined by the median.

    Refused: those of ``interactive``.
    """
    made = interactive(data, outcome_learner, treatment_learner, n_folds, n_splits, clip, seed, progress)
    if isinstance(made, Refused):
        return made
    data = made.data
    scored = [arm_scores(data, run.outcome, run.propensity) for run in made.runs]
    estimates, influence, by_split = combined(data, scored)
    diagnostics = {**made.diagnostics, **by_split}
    if data.spec.quantity == "ATE" and len(data.treatment.arms) == 2:
        diagnostics["omitted_variable"] = median_elements(
            [elements(data, run, psi[:, 0]) for run, (_, psi) in zip(made.runs, scored, strict=True)])
    return Answer(data, estimates=estimates, influence=influence, remarks=made.remarks,
                  propensity=made.propensity[:, 1], diagnostics=diagnostics, common=data.spec.quantity == "ATE")


def elements(data: Prepared, run: Nuisances, influence: np.ndarray) -> dict[str, Any] | None:
    """What the bias of an omitted variable scales with, for two arms."""
    treated = (data.treatment.codes == 1).astype(float)
    own = np.take_along_axis(run.outcome, data.treatment.codes[:, None], axis=1)[:, 0]
    chance = run.propensity[:, 1] / run.propensity.sum(axis=1)
    return interactive_elements(data.outcome - own, treated, chance, influence, data.w, data.clusters)


def arm_scores(data: Prepared, outcome: np.ndarray, propensity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Estimates (m,) and influence values (n, m) of every arm against the first, for one split."""
    arms = range(1, len(data.treatment.arms))
    pairs = [_score(data, outcome, propensity, arm) for arm in arms]
    return np.array([e for e, _ in pairs]), np.column_stack([psi for _, psi in pairs])


def _score(data: Prepared, outcome: np.ndarray, propensity: np.ndarray, arm: int) -> tuple[float, np.ndarray]:
    codes, y, w = data.treatment.codes, data.outcome, data.w
    inside = {b: (codes == b).astype(float) for b in (0, arm)}
    residual = {b: y - outcome[:, b] for b in (0, arm)}
    if data.spec.quantity == "ATE":
        score = outcome[:, arm] - outcome[:, 0]
        score = score + inside[arm] * residual[arm] / propensity[:, arm] - inside[0] * residual[0] / propensity[:, 0]
        target = np.ones(data.n)
    else:
        # The arm asked about keeps its outcomes; the other arm's mean is carried over to it.
        asked, other, sign = (arm, 0, 1.0) if data.spec.quantity == "ATT" else (0, arm, -1.0)
        odds = propensity[:, asked] / propensity[:, other]
        score = sign * (inside[asked] - inside[other] * odds) * residual[other]
        target = inside[asked]
    size = float(w @ target) / data.n
    estimate = float(w @ score) / data.n / size
    return estimate, w * (score - target * estimate) / size
