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
)


def partially_linear(
    data: Prepared, *, outcome_learner: Any = "auto", treatment_learner: Any = "auto", n_folds: int = 5,
    n_splits: int | None = None, level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """The slope of the outcome on the treatment, both less what the controls predict of them.

    With l(x) the outcome and m(x) the treatment given the controls, from other folds, u = y - l and v = d - m, the
    orthogonal score is (u - theta v) v (Chernozhukov et al. 2018, eq. 4.4). The score of a row or cluster is divided by
    one less its share of the sum of v^2, as in HC3 (the answer without it, Bell and McCaffrey 2002), with the factor
    G / (G - 1) for clusters, and the t distribution has the degrees of freedom that these errors would have with rows
    alike and independent (see ``freedom``); splits are combined by the median.

    Refused: ``several_arms``, ``too_few_rows``, ``no_controls``, ``more_features_than_rows``, ``too_few_clusters``,
    ``treatment_is_control``. Raises ``WhenceError`` (``bad_learner``, ``unknown_learner``, ``not_installed``).
    """
    t = data.treatment
    if len(t.arms) > 2:
        return several_arms(data)
    made = residuals(data, {t.name: t.values}, outcome_learner, treatment_learner, n_folds, n_splits, seed, progress)
    if isinstance(made, Refused):
        return made
    w, scored, found, df = data.w, [], [], []
    for run in made.runs:
        u, v = run.outcome, run.others[:, 0] / t.step
        mass = float(w @ v**2) / data.n
        theta = float(w @ (u * v)) / data.n / mass
        influence = w * v * (u - theta * v) / mass
        share = leverage(w * v**2, data.clusters)
        scored.append((np.array([theta]), (influence / (1 - share))[:, None]))
        df.append(freedom(share, data.clusters))
        found.append(partially_linear_elements(u - theta * v, v, influence, w, data.clusters))
    estimates, influence, by_split = combined(data, scored)
    return Answer(data, estimates, influence, remarks=made.remarks, errors=errors_of(data, float(np.median(df))),
                  diagnostics=by_split | {
        "n_folds": made.n_folds, "n_splits": len(made.runs), "learned": made.runs[0].learned,
        "omitted_variable": median_elements(found), "controls_dropped": list(made.dropped[:60]),
        "treatment_explained": 1 - float(np.median([run.left[0] for run in made.runs])),
    })


def leverage(squares: np.ndarray, clusters: np.ndarray | None) -> np.ndarray:
    """Share (n,) that each row, or its cluster, has in the sum of ``squares`` (n,), at most a half: beyond that nothing
    is left to judge the row by."""
    if clusters is not None:
        codes = np.unique(clusters, return_inverse=True)[1]
        squares = np.bincount(codes, squares)[codes]
        return np.minimum(squares / squares[np.unique(codes, return_index=True)[1]].sum(), 0.5)
    return np.minimum(squares / squares.sum(), 0.5)


def freedom(share: np.ndarray, clusters: np.ndarray | None) -> float:
    """Degrees of freedom of the jackknife variance of one slope, by the ``leverage`` (n,) of each row's unit.

    Satterthwaite's rule under independent errors of equal variance (Bell and McCaffrey 2002; Pustejovsky and Tipton
    2018, equation 15): with h the shares of the units, p = h / (1 - h)^2 and b = h / (1 - h), the variance is a
    quadratic form with the matrix diag(p) - b b', whose trace squared over the sum of its squares these are.
    """
    h = share if clusters is None else share[np.unique(clusters, return_index=True)[1]]
    p, b = h / (1 - h) ** 2, h / (1 - h)
    trace = float((p - b**2).sum())
    squares = float((p**2 - 2 * p * b**2).sum() + (b @ b) ** 2)
    return max(trace**2 / squares, 1.0) if squares > 0 else 1.0


def errors_of(data: Prepared, df: float) -> Errors | None:
    """The jackknife errors in words, with their degrees of freedom; None where the data have errors of their own."""
    if data.dependence is not None:
        return None
    name = "HC3" if data.clusters is None else "CR3"
    return Errors(name, described(data, name, df), np.array([df]))


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
    n_splits: int | None, seed: int, progress: Progress,
) -> Residuals | Refused:
    """The outcome and ``others`` (treatment first, then instruments, (n,) each) less their cross-fitted predictions.

    Refusals and errors as in ``partially_linear``.
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
    if n_folds < 2:
        return Refused("too_few_clusters", "There are too few rows or clusters of some kind to make two folds.",
                       {"clusters": data.n_clusters}, "Use method='regression' or a finer cluster column.")
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
    name, left = next(iter(others)), min(run.left[0] for run in runs)
    if left <= EXPLAINED:
        return Refused("treatment_is_control", f"The controls explain {name!r} completely, so there is nothing left of "
                       "it to compare.", {"treatment": name, "left": left},
                       "Leave out the controls that determine it.")
    remarks = (dropped_controls(designs[1]),) if designs[1].dropped else ()
    return Residuals(tuple(runs), n_folds, designs[1].dropped, remarks)


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
