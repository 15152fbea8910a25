"""Doubly robust effects by the front door: the efficient influence function of the front-door formula, cross-fitted.

    E[Y | do(b)] = E_C[ sum over a of P(a | C) E[ E[Y | a, M, C] | b, C ] ]

with mediators M and controls C (often none). No density of the mediators is needed, so they may be numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from whence.core.card import Card
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.crossfit import CrossFitter
from whence.estimation.frontdoor import LOW, REFUSED_SHARE, WARNED_SHARE, constant_mediator
from whence.estimation.inference import Answer
from whence.estimation.interactive import (
    CLIP,
    N_FOLDS,
    N_SPLITS,
    OUTCOME_LEARNER,
    SMALLEST_ARM,
    TREATMENT_LEARNER,
    chosen_learners,
    classifiers,
    combined,
    default_splits,
    designs_for,
    engine_of,
    most_folds,
    outcome_classifies,
    predicted_outcome,
)
from whence.estimation.ipw import continuous_refusal
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared, require_arms
from whence.stats.features import Features
from whence.stats.learners import Learner
from whence.stats.resample import folds

CARD = Card(
    name="frontdoor_dr",
    task="estimation",
    title="Doubly robust front-door estimate",
    summary="The front-door formula by cross-fitted learners, corrected so that errors in one of them do little harm.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "The treatment affects the outcome only through the mediators, nothing hidden affects both treatment and "
        "mediators, and given the treatment nothing hidden affects both mediators and outcome.",
        "Every value of the mediators could occur under every treatment.",
        "The learners come close enough to the functions they stand for (their errors multiply).",
    ),
    parameters=(OUTCOME_LEARNER, TREATMENT_LEARNER, N_FOLDS, N_SPLITS, CLIP, LEVEL),
    output="Effect",
    cost="n_splits x n_folds x (arms^2 + arms + 2) fits of each learner.",
    citations=(
        "Pearl (1995), Causal diagrams for empirical research, Biometrika 82, section 3.3",
        "Fulcher, Shpitser, Marealle and Tchetgen Tchetgen (2020), Robust inference on population indirect causal "
        "effects: the generalized front door criterion, Journal of the Royal Statistical Society B 82",
        "Chernozhukov et al. (2018), Double/debiased machine learning, Econometrics Journal 21",
    ),
    function="whence.estimation.frontdoor_dr:frontdoor_dr",
    strategies=("frontdoor",),
    quantities=("ATE",),
)


@dataclass(frozen=True)
class _Nuisances:
    """Of one split, out of fold. outcome: (n, arms), E[Y | a, M, C]. share: (n, arms), P(a | C). given: (n, arms),
    P(a | M, C). through: (n, arms, arms), E[ E[Y | a, M, C] | b, C ] at [:, a, b]."""

    outcome: np.ndarray
    share: np.ndarray
    given: np.ndarray
    through: np.ndarray


@dataclass(frozen=True)
class _Plan:
    """The designs (by degree) of the controls, and of mediators and controls together, with the learners on each."""

    whole: Prepared
    controls: dict[int, Features]
    both: dict[int, Features]
    outcome: tuple[Learner, ...]
    classify: bool
    treatment: tuple[Learner, ...]
    treatment_given: tuple[Learner, ...]
    through: tuple[Learner, ...]


def frontdoor_dr(
    data: Prepared, *, outcome_learner: Any = "auto", treatment_learner: Any = "auto", n_folds: int = 5,
    n_splits: int | None = None, clip: float = 0.01, level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """Cross-fitted front-door estimate for a treatment with two or more arms.

    With mu_a = E[Y | a, M, C], pi_a = P(a | C), lambda_a = P(a | M, C) and k_ab = E[mu_a | b, C], the score of arm b is
    (Fulcher et al. 2020, theorem 1, the ratio of densities of M by Bayes' rule)

        (Y - mu_A) lambda_b pi_A / (lambda_A pi_b) + 1{A = b} / pi_b * sum over a of pi_a (mu_a - k_ab) + k_Ab,

    whose mean is E[Y | do(b)] when mu is right or both lambda and pi are, and k is right or pi is. Effects are
    differences from the first arm. Folds keep clusters whole; splits are combined by the median.

    Refused: ``continuous_treatment``, ``small_arm``, ``mediator_constant``, ``positivity`` (mediators that tell the
    treatments apart), ``more_features_than_rows``.
    """
    if not data.treatment.discrete:
        refused = continuous_refusal(data, "frontdoor_dr")
        return replace(refused, remedy="Use method='frontdoor', or read the table with this column as categorical.")
    enough = require_arms(data, SMALLEST_ARM)
    if isinstance(enough, Refused):
        return enough
    data = enough
    constant = constant_mediator(data)
    if constant is not None:
        return constant
    n_folds = min(n_folds, most_folds(data, data.treatment.codes))
    plan = _plan(data, outcome_learner, treatment_learner, n_folds)
    if isinstance(plan, Refused):
        return plan
    runs = _runs(data, plan, n_folds, n_splits or default_splits(data.n), seed, progress)
    t = data.treatment
    shares = np.bincount(t.codes, data.w, len(t.arms)) / data.n
    told = _overlap(data, np.mean([run.given for run in runs], axis=0), shares)
    if isinstance(told, Refused):
        return told
    lacking, remarks = told
    lowest = np.maximum(np.minimum(clip, shares / 10), 1e-12)
    scored = [_scores(data, run, lowest) for run in runs]
    estimates, influence, by_split = combined(data, scored)
    return Answer(
        data, estimates=estimates, influence=influence, remarks=remarks,
        propensity=np.mean([run.share for run in runs], axis=0)[:, 1],
        diagnostics={"mediators": list(data.spec.mediators), "share_without_counterpart": lacking, "n_folds": n_folds,
                     "n_splits": len(runs), **by_split},
    )


def _plan(data: Prepared, outcome: Any, treatment: Any, n_folds: int) -> _Plan | Refused:
    spec = data.spec
    wide = spec.replace(strategy="adjustment", controls=(*spec.controls, *spec.mediators), mediators=())
    whole = replace(data, spec=wide, designs={})
    controls, both = designs_for(data, outcome, treatment), designs_for(whole, outcome, treatment)
    for design in (controls, both):
        if isinstance(design, Refused):
            return design
    assert isinstance(controls, dict)
    assert isinstance(both, dict)
    rows = int((1 - 1 / n_folds) * int(np.bincount(data.treatment.codes).min()))
    for_outcome = chosen_learners(both, outcome, rows)
    through = chosen_learners(controls, outcome, rows)
    if any(learner.numbers is None for learner in through):  # a mean of probabilities is no class
        through = chosen_learners(controls, "linear", rows)
    return _Plan(
        whole, controls, both, for_outcome, outcome_classifies(data, for_outcome),
        classifiers(chosen_learners(controls, treatment, rows)), classifiers(chosen_learners(both, treatment, rows)),
        through)


def _runs(
    data: Prepared, plan: _Plan, n_folds: int, n_splits: int, seed: int, progress: Progress
) -> list[_Nuisances]:
    arms = len(data.treatment.arms)
    each = arms * len(plan.outcome) + arms**2 * len(plan.through) + len(plan.treatment) + len(plan.treatment_given)
    progress.begin("cross-fitting", n_splits * n_folds * each)
    try:
        runs = []
        for split in range(n_splits):
            fold = folds(n_folds, data.treatment.codes, data.clusters, seed, split)
            narrow = engine_of(data, plan.controls, fold, seed, progress)
            wide = engine_of(plan.whole, plan.both, fold, seed, progress)
            runs.append(_nuisances(data, plan, narrow, wide))
        return runs
    finally:
        progress.end()


def _nuisances(data: Prepared, plan: _Plan, narrow: CrossFitter, wide: CrossFitter) -> _Nuisances:
    codes, arms = data.treatment.codes, len(data.treatment.arms)
    outcome = np.column_stack([
        predicted_outcome(wide, data.outcome, plan.outcome, plan.classify, codes == a).predictions
        for a in range(arms)])
    # The targets are out-of-fold predictions themselves; what a fold's rows add to them is of second order, since
    # errors of this regression enter only multiplied by errors of the chances of treatment.
    through = np.stack([
        np.column_stack([narrow.fit(plan.through, outcome[:, a], codes == b).predictions for b in range(arms)])
        for a in range(arms)], axis=1)
    share = narrow.fit(plan.treatment, codes, classes=arms).predictions
    given = wide.fit(plan.treatment_given, codes, classes=arms).predictions
    return _Nuisances(outcome, share, given, through)


def _scores(data: Prepared, run: _Nuisances, lowest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Estimates (m,) and influence values (n, m) of every arm against the first, for one split."""
    codes, rows = data.treatment.codes, np.arange(data.n)
    share, given = np.maximum(run.share, lowest), np.maximum(run.given, lowest)
    residual = data.outcome - run.outcome[rows, codes]
    scores = []
    for b in range(len(data.treatment.arms)):
        ratio = given[:, b] / given[rows, codes] * share[rows, codes] / share[:, b]
        averaged = (share * (run.outcome - run.through[:, :, b])).sum(axis=1)
        scores.append(residual * ratio + (codes == b) / share[:, b] * averaged + run.through[rows, codes, b])
    gaps = np.column_stack(scores[1:]) - scores[0][:, None]
    estimates = data.w @ gaps / data.n
    return estimates, data.w[:, None] * (gaps - estimates)


def _overlap(
    data: Prepared, given: np.ndarray, shares: np.ndarray
) -> tuple[float, tuple[Remark, ...]] | Refused:
    """The share of rows whose mediators (and controls) almost rule out some arm."""
    t = data.treatment
    lacking = float(data.w @ (given < LOW * shares).any(axis=1)) / data.n
    evidence: Mapping[str, Any] = {"share_without_counterpart": lacking, "limit": REFUSED_SHARE}
    text = (f"For {lacking:.0%} of the rows the values of {', '.join(sorted(data.spec.mediators))} almost never occur "
            f"under another value of {t.name}")
    if lacking > REFUSED_SHARE:
        return Refused("positivity", f"{text}, so what the mediators do there cannot be told from what {t.name} does.",
                       evidence, "Choose mediators that the treatment moves less, or ask about a narrower population.")
    if lacking > WARNED_SHARE:
        return lacking, (Remark("weak_overlap", f"{text}; few rows weigh much there.", (t.name,), evidence),)
    return lacking, ()
