"""What a prediction says about the truth: rows where both are known, the line between them, and corrected predictions.

Direction matters: the prediction is regressed on the truth, because learners draw predictions towards the mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.result import Refused, Remark
from whence.data.table import Table
from whence.identification.spec import Spec
from whence.stats.density_score import DensityScore, density_score
from whence.stats.regress import ols

FEWEST_ROWS = 10
ENOUGH_ROWS = 100
LOW_SLOPE = 0.2  # below this a small error of the slope is a large one of the effect
CLEAR = 2.0  # standard errors from zero that the slope must be
OUTSIDE = 0.01  # share of the predictions corrected beyond those seen in calibration
BENT = 0.2  # part of the slope by which it differs between the outer quarters of the truth
UNSURE = 0.01  # p-value below which a fault of the calibration is said
UNEVEN = 0.05  # how far from 1 the slope of the truth on the prediction may lie before it is said


def calibration_only(table: Table, spec: Spec, chosen: np.ndarray) -> np.ndarray:
    """Boolean (rows,): rows that show what a prediction is worth and are not in the trial.

    They have the truth and the prediction (and the cluster, if there is one), and no treatment, or lie outside the
    population. ``chosen``: boolean (rows,), the population. None without a column of the truth.
    """
    if spec.truth is None:
        return np.zeros(table.n_rows, dtype=bool)
    needed = [spec.truth, spec.outcome, *((spec.cluster,) if spec.cluster is not None else ())]
    return table.complete(needed) & (table.column(spec.treatment).missing | ~chosen)


@dataclass(frozen=True)
class Calibration:
    """Rows where prediction and truth are known, and what they say. rows: int (c,), of the table.

    intercept, slope: of the prediction on the truth. slope_influence: float (c,), with the HC3 factor. slope_error:
    its standard error when rows are independent. spread2, spread2_influence: variance of prediction less truth, and
    its influence values.
    """

    rows: np.ndarray
    prediction: np.ndarray
    truth: np.ndarray
    intercept: float
    slope: float
    slope_influence: np.ndarray
    spread2: float
    spread2_influence: np.ndarray

    @property
    def slope_error(self) -> float:
        return float(np.sqrt(self.slope_influence @ self.slope_influence)) / len(self.rows)


def calibration(rows: np.ndarray, prediction: np.ndarray, truth: np.ndarray) -> Calibration | Refused:
    """Fit the line on the rows given.

    Without weights: the line belongs to the predictor, not to the population. Refused: ``too_few_calibration_rows``,
    ``infinite_values``, ``truth_constant``, ``prediction_uninformative`` (the slope is not clearly above zero).
    """
    n = len(rows)
    if n < FEWEST_ROWS:
        return Refused("too_few_calibration_rows", f"Truth and prediction are both known on {n:,} rows only, too few "
                       "to see what the prediction is worth.", {"rows": n, "needed": FEWEST_ROWS},
                       "Add rows with the truth; they need no treatment.")
    if not (np.isfinite(truth).all() and np.isfinite(prediction).all()):
        return Refused("infinite_values", "There are infinite values in the truth or the prediction.", {"rows": n},
                       "Correct them or mark them as missing.")
    if np.ptp(truth) == 0:
        return Refused("truth_constant", "The truth is the same on all rows where it is known.",
                       {"rows": n, "value": float(truth[0])}, "Add rows on which it differs.")
    fit = ols(np.column_stack([np.ones(n), truth]), prediction)
    psi = n * (fit.design @ fit.bread)[:, 1] * fit.residuals / np.maximum(1 - fit.leverage, 1e-9)
    gap = prediction - truth
    spread2 = float(gap.var(ddof=1))
    found = Calibration(rows, prediction, truth, float(fit.coefficients[0]), float(fit.coefficients[1]), psi,
                        spread2, (gap - gap.mean()) ** 2 - spread2)
    if found.slope <= CLEAR * found.slope_error:
        return Refused(
            "prediction_uninformative", f"On {n:,} rows where the truth is known, the prediction does not clearly rise "
            f"with it (slope {found.slope:.3g}, standard error {found.slope_error:.2g}), so no effect on the truth can "
            "be read from it.", {"slope": found.slope, "slope_error": found.slope_error, "rows": n},
            "Use a prediction that follows the truth, or estimate the effect on rows where the truth is known.",
        )
    return found


@dataclass(frozen=True)
class Correction:
    """Corrected predictions (n,) of the trial, and how they depend on what was fitted.

    score: of the density, for the Tweedie correction, else None. on_trial: whether its sample is the trial.
    """

    values: np.ndarray
    score: DensityScore | None = None
    on_trial: bool = False


def corrected(found: Calibration, prediction: np.ndarray, kind: str, density: str) -> Correction:
    """Predictions (n,) with what the learner took off them given back.

    linear: (prediction - intercept) / slope. tweedie: prediction - s^2 (d log f / d prediction), s^2 the variance of
    prediction less truth, f the density of the predictions of the trial or of the calibration rows.
    """
    if kind == "linear":
        return Correction((prediction - found.intercept) / found.slope)
    score = density_score(prediction if density == "trial" else found.prediction)
    return Correction(prediction - found.spread2 * score.at(prediction), score, density == "trial")


def shortcomings(found: Calibration, prediction: np.ndarray, kind: str) -> tuple[Remark, ...]:
    """What weakens the calibration of the trial's predictions (n,): few rows, a flat or bent line, values not seen."""
    n, said = len(found.rows), []
    if n < ENOUGH_ROWS:
        said.append(Remark("few_calibration_rows", f"Only {n:,} rows show what the prediction is worth; below "
                           f"{ENOUGH_ROWS} the interval can be too short.", (), {"rows": n}))
    if found.slope < LOW_SLOPE:
        said.append(Remark("flat_calibration", f"The prediction moves by {found.slope:.2g} for a step of 1 in the "
                           f"truth; below {LOW_SLOPE} errors are blown up more than five times.", (),
                           {"slope": found.slope}))
    low, high = float(found.prediction.min()), float(found.prediction.max())
    outside = float(((prediction < low) | (prediction > high)).mean())
    if outside > OUTSIDE:
        said.append(Remark("outside_calibration", f"{outside:.0%} of the trial's predictions lie outside those of the "
                           f"rows with the truth ({low:.4g} to {high:.4g}); there the correction is a guess.", (),
                           {"share": outside, "low": low, "high": high}))
    return (*said, *(_bent(found) if kind == "linear" else _uneven(found)))


def _bent(found: Calibration) -> tuple[Remark, ...]:
    """Whether the prediction follows the truth along a curve, so that one slope is not right everywhere."""
    if len(np.unique(found.truth)) < 4:
        return ()
    z = (found.truth - found.truth.mean()) / found.truth.std()
    p_value, coefficients, _ = wald(np.column_stack([np.ones(len(z)), z, z**2]), found.prediction, [2])
    low, high = np.quantile(z, [0.125, 0.875])
    change = float(abs(2 * coefficients[2] * (high - low) / coefficients[1]))
    if p_value > UNSURE or change < BENT:
        return ()
    return (Remark("calibration_not_linear", "The prediction follows the truth along a curve: between the outer "
                   f"quarters of the truth its slope changes by {change:.0%} of its size, so one slope is not right "
                   "for everybody. correction='tweedie' takes no line for granted.", (),
                   {"p_value": p_value, "change": change}),)


def _uneven(found: Calibration) -> tuple[Remark, ...]:
    """Whether truth less prediction goes with the prediction, which the Tweedie correction takes not to be so."""
    n = len(found.rows)
    design, gap = np.column_stack([np.ones(n), found.prediction]), found.truth - found.prediction
    p_value, coefficients, _ = wald(design, gap, [1])
    slope = 1 + float(coefficients[1])
    if p_value > UNSURE or abs(slope - 1) < UNEVEN:
        return ()
    return (Remark("prediction_not_calibrated", f"A step of 1 in the prediction goes with {slope:.3g} in the truth, "
                   "not 1, and the Tweedie correction is for predictions where it is 1. correction='linear' does not "
                   "need that.", (), {"slope": slope, "p_value": p_value}),)


def wald(
    design: np.ndarray, outcome: np.ndarray, tested: list[int], clusters: np.ndarray | None = None
) -> tuple[float, np.ndarray, np.ndarray]:
    """p-value that the coefficients ``tested`` are zero, all coefficients (k,), and the errors of those tested: HC3, or
    by cluster (int (n,) codes)."""
    from scipy.special import fdtrc

    fit = ols(design, outcome)
    score = fit.design * (fit.residuals / np.maximum(1 - fit.leverage, 1e-9))[:, None]
    groups = len(outcome)
    if clusters is not None:
        code = np.unique(clusters, return_inverse=True)[1]
        score = np.array([np.bincount(code, column) for column in score.T]).T
        groups = len(score)
    covariance = (fit.bread @ (score.T @ score) @ fit.bread)[np.ix_(tested, tested)]
    values = fit.coefficients[tested]
    statistic = float(values @ np.linalg.pinv(covariance, hermitian=True) @ values) / len(tested)
    freedom = max(min(groups - 1, fit.df), 1)
    return float(fdtrc(len(tested), freedom, statistic)), fit.coefficients, np.sqrt(np.diagonal(covariance))


def told(found: Calibration) -> dict[str, Any]:
    """The numbers of the calibration, for the diagnostics."""
    return {"calibration_rows": len(found.rows), "slope": found.slope, "intercept": found.intercept,
            "slope_error": found.slope_error, "spread": float(np.sqrt(found.spread2))}
