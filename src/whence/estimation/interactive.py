"""Nuisances of the interactive model, cross-fitted: the outcome in each arm and the chance of each arm.

AIPW and targeted maximum likelihood start from the same ones, so whichever comes second refits nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.card import Parameter
from whence.core.errors import WhenceError
from whence.core.hashing import content_hash
from whence.core.progress import Progress
from whence.core.result import Refused, Remark
from whence.estimation.crossfit import CrossFitter, Nuisance, median_of_splits
from whence.estimation.inference import cluster_factor
from whence.estimation.overlap import require_overlap
from whence.estimation.prepare import Prepared, require_arms
from whence.estimation.regression import dropped_controls
from whence.stats.features import Features
from whence.stats.learners import LEARNERS, MANY_ROWS, NAMES, Learner, candidates
from whence.stats.regress import covariance_matrix
from whence.stats.resample import folds

SMALLEST_ARM = 10

OUTCOME_LEARNER = Parameter(
    "outcome_learner", "choice", "auto", "Learner of the outcome by arm, or an object with fit and predict. auto: "
    "linear, quadratic and boosting, stacked.", choices=NAMES)
TREATMENT_LEARNER = Parameter(
    "treatment_learner", "choice", "auto", "Learner of the chance of each arm, or an object with fit and "
    "predict_proba. auto: as for the outcome.", choices=NAMES)
N_FOLDS = Parameter("n_folds", "int", 5, "Folds of the cross-fitting.", 2, 50)
N_SPLITS = Parameter("n_splits", "int", None, "Repetitions with new folds, combined by the median. None: 3 below 5,000 "
                     "rows, where the folds matter, else 1.", 1, 99, optional=True)
CLIP = Parameter("clip", "float", 0.01, "Smallest chance of an arm used in a weight (or a tenth of the arm's share, "
                 "if that is smaller).", 0.0, 0.25)


@dataclass(frozen=True)
class Nuisances:
    """outcome: (n, arms) predicted outcome in each arm. propensity: (n, arms), clipped. learned: what was learned."""

    outcome: np.ndarray
    propensity: np.ndarray
    learned: Mapping[str, Any]


@dataclass(frozen=True)
class Interactive:
    """The nuisances of every split, and what they say about overlap.

    data: the rows used. propensity: (n, arms), median over splits, not clipped. diagnostics, remarks: of overlap and
    clipping.
    """

    data: Prepared
    runs: tuple[Nuisances, ...]
    propensity: np.ndarray
    diagnostics: Mapping[str, Any]
    remarks: tuple[Remark, ...]


def interactive(
    data: Prepared, outcome_learner: Any, treatment_learner: Any, n_folds: int, n_splits: int | None, clip: float,
    seed: int, progress: Progress,
) -> Interactive | Refused:
    """Cross-fitted nuisances of a treatment with two or more arms.

    Folds keep clusters whole and arms in proportion. Refused: ``continuous_treatment``, ``small_arm``,
    ``no_controls``, ``more_features_than_rows``, ``too_few_clusters``, ``no_overlap``. Raises ``WhenceError``
    (``bad_learner``, ``unknown_learner``, ``not_installed``).
    """
    from whence.estimation.ipw import continuous_refusal

    if not data.treatment.discrete:
        return continuous_refusal(data, "aipw")
    enough = require_arms(data, SMALLEST_ARM)
    if isinstance(enough, Refused):
        return enough
    data = enough
    designs = designs_for(data, outcome_learner, treatment_learner)
    if isinstance(designs, Refused):
        return designs
    if not designs[1].matrix.shape[1]:
        return Refused("no_controls", "There is nothing to adjust for, so there is nothing to learn.",
                       {"controls": list(data.spec.controls)}, "Use method='difference'.")
    n_folds = min(n_folds, most_folds(data, data.treatment.codes))
    if n_folds < 2:
        return Refused("too_few_clusters", "Some arm lies in a single cluster, so it cannot be predicted from others.",
                       {"clusters": data.n_clusters}, "Use method='regression' or a finer cluster column.")
    learners = _learners(data, designs, outcome_learner, treatment_learner, n_folds)
    n_splits = n_splits or default_splits(data.n)
    runs = _runs(data, designs, learners, n_folds, n_splits, seed, progress)
    return _with_overlap(data, designs[1], runs, clip, n_folds)


def default_splits(n: int) -> int:
    return 3 if n < MANY_ROWS else 1


def designs_for(data: Prepared, *learners: Any) -> dict[int, Features] | Refused:
    """The designs, by degree, that these learners want; always degree 1."""
    degrees = {1}
    for learner in learners:
        known = isinstance(learner, str) and learner in LEARNERS
        degrees |= {0, 2} if learner == "auto" else {LEARNERS[learner].degree if known else 1}
    made = {}
    for degree in sorted(degrees):
        design = data.features(degree)
        if isinstance(design, Refused):
            return design
        made[degree] = design
    return made


def engine_of(
    data: Prepared, designs: dict[int, Features], fold: np.ndarray, seed: int, progress: Progress
) -> CrossFitter:
    """The cross-fitting engine on these designs of the controls; they follow from the table, the rows and the names."""
    rows = content_hash(data.rows)
    contents = {degree: content_hash(data.table.hash, sorted(data.spec.controls), rows, degree) for degree in designs}
    return CrossFitter({d: f.matrix for d, f in designs.items()}, fold, data.w, seed, progress, contents=contents)


def chosen_learners(designs: dict[int, Features], given: Any, rows: int) -> tuple[Learner, ...]:
    """``candidates`` for designs made by ``designs_for``. rows: the fewest that a fit will see."""
    last = designs.get(2, designs[1])
    return candidates(given, rows, last.matrix.shape[1] + 1, last.labels != designs[1].labels)


def classifiers(learners: tuple[Learner, ...]) -> tuple[Learner, ...]:
    """The same learners, when all give probabilities. Raises ``WhenceError`` (``bad_learner``)."""
    if any(learner.classes is None for learner in learners):
        raise WhenceError(
            "The treatment learner must give probabilities (predict_proba).", code="bad_learner",
            value=learners[0].name, allowed=NAMES,
        )
    return learners


def outcome_classifies(data: Prepared, learners: tuple[Learner, ...]) -> bool:
    """Whether the outcome is learned as a probability: it is 0 or 1 and the learners can."""
    binary = bool(np.isin(data.outcome, (0.0, 1.0)).all())
    classify = binary and all(learner.classes is not None for learner in learners)
    if not classify and any(learner.numbers is None for learner in learners):
        raise WhenceError(
            "The outcome learner is a classifier, but the outcome is not 0 or 1.", code="bad_learner",
            value=learners[0].name, allowed=NAMES, hint="Use a regressor.",
        )
    return classify


def _learners(
    data: Prepared, designs: dict[int, Features], outcome: Any, treatment: Any, n_folds: int
) -> tuple[tuple[Learner, ...], tuple[Learner, ...], bool]:
    """Outcome learners, treatment learners, and whether the outcome is learned as a probability."""
    rows = int((1 - 1 / n_folds) * int(np.bincount(data.treatment.codes).min()))
    for_outcome = chosen_learners(designs, outcome, rows)
    for_treatment = classifiers(chosen_learners(designs, treatment, rows))
    return for_outcome, for_treatment, outcome_classifies(data, for_outcome)


def most_folds(data: Prepared, codes: np.ndarray) -> int:
    """The fewest rows, or clusters, that any arm (``codes``, int (n,)) has."""
    if data.clusters is None:
        return int(np.bincount(codes).min())
    return min(len(np.unique(data.clusters[codes == arm])) for arm in np.unique(codes))


def _runs(
    data: Prepared, designs: dict[int, Features], learners: tuple, n_folds: int, n_splits: int, seed: int,
    progress: Progress,
) -> list[Nuisances]:
    for_outcome, for_treatment, classify = learners
    t, arms = data.treatment, len(data.treatment.arms)
    progress.begin("cross-fitting", n_splits * n_folds * (arms * len(for_outcome) + len(for_treatment)))
    runs = []
    try:
        for split in range(n_splits):
            fold = folds(n_folds, t.codes, data.clusters, seed, split)
            engine = engine_of(data, designs, fold, seed, progress)
            chance = engine.fit(for_treatment, t.codes, classes=arms)
            fitted = [predicted_outcome(engine, data.outcome, for_outcome, classify, t.codes == arm)
                      for arm in range(arms)]
            learned = {"treatment": {"stack": chance.stack, "loss": chance.loss}} | {
                f"outcome, {t.name} = {name}": {"stack": m.stack, "loss": m.loss}
                for name, m in zip(t.arms, fitted, strict=True)
            }
            runs.append(Nuisances(np.column_stack([m.predictions for m in fitted]), chance.predictions, learned))
    finally:
        progress.end()
    return runs


def predicted_outcome(
    engine: CrossFitter, outcome: np.ndarray, learners: tuple[Learner, ...], classify: bool,
    train: np.ndarray | None = None,
) -> Nuisance:
    """Mean of the outcome (n,) given the controls, learned on ``train``; as a probability if ``classify``."""
    if not classify:
        return engine.fit(learners, outcome, train)
    found = engine.fit(learners, outcome.astype(np.int64), train, classes=2)
    return Nuisance(found.predictions[:, 1], found.stack, found.loss)


def _with_overlap(
    data: Prepared, controls: Features, runs: list[Nuisances], clip: float, n_folds: int
) -> Interactive | Refused:
    t = data.treatment
    propensity = np.median([run.propensity for run in runs], axis=0)
    propensity = propensity / propensity.sum(axis=1, keepdims=True)
    share = np.bincount(t.codes, weights=data.w, minlength=len(t.arms)) / data.n
    floor = np.minimum(clip, share / 10)
    lowest = np.maximum(floor, 1e-12)
    overlap = require_overlap(data, propensity, lowest)
    if isinstance(overlap, Refused):
        return overlap
    diagnostics, remarks = overlap
    clipped = int((propensity < floor).any(axis=1).sum())
    if clipped:
        remarks = (*remarks, Remark(
            "propensities_clipped", f"{clipped:,} of {data.n:,} rows have a chance of some arm below the smallest "
            "one used in weights, which is used instead.", (t.name,),
            {"rows": clipped, "smallest": dict(zip(t.arms, floor.tolist(), strict=True))},
        ))
    if controls.dropped:
        remarks = (*remarks, dropped_controls(controls))
    raised = tuple(Nuisances(run.outcome, np.maximum(run.propensity, lowest), run.learned) for run in runs)
    return Interactive(
        data, raised, propensity,
        diagnostics | {"n_folds": n_folds, "n_splits": len(runs), "clipped": clipped, "learned": dict(runs[0].learned),
                       "controls_dropped": list(controls.dropped[:60])}, remarks,
    )


def combined(
    data: Prepared, scored: list[tuple[np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray, dict[str, list[float]]]:
    """Estimates (m,), influence values (n, m), and the first comparison by split, of (estimates, influence) by split.

    The factor for few clusters is included.
    """
    factor = cluster_factor(data.clusters)
    influences = [factor * psi for _, psi in scored]
    errors = np.array([np.sqrt(np.diagonal(covariance_matrix(psi, data.clusters))) for psi in influences])
    by_split = np.array([e for e, _ in scored])
    estimates, influence = median_of_splits(by_split, influences, errors, data.clusters)
    return estimates, influence, {"estimates_by_split": by_split[:, 0].tolist(),
                                  "standard_errors_by_split": errors[:, 0].tolist()}
