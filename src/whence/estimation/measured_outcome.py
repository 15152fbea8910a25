"""Effects on an outcome that is itself a prediction: corrected with rows where the truth is known.

Learners draw predictions towards the mean, so an effect on them is too small. Rows where prediction and truth are both
known (they need no treatment) show by how much; the interval carries what is uncertain about that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.aipw import aipw
from whence.estimation.calibration import (
    Calibration,
    Correction,
    calibration,
    calibration_only,
    corrected,
    shortcomings,
    told,
    wald,
)
from whence.estimation.choose import choose
from whence.estimation.difference import difference
from whence.estimation.inference import Answer
from whence.estimation.interactive import OUTCOME_LEARNER, TREATMENT_LEARNER
from whence.estimation.ipw import fit_propensity, ipw
from whence.estimation.missing_controls import handling
from whence.estimation.overlap import balancing_weights
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared, outcome_values, satisfied
from whence.estimation.regression import regression
from whence.stats.features import codes_of

FEWEST_CHECKED = 20  # rows of the trial with the truth, and half as many in each arm, for the check
CUBIC = 50  # of those, from which the truth enters the check with its square and cube
CLEAR = 0.01  # p-value below which the treatment is seen to move the prediction by itself
PART = 0.5  # of the standard error of the effect, a bias that its interval does not cover

CARD = Card(
    name="measured_outcome",
    task="estimation",
    title="Effect on a predicted outcome, corrected with known truths",
    summary="The outcome is a prediction or a score; rows where the truth is known as well show how far predictions "
    "fall short of it, and the effect is corrected by that.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Among people alike in the controls, who was treated has nothing else to do with the outcome.",
        "The treatment moves the prediction only through the truth: of people with the same truth, the treated are "
        "predicted no differently.",
        "The rows with known truth show how predictions follow the truth in the trial too.",
        "Of the linear correction: the prediction follows the truth along a line. Of the Tweedie correction: on "
        "average the truth is the prediction, with errors spread like a bell and alike everywhere.",
    ),
    parameters=(
        Parameter("correction", "choice", "linear", "'linear': (prediction - m) / k, with prediction = m + k truth "
                  "fitted where the truth is known. 'tweedie': prediction less the error variance times the slope of "
                  "the log density of the predictions, which takes no line for granted.",
                  choices=("linear", "tweedie")),
        Parameter("density", "choice", "trial", "For correction 'tweedie': of whose predictions the density is taken, "
                  "the trial's or those of the rows with known truth.", choices=("trial", "calibration")),
        Parameter("comparison", "choice", "auto", "How the corrected outcomes are compared. auto: as the study would "
                  "without a correction.", choices=("auto", "difference", "regression", "ipw", "aipw")),
        OUTCOME_LEARNER, TREATMENT_LEARNER, LEVEL,
    ),
    output="Effect",
    cost="That of the comparison, and a line through the rows with known truth.",
    citations=(
        "Ma, Sanford, Daoud and Jerzak (2025), One map, many trials in satellite-driven poverty analysis, "
        "arXiv 2508.01341",
        "Efron (2011), Tweedie's formula and selection bias, JASA 106",
        "Rogan and Gladen (1978), Estimating prevalence from the results of a screening test, American Journal of "
        "Epidemiology 107",
    ),
    function="whence.estimation.measured_outcome:measured_outcome",
    roles=("truth",),
)


def measured_outcome(
    data: Prepared, *, correction: str = "linear", density: str = "trial", comparison: str = "auto",
    outcome_learner: Any = "auto", treatment_learner: Any = "auto", level: float = 0.95, seed: int = 0,
    progress: Progress = SILENT,
) -> Answer | Refused:
    """The effect on corrected predictions, compared by difference in means, regression, IPW or AIPW.

    Calibration rows have the truth and no treatment, or lie outside the population; where there are none, the rows of
    the trial with the truth serve. With tau the effect on the corrected outcome y' its influence values are those of
    the comparison on the trial's rows plus, on the calibration rows (delta method), -tau psi(k) / k for
    y' = (y - m) / k and -delta psi(s^2) for y' = y - s^2 score(y), delta being the effect on the score; the density's
    own part is the derivative of its kernel estimate. Both are scaled to the rows of the union.

    Where rows of the trial have the truth, the prediction is regressed on truth (cubic) and treatment: the treatment
    must have no part in it. Refused: ``no_truth``, ``treatment_moves_prediction``, ``dependence_not_available``,
    ``missing_controls_not_available``, ``continuous_treatment`` (Tweedie), those of ``calibration`` and of the
    comparison.
    """
    refused = _not_for_this(data, correction)
    if refused is not None:
        return refused
    truths = _truths(data)
    if isinstance(truths, Refused):
        return truths
    found = calibration(truths.rows, truths.prediction, truths.truth)
    if isinstance(found, Refused):
        return found
    made = corrected(found, data.outcome, correction, density)
    plain = dataclasses.replace(data, outcome=made.values, spec=data.spec.replace(truth=None))
    compared = _compared(plain, comparison, outcome_learner, treatment_learner, level, seed, progress)
    if isinstance(compared, Refused):
        return compared
    answer = _united(data, compared, found, made)
    return _checked(data, answer, found, truths, correction)


def corrected_outcome(data: Prepared, parameters: Mapping[str, Any]) -> np.ndarray:
    """The outcome (n,) that an effect with these parameters compares on these rows, for checks of it."""
    truths = _truths(data)
    found = truths if isinstance(truths, Refused) else calibration(truths.rows, truths.prediction, truths.truth)
    if isinstance(found, Refused):
        raise WhenceError(found.reason, code=found.code, hint=found.remedy)
    return corrected(found, data.outcome, parameters["correction"], parameters["density"]).values


def _not_for_this(data: Prepared, correction: str) -> Refused | None:
    if data.spec.truth is None:
        return Refused("no_truth", "The spec names no column of the truth behind the predicted outcome.",
                       {"outcome": data.spec.outcome}, "Name it in the spec: truth=..., known on some rows.")
    if data.dependence is not None:
        return Refused("dependence_not_available", "Errors along time or space are not available for a predicted "
                       "outcome: rows with the truth have no place in them.", {"covariance": data.dependence.name},
                       "Use clusters.")
    if handling(data.spec) == "impute":
        return Refused("missing_controls_not_available", "Controls are not imputed from outcomes that are predictions.",
                       {"missing_controls": "impute"}, "Use missing_controls='indicator' or 'drop'.")
    if correction == "tweedie" and not data.treatment.discrete:
        return Refused("continuous_treatment", f"{data.treatment.name!r} is a dose, and the Tweedie correction is for "
                       "groups.", {"column": data.treatment.name}, "Use correction='linear'.")
    return None


@dataclass(frozen=True)
class _Truths:
    """Calibration rows with their numbers, and the labelled rows of the trial: positions in its rows, and truths.

    borrowed: the calibration rows are the trial's own.
    """

    rows: np.ndarray
    prediction: np.ndarray
    truth: np.ndarray
    labelled: np.ndarray
    trial_truth: np.ndarray
    borrowed: bool


def _truths(data: Prepared) -> _Truths | Refused:
    table, spec = data.table, data.spec
    chosen = np.ones(table.n_rows, dtype=bool)
    for condition in spec.population:
        chosen &= satisfied(table.column(condition.column), condition)
    apart = np.flatnonzero(calibration_only(table, spec, chosen))
    labelled = np.flatnonzero(~table.column(spec.truth or "").missing[data.rows])
    rows = apart if len(apart) else data.rows[labelled]
    both = np.union1d(rows, data.rows[labelled])
    if not len(both):
        return Refused("too_few_calibration_rows", f"The truth {spec.truth!r} is known on no row with a prediction.",
                       {"rows": 0}, "Add rows with prediction and truth; they need no treatment.")
    numbers = []
    for name in (spec.outcome, spec.truth or ""):
        values = outcome_values(table.column(name), both)
        if isinstance(values, Refused):
            return values
        numbers.append(values[0])
    place = np.searchsorted(both, rows)
    return _Truths(rows, numbers[0][place], numbers[1][place], labelled,
                   numbers[1][np.searchsorted(both, data.rows[labelled])], not len(apart))


def _compared(
    data: Prepared, comparison: str, outcome_learner: Any, treatment_learner: Any, level: float, seed: int,
    progress: Progress,
) -> Answer | Refused:
    """The comparison of the corrected outcomes, with the remarks on its choice."""
    said: tuple[Remark, ...] = ()
    if comparison == "auto":
        comparison, said = choose(data)
    if comparison == "aipw":
        found = aipw(data, outcome_learner=outcome_learner, treatment_learner=treatment_learner, level=level,
                     seed=seed, progress=progress)
    else:
        found = {"difference": difference, "regression": regression, "ipw": ipw}[comparison](data, level=level)
    if isinstance(found, Refused):
        return found
    return dataclasses.replace(found, remarks=(*said, *found.remarks),
                               diagnostics={**found.diagnostics, "comparison": comparison})


def _united(data: Prepared, answer: Answer, found: Calibration, made: Correction) -> Answer:
    """The answer on the rows of trial and calibration together, with the calibration's part in its influence values.

    data: as prepared; those of the answer have the corrected outcome, and perhaps fewer arms.
    """
    trial, n, c = answer.data, answer.data.n, len(found.rows)
    rows = np.union1d(trial.rows, found.rows)
    inside, apart = np.searchsorted(rows, trial.rows), np.searchsorted(rows, found.rows)
    influence = np.zeros((len(rows), len(answer.estimates)))
    influence[inside] += answer.influence * (len(rows) / n)
    if made.score is None:
        own = -found.slope_influence[:, None] * answer.estimates / found.slope
    else:
        prediction = data.outcome[np.searchsorted(data.rows, trial.rows)]
        score = made.score.at(prediction)
        loads = [_loads(trial, arm) for arm in range(1, len(trial.treatment.arms))]
        own = np.column_stack([-found.spread2_influence * (load @ score) for load in loads])
        drawn = np.column_stack([-found.spread2 * made.score.influence(prediction, load) for load in loads])
        place = np.searchsorted(rows, data.rows) if made.on_trial else apart
        influence[place] += drawn * (len(rows) / len(place))
    influence[apart] += own * (len(rows) / c)
    clusters = None if trial.spec.cluster is None else codes_of(data.table.column(trial.spec.cluster), rows)
    whole = dataclasses.replace(
        trial, rows=rows, spec=data.spec, weights=None, clusters=clusters, designs={},
        outcome=_placed(trial.outcome, inside, len(rows)),
        treatment=dataclasses.replace(trial.treatment, codes=_placed(trial.treatment.codes, inside, len(rows), -1),
                                      values=_placed(trial.treatment.values, inside, len(rows))))
    return dataclasses.replace(
        answer, data=whole, influence=influence, propensity=None, common=False, df=_freedom(answer, own),
        diagnostics={**answer.diagnostics, **told(found), "trial_rows": n})


def _placed(values: np.ndarray, where: np.ndarray, size: int, elsewhere: float = np.nan) -> np.ndarray:
    """(size,): ``values`` at the positions ``where``, and a mark that there is none elsewhere."""
    out = np.full(size, elsewhere, dtype=values.dtype)
    out[where] = values
    return out


def _loads(data: Prepared, arm: int) -> np.ndarray:
    """Weights (n,) whose sum with any outcome is, up to what is of second order, its effect (arm against arm 0).

    They stand for the comparison in the part of the variance that comes from the correction itself.
    """
    codes, arms = data.treatment.codes, len(data.treatment.arms)
    shares = np.bincount(codes, data.w, arms) / data.n
    chances = np.broadcast_to(shares, (data.n, arms))
    if data.spec.strategy == "adjustment" and data.spec.controls:
        fitted = fit_propensity(data, 1)
        chances = chances if isinstance(fitted, Refused) else fitted[0].probabilities
    weights = [data.w * balancing_weights(data, chances, arm, b) for b in (arm, 0)]
    return weights[0] / weights[0].sum() - weights[1] / weights[1].sum()


def _freedom(answer: Answer, own: np.ndarray) -> np.ndarray | None:
    """Degrees of freedom (m,) of trial and calibration together (Satterthwaite)."""
    if answer.data.clusters is not None:
        return None
    parts = [(answer.influence**2).sum(axis=0) / len(answer.influence) ** 2, (own**2).sum(axis=0) / len(own) ** 2]
    below = parts[1] ** 2 / (len(own) - 2) + (0.0 if answer.df is None else parts[0] ** 2 / answer.df)
    whole = (parts[0] + parts[1]) ** 2
    return np.minimum(whole / np.maximum(below, 1e-300), 1e12) if (below > 0).all() else None


def _checked(data: Prepared, answer: Answer, found: Calibration, truths: _Truths, correction: str) -> Answer | Refused:
    """The answer with what is known of its assumptions, or ``treatment_moves_prediction``."""
    name, outcome = data.treatment.name, data.spec.outcome
    where = "of the trial itself" if truths.borrowed else "that are not in the trial"
    remarks = [Remark(
        "calibrated", f"{len(found.rows):,} rows {where} have the truth ({data.spec.truth}) beside the prediction: a "
        f"step of 1 in the truth moves {outcome} by {found.slope:.3g} (standard error {found.slope_error:.2g}). The "
        "interval carries what is uncertain about that.", (outcome, data.spec.truth or ""), told(found))]
    remarks += shortcomings(found, data.outcome, correction)
    seen = _treatment_apart(data, truths)
    if seen is None:
        remarks.append(Remark(
            "prediction_not_checked", f"Whether {name} moves the prediction by itself, and not through the truth, "
            f"cannot be checked: too few rows of the trial have the truth ({len(truths.labelled):,}). If it does, the "
            f"effect is wrong by 1 / {found.slope:.2g} times that.", (name,), {"labelled": len(truths.labelled)}))
        return _with(answer, remarks, {"labelled_in_trial": len(truths.labelled)})
    p_value, moves, errors = seen
    bias = moves / found.slope
    error = float(np.sqrt(np.diagonal(answer.covariance)).min())
    evidence = {"labelled_in_trial": len(truths.labelled), "p_value": p_value, "moves": moves.tolist(),
                "move_errors": errors.tolist(), "bias": bias.tolist()}
    worst = int(np.abs(bias).argmax())
    text = f"On {len(truths.labelled):,} rows of the trial with the truth"
    if p_value < CLEAR and abs(bias[worst]) > PART * error:
        return Refused(
            "treatment_moves_prediction", f"{text}, {name} moves the prediction by {moves[worst]:.3g} beyond what the "
            f"truth does (standard error {errors[worst]:.2g}), which the correction would count as {bias[worst]:.3g} "
            "of effect.", evidence, "Use a predictor whose inputs the treatment cannot change but through the outcome, "
            "or estimate the effect on the rows where the truth is known.")
    code, how = ("prediction_moved", "little") if p_value < CLEAR else ("prediction_checked", "no more than chance")
    most = (abs(moves[worst]) + 2 * errors[worst]) / found.slope
    remarks.append(Remark(code, f"{text}, {name} moves the prediction {how} beyond what the truth does; a bias of up "
                          f"to {most:.2g} in the effect cannot be ruled out by them.", (name,), evidence))
    return _with(answer, remarks, evidence)


def _with(answer: Answer, remarks: list[Remark], evidence: dict[str, Any]) -> Answer:
    return dataclasses.replace(answer, remarks=(*answer.remarks, *remarks),
                               diagnostics={**answer.diagnostics, "prediction_check": evidence})


def _treatment_apart(data: Prepared, truths: _Truths) -> tuple[float, np.ndarray, np.ndarray] | None:
    """Of the prediction given truth and treatment: p-value that the treatment has no part, its coefficients and their
    errors; None where too few rows of the trial have the truth."""
    at, t = truths.labelled, data.treatment
    codes = t.codes[at]
    fewest = int(np.bincount(codes, minlength=len(t.arms)).min()) if t.discrete else len(at)
    if len(at) < FEWEST_CHECKED or fewest < FEWEST_CHECKED // 2 or np.ptp(truths.trial_truth) == 0:
        return None
    z = (truths.trial_truth - truths.trial_truth.mean()) / truths.trial_truth.std()
    degree = min(3 if len(at) >= CUBIC else 1, len(np.unique(z)) - 1)
    groups = [codes == arm for arm in range(1, len(t.arms))] if t.discrete else [t.values[at] / t.step]
    if not t.discrete and np.ptp(groups[0]) == 0:
        return None
    design = np.column_stack([np.ones(len(at)), *(z**power for power in range(1, degree + 1)), *groups])
    clusters = None if data.clusters is None else data.clusters[at]
    tested = list(range(1 + degree, design.shape[1]))
    p_value, coefficients, errors = wald(design, data.outcome[at], tested, clusters)
    return p_value, coefficients[tested], errors
