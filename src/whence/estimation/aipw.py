"""Augmented inverse probability weighting, cross-fitted (double machine learning, interactive model)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.crossfit import CrossFitter, Nuisance, median_of_splits
from whence.estimation.inference import Answer, cluster_factor
from whence.estimation.ipw import continuous_refusal
from whence.estimation.overlap import require_overlap
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared, require_arms
from whence.estimation.regression import dropped_controls
from whence.stats.features import Features
from whence.stats.learners import MANY_ROWS, NAMES, Learner, candidates
from whence.stats.regress import covariance_matrix
from whence.stats.resample import folds

SMALLEST_ARM = 10

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
    parameters=(
        Parameter("outcome_learner", "choice", "auto", "Learner of the outcome by arm, or an object with fit and "
                  "predict. auto: linear, quadratic and boosting, stacked.", choices=NAMES),
        Parameter("treatment_learner", "choice", "auto", "Learner of the chance of each arm, or an object with fit "
                  "and predict_proba. auto: as for the outcome.", choices=NAMES),
        Parameter("n_folds", "int", 5, "Folds of the cross-fitting.", 2, 50),
        Parameter("n_splits", "int", None, "Repetitions with new folds, combined by the median. None: 3 below 5,000 "
                  "rows, where the folds matter, else 1.", 1, 99, optional=True),
        Parameter("clip", "float", 0.01, "Smallest chance of an arm used in a weight (or a tenth of the arm's share, "
                  "if that is smaller).", 0.0, 0.25),
        LEVEL,
    ),
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


@dataclass(frozen=True)
class _Nuisances:
    """outcome: (n, arms) predicted outcome in each arm. propensity: (n, arms). learned: what was learned."""

    outcome: np.ndarray
    propensity: np.ndarray
    learned: Mapping[str, Any]


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

    Refused: ``continuous_treatment``, ``small_arm``, ``no_controls``, ``more_features_than_rows``, ``no_overlap``.
    """
    if not data.treatment.discrete:
        return continuous_refusal(data, "aipw")
    enough = require_arms(data, SMALLEST_ARM)
    if isinstance(enough, Refused):
        return enough
    data = enough
    made = {degree: data.features(degree) for degree in (0, 1, 2)}
    for design in made.values():
        if isinstance(design, Refused):
            return design
    designs: dict[int, Features] = {d: f for d, f in made.items() if isinstance(f, Features)}
    if not designs[1].matrix.shape[1]:
        return Refused("no_controls", "There is nothing to adjust for, so there is nothing to learn.",
                       {"controls": list(data.spec.controls)}, "Use method='difference'.")
    n_folds = min(n_folds, _most_folds(data))
    if n_folds < 2:
        return Refused("too_few_clusters", "Some arm lies in a single cluster, so it cannot be predicted from others.",
                       {"clusters": data.n_clusters}, "Use method='regression' or a finer cluster column.")
    learners = _learners(data, designs, outcome_learner, treatment_learner, n_folds)
    n_splits = n_splits or (3 if data.n < MANY_ROWS else 1)
    runs = _runs(data, designs, learners, n_folds, n_splits, seed, progress)
    return _aggregate(data, designs[1], runs, clip, n_folds)


def _learners(
    data: Prepared, designs: dict[int, Features], outcome: Any, treatment: Any, n_folds: int
) -> tuple[tuple[Learner, ...], tuple[Learner, ...], bool]:
    """Outcome learners, treatment learners, and whether the outcome is learned as a probability."""
    width = designs[2].matrix.shape[1] + 1
    smallest = int(np.bincount(data.treatment.codes).min())
    kept = 1 - 1 / n_folds
    squares = designs[2].labels != designs[1].labels
    for_outcome = candidates(outcome, int(kept * smallest), width, squares)
    for_treatment = candidates(treatment, int(kept * smallest), width, squares)
    if any(learner.classes is None for learner in for_treatment):
        raise WhenceError(
            "The treatment learner must give probabilities (predict_proba).", code="bad_learner",
            value=for_treatment[0].name, allowed=NAMES,
        )
    binary = bool(np.isin(data.outcome, (0.0, 1.0)).all())
    classify = binary and all(learner.classes is not None for learner in for_outcome)
    if not classify and any(learner.numbers is None for learner in for_outcome):
        raise WhenceError(
            "The outcome learner is a classifier, but the outcome is not 0 or 1.", code="bad_learner",
            value=for_outcome[0].name, allowed=NAMES, hint="Use a regressor.",
        )
    return for_outcome, for_treatment, classify


def _most_folds(data: Prepared) -> int:
    """The fewest rows, or clusters, any arm has."""
    t = data.treatment
    if data.clusters is None:
        return int(np.bincount(t.codes).min())
    return min(len(np.unique(data.clusters[t.codes == arm])) for arm in range(len(t.arms)))


def _runs(
    data: Prepared, designs: dict[int, Features], learners: tuple, n_folds: int, n_splits: int, seed: int,
    progress: Progress,
) -> list[_Nuisances]:
    for_outcome, for_treatment, classify = learners
    t, arms = data.treatment, len(data.treatment.arms)
    progress.begin("cross-fitting", n_splits * n_folds * (arms * len(for_outcome) + len(for_treatment)))
    cache: dict[str, np.ndarray] = {}
    runs = []
    try:
        for split in range(n_splits):
            fold = folds(n_folds, t.codes, data.clusters, seed, split)
            engine = CrossFitter({d: f.matrix for d, f in designs.items()}, fold, data.w, seed, progress, cache)
            chance = engine.fit(for_treatment, t.codes, classes=arms)
            fitted = [_outcome(engine, data, for_outcome, arm, classify) for arm in range(arms)]
            learned = {"treatment": {"stack": chance.stack, "loss": chance.loss}} | {
                f"outcome, {t.name} = {name}": {"stack": m.stack, "loss": m.loss}
                for name, m in zip(t.arms, fitted, strict=True)
            }
            runs.append(_Nuisances(np.column_stack([m.predictions for m in fitted]), chance.predictions, learned))
    finally:
        progress.end()
    return runs


def _outcome(
    engine: CrossFitter, data: Prepared, learners: tuple[Learner, ...], arm: int, classify: bool
) -> Nuisance:
    train = data.treatment.codes == arm
    if not classify:
        return engine.fit(learners, data.outcome, train)
    found = engine.fit(learners, data.outcome.astype(np.int64), train, classes=2)
    return Nuisance(found.predictions[:, 1], found.stack, found.loss)


def _aggregate(
    data: Prepared, controls: Features, runs: list[_Nuisances], clip: float, n_folds: int
) -> Answer | Refused:
    t = data.treatment
    mean_propensity = np.mean([run.propensity for run in runs], axis=0)
    share = np.bincount(t.codes, weights=data.w, minlength=len(t.arms)) / data.n
    floor = np.minimum(clip, share / 10)
    overlap = require_overlap(data, mean_propensity, np.maximum(floor, 1e-12))
    if isinstance(overlap, Refused):
        return overlap
    diagnostics, remarks = overlap
    clipped = int((mean_propensity < floor).any(axis=1).sum())
    if clipped:
        remarks = (*remarks, Remark(
            "propensities_clipped", f"{clipped:,} of {data.n:,} rows have a chance of some arm below the smallest "
            "one used in weights, which is used instead.", (t.name,),
            {"rows": clipped, "smallest": dict(zip(t.arms, floor.tolist(), strict=True))},
        ))
    if controls.dropped:
        remarks = (*remarks, dropped_controls(controls))
    scored = [_scores(data, run.outcome, np.maximum(run.propensity, np.maximum(floor, 1e-12))) for run in runs]
    factor = cluster_factor(data.clusters)
    influences = [factor * psi for _, psi in scored]
    errors = np.array([np.sqrt(np.diagonal(covariance_matrix(psi, data.clusters))) for psi in influences])
    estimates, influence = median_of_splits(np.array([e for e, _ in scored]), influences, errors, data.clusters)
    spread = np.array([e[0] for e, _ in scored])
    return Answer(
        data, estimates=estimates, influence=influence, remarks=remarks, propensity=mean_propensity[:, 1],
        diagnostics=diagnostics | {
            "n_folds": n_folds, "n_splits": len(runs), "clipped": clipped, "learned": dict(runs[0].learned),
            "estimates_by_split": spread.tolist(), "standard_errors_by_split": errors[:, 0].tolist(),
            "controls_dropped": list(controls.dropped[:60]),
        },
    )


def _scores(data: Prepared, outcome: np.ndarray, propensity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
