"""What the residuals of an outcome model on a network still say: about the number of neighbours, and its form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from whence.core.result import Remark
from whence.estimation.exposure import GROUPS, Exposed
from whence.estimation.inference import Answer
from whence.estimation.prepare import Prepared
from whence.stats.regress import LinearFit, influence, ols

CLEAR = 0.01  # p-value below which a diagnostic is worth a sentence


def diagnosed(
    found: Exposed, fit: LinearFit, interact: bool, kind: str
) -> tuple[dict[str, Any], tuple[Remark, ...]]:
    """Diagnostics and remarks of a fit whose design is intercept, own treatment, exposure, their product (of groups),
    controls and, if ``interact``, products of these.

    residual_degree_correlation, degree_p: of the (log) number of neighbours with the outcome, beside all but the
    functions of it in the design. degree_left_p: of groups by number of neighbours beside the whole design.
    curvature_p: of the exposure's square. neighbours_residual_correlation: Moran's I of the residuals.
    """
    data = found.data
    out: dict[str, Any] = {}
    count = np.log1p(found.degree)
    if np.ptp(count) > 0:
        start = found.ends[1] + 2 + data.treatment.discrete + 1
        inside = fit.design[:, :start]
        if interact:
            inside = np.column_stack([inside, found.controls[:, : found.ends[1]] * found.own[:, None],
                                      found.controls[:, : found.ends[1]] * found.exposure[:, None]])
        out["residual_degree_correlation"], out["degree_p"] = _added(data, inside, count)
        out["degree_left_p"] = _added_groups(data, fit.design, found.degree)
    if kind not in GROUPS:
        out["curvature_p"] = _added(data, fit.design, found.exposure**2)[1]
    along = found.network.mutual.sums(_on_table(found, fit.residuals))[data.rows]
    square = float(fit.residuals**2 @ found.network.mutual.sums(_on_table(found, np.ones(data.n)))[data.rows])
    out["neighbours_residual_correlation"] = float(fit.residuals @ along) / square if square > 0 else 0.0
    return out, tuple(_doubts(found, out))


def _on_table(found: Exposed, values: np.ndarray) -> np.ndarray:
    whole = np.zeros(found.data.table.n_rows)
    whole[found.data.rows] = values
    return whole


def _added(data: Prepared, design: np.ndarray, column: np.ndarray) -> tuple[float, float]:
    """Of one more column beside a design: its partial correlation with the outcome, and the p-value of its slope."""
    left = ols(design, column, data.weights).residuals
    if (data.w @ left**2) <= 1e-12 * (data.w @ (column - column.mean()) ** 2):
        return 0.0, 1.0
    rest = ols(design, data.outcome, data.weights).residuals
    size = float(np.sqrt((data.w @ left**2) * (data.w @ rest**2)))
    return (float(data.w @ (left * rest)) / size if size > 0 else 0.0), _wald(data, design, column[:, None])


def _added_groups(data: Prepared, design: np.ndarray, degree: np.ndarray) -> float:
    """p-value of the means of up to five groups of rows by number of neighbours, beside the design."""
    cuts = np.unique(np.quantile(degree, [0.2, 0.4, 0.6, 0.8]))
    group = np.searchsorted(cuts, degree, side="right")
    return _wald(data, design, (group[:, None] == np.unique(group)[1:]).astype(float))


def _wald(data: Prepared, design: np.ndarray, added: np.ndarray) -> float:
    """p-value of the columns ``added`` (n, m) beside ``design``, by the covariance that the rows' dependence gives."""
    from scipy.special import chdtrc

    fit = ols(np.column_stack([design, added]), data.outcome, data.weights)
    which = np.flatnonzero(fit.kept[design.shape[1] :]) + design.shape[1]
    if not len(which) or fit.df < 1:
        return 1.0
    pick = np.eye(len(fit.kept))[which]
    answer = Answer(data, pick @ fit.coefficients, influence(fit, pick, "HC2", data.clusters))
    statistic = answer.estimates @ np.linalg.pinv(answer.covariance, hermitian=True) @ answer.estimates
    return float(chdtrc(len(which), max(float(statistic), 0.0)))


def _doubts(found: Exposed, seen: dict[str, Any]) -> Iterator[Remark]:
    name = found.data.spec.neighbours or ""
    if seen.get("degree_p", 1.0) < CLEAR:
        yield Remark(
            "degree_matters", "Rows with more neighbours have other outcomes than treatments and controls explain "
            f"(correlation {seen['residual_degree_correlation']:+.2f}, p {seen['degree_p']:.1g}): something unrecorded "
            "goes with the number of neighbours. That number is adjusted for; what else goes with it is not.", (name,),
            {"correlation": seen["residual_degree_correlation"], "p_value": seen["degree_p"]},
        )
    if seen.get("degree_left_p", 1.0) < CLEAR:
        yield Remark(
            "degree_not_captured", "Also after adjusting for it, rows with few and with many neighbours differ in ways "
            f"the model does not explain (p {seen['degree_left_p']:.1g}); the answer may carry a part of that.",
            (name,), {"p_value": seen["degree_left_p"]},
        )
    if seen.get("curvature_p", 1.0) < CLEAR:
        yield Remark(
            "exposure_curved", "The outcome does not move along a straight line with the exposure (p "
            f"{seen['curvature_p']:.1g}), and all or no neighbours treated are its ends.", (name,),
            {"p_value": seen["curvature_p"]},
        )
