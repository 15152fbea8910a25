"""The partially linear model by double machine learning: an effect that is the same for all, controls in any shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.crossfit import CrossFitter
from whence.estimation.inference import Answer, Errors
from whence.estimation.interactive import (
    N_FOLDS,
    N_SPLITS,
    chosen_learners,
    combined,
    default_splits,
    designs_for,
    engine_of,
    most_folds,
    outcome_classifies,
    predicted_outcome,
)
from whence.estimation.joint_slopes import Slopes, joint_slopes
from whence.estimation.linear_errors import described
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.estimation.regression import dropped_controls
from whence.estimation.sensitivity_elements import median_elements, partially_linear_elements
from whence.stats.learners import NAMES, Learner
from whence.stats.resample import folds

EXPLAINED = 1e-6  # a share of what the treatment varies, below which the controls explain it all
FEWEST = 20  # rows

OUTCOME_LEARNER = Parameter("outcome_learner", "choice", "auto", "Learner of the outcome, or an object with fit and "
                            "predict. auto: linear, quadratic and boosting, stacked.", choices=NAMES)
TREATMENT_LEARNER = Parameter("treatment_learner", "choice", "auto", "Learner of the treatment, as a probability when "
                              "it has two values, or an object with fit and predict or predict_proba. auto: as for "
                              "the outcome.", choices=NAMES)

CARD = Card(
    name="partially_linear",
    task="estimation",
    title="Partially linear model by double machine learning",
    summary="Takes out of outcome and treatment what the controls predict, by any learner, and regresses what is left "
    "of the one on what is left of the other.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Among people alike in the controls, the treatment has nothing else to do with the outcome.",
        "The effect is linear in the treatment and the same for everybody; if it is not, the answer is an average with "
        "more weight where the treatment varies more given the controls.",
        "The learners come close enough to the outcome and the treatment given the controls (their errors multiply).",
    ),
    parameters=(OUTCOME_LEARNER, TREATMENT_LEARNER, N_FOLDS, N_SPLITS, LEVEL),
    output="Effect",
    cost="n_splits x n_folds x 2 fits of each learner; linear learners take two passes over the rows for all folds.",
    citations=(
        "Robinson (1988), Root-N-consistent semiparametric regression, Econometrica 56",
        "Chernozhukov et al. (2018), Double/debiased machine learning, Econometrics Journal 21",
        "Bell and McCaffrey (2002), Bias reduction in standard errors for linear regression with multi-stage samples, "
        "Survey Methodology 28",
    ),
    function="whence.estimation.partially_linear:partially_linear",
    quantities=("ATE",),
    several_treatments=True,
)


def partially_linear(
    data: Prepared, *, outcome_learner: Any = "auto", treatment_learner: Any = "auto", n_folds: int = 5,
    n_splits: int | None = None, level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """The slope of the outcome on the treatment, both less what the controls predict of them.

    With l(x) the outcome and m(x) the treatment given the controls, from other folds, u = y - l and v = d - m, the
    orthogonal score is (u - theta v) v (Chernozhukov et al. 2018, eq. 4.4); several treatments enter side by side, v a
    column for each. Errors are the jackknife's, by row (HC3) or cluster (CR3, with the factor G / (G - 1)), with
    degrees of freedom to match (``joint_slopes``); splits are combined by the median.

    Refused: ``several_arms``, ``too_few_rows``, ``no_controls``, ``more_features_than_rows``,
    ``treatment_is_control``. Raises ``WhenceError`` (``bad_learner``, ``unknown_learner``, ``not_installed``).
    """
    if len(data.treatment.arms) > 2:
        return several_arms(data)
    parts = {t.name: t.values for t in data.treatments}
    made = residuals(data, parts, outcome_learner, treatment_learner, n_folds, n_splits, seed, progress, len(parts))
    if isinstance(made, Refused):
        return made
    steps = np.array([t.step for t in data.treatments])
    fits = [joint_slopes(run.outcome, run.others / steps, data.w, data.clusters) for run in made.runs]
    estimates, influence, by_split = combined(data, [(fit.estimates, fit.influence) for fit in fits])
    found = [partially_linear_elements(fit.residual, fit.apart[:, 0], _plain(fit, data), data.w, data.clusters)
             for fit in fits]
    explained = 1 - np.median([run.left for run in made.runs], axis=0)
    return Answer(
        data, estimates, influence, remarks=made.remarks,
        errors=errors_of(data, np.median([fit.df for fit in fits], axis=0)),
        labels=tuple(parts) if data.others else None, diagnostics=by_split | {
            "n_folds": made.n_folds, "n_splits": len(made.runs), "learned": made.runs[0].learned,
            "omitted_variable": median_elements(found), "controls_dropped": list(made.dropped[:60]),
            "treatment_explained": float(explained[0]),
            **({"treatments_explained": dict(zip(parts, explained.tolist(), strict=True))} if data.others else {}),
        })


def _plain(fit: Slopes, data: Prepared) -> np.ndarray:
    """Influence values (n,) of the first slope, without the jackknife's factor."""
    apart = fit.apart[:, 0]
    return data.w * apart * fit.residual * data.n / float(data.w @ apart**2)


def errors_of(data: Prepared, df: np.ndarray) -> Errors | None:
    """The jackknife errors in words, with their degrees of freedom; None where the data have errors of their own."""
    if data.dependence is not None:
        return None
    name = "HC3" if data.clusters is None else "CR3"
    return Errors(name, described(data, name, float(df[0])), df)


@dataclass(frozen=True)
class Run:
    """One split. outcome: (n,) and others: (n, k), less what the controls predict. left: share of the variance of each
    of the others that remains. learned: what was learned."""

    outcome: np.ndarray
    others: np.ndarray
    left: tuple[float, ...]
    learned: dict[str, Any]


@dataclass(frozen=True)
class Residuals:
    """The residuals of every split, and what is to be said. dropped: control columns left out."""

    runs: tuple[Run, ...]
    n_folds: int
    dropped: tuple[str, ...]
    remarks: tuple[Remark, ...]


def residuals(
    data: Prepared, others: dict[str, np.ndarray], outcome_learner: Any, treatment_learner: Any, n_folds: int,
    n_splits: int | None, seed: int, progress: Progress, treatments: int = 1,
) -> Residuals | Refused:
    """The outcome and ``others`` (treatments first, then instruments, (n,) each) less their cross-fitted predictions.

    treatments: how many of the others are. Refusals and errors as in ``partially_linear``.
    """
    designs = designs_for(data, outcome_learner, treatment_learner)
    if isinstance(designs, Refused):
        return designs
    if not designs[1].matrix.shape[1]:
        return Refused("no_controls", "There are no controls to take out of the treatment and the outcome.",
                       {"controls": list(data.spec.controls)}, "Leave the method open ('auto').")
    if data.n < FEWEST:
        return Refused("too_few_rows", f"{data.n} rows are too few to learn from one part what the other holds.",
                       {"rows": data.n, "needed": FEWEST}, "Use method='regression'.")
    strata = data.treatment.codes
    n_folds = min(n_folds, most_folds(data, strata))
    rows = int((1 - 1 / n_folds) * data.n)
    fits = _Fits(
        chosen_learners(designs, outcome_learner, rows), chosen_learners(designs, treatment_learner, rows), others)
    n_splits = n_splits or default_splits(data.n)
    progress.begin("cross-fitting", n_splits * n_folds * (len(fits.outcome) + len(others) * len(fits.treatment)))
    runs = []
    try:
        for split in range(n_splits):
            fold = folds(n_folds, strata, data.clusters, seed, split)
            engine = engine_of(data, designs, fold, seed, progress)
            runs.append(_run(data, engine, fits))
    finally:
        progress.end()
    refused = _explained(data, runs, list(others)[:treatments])
    if refused is not None:
        return refused
    remarks = (dropped_controls(designs[1]),) if designs[1].dropped else ()
    return Residuals(tuple(runs), n_folds, designs[1].dropped, remarks)


def _explained(data: Prepared, runs: list[Run], treatments: list[str]) -> Refused | None:
    """Why nothing is left of a treatment, the first of the others of each run, once the rest is held fixed."""
    root = np.sqrt(data.w)[:, None]
    for j, name in enumerate(treatments):
        by, left = "The controls", min(run.left[j] for run in runs)
        if left > EXPLAINED and len(treatments) > 1:
            by = "The other treatments and the controls"
            for run in runs:
                one, rest = root[:, 0] * run.others[:, j], root * np.delete(run.others[:, : len(treatments)], j, axis=1)
                gap = one - rest @ np.linalg.lstsq(rest, one, rcond=None)[0]
                left = min(left, run.left[j] * float(gap @ gap / (one @ one)))
        if left <= EXPLAINED:
            return Refused("treatment_is_control", f"{by} explain {name!r} completely, so there is nothing left of "
                           "it to compare.", {"treatment": name, "left": left}, "Leave out what determines it.")
    return None


@dataclass(frozen=True)
class _Fits:
    outcome: tuple[Learner, ...]
    treatment: tuple[Learner, ...]
    others: dict[str, np.ndarray]


def _run(data: Prepared, engine: CrossFitter, fits: _Fits) -> Run:
    mean = predicted_outcome(engine, data.outcome, fits.outcome, outcome_classifies(data, fits.outcome))
    learned: dict[str, Any] = {"outcome": {"stack": mean.stack, "loss": mean.loss}}
    rest, left = np.empty((data.n, len(fits.others))), []
    for j, (name, values) in enumerate(fits.others.items()):
        low, high = float(values.min()), float(values.max())
        two = high > low and bool(((values == low) | (values == high)).all())
        classify = two and all(learner.classes is not None for learner in fits.treatment)
        if not classify and any(learner.numbers is None for learner in fits.treatment):
            raise WhenceError("The treatment learner is a classifier, but the treatment is a dose.", code="bad_learner",
                              value=fits.treatment[0].name, allowed=NAMES, hint="Use a regressor.")
        if classify:
            found = engine.fit(fits.treatment, (values == high).astype(np.int64), classes=2)
            rest[:, j] = values - low - (high - low) * found.predictions[:, 1]
        else:
            found = engine.fit(fits.treatment, values)
            rest[:, j] = values - found.predictions
        learned["treatment" if j == 0 else name] = {"stack": found.stack, "loss": found.loss}
        centred = values - data.w @ values / data.n
        total = float(data.w @ centred**2)
        left.append(float(data.w @ rest[:, j] ** 2) / total if total > 0 else 0.0)
    return Run(data.outcome - mean.predictions, rest, tuple(left), learned)


def several_arms(data: Prepared) -> Refused:
    """A treatment with several values that are not numbers is not one quantity."""
    t = data.treatment
    return Refused("several_arms", f"The treatment {t.name!r} has {len(t.arms)} values that are not numbers; this "
                   "model has one slope.", {"arms": list(t.arms)},
                   "Compare two of them: limit the population to these, make a numeric treatment, or use 'aipw'.")
