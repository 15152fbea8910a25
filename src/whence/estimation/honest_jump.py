"""The jump at a cutoff with an interval that allows for the worst bias of curves with a bounded second derivative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.result import Refused, Remark
from whence.estimation.cutoff import FEWEST, Cutoff
from whence.estimation.inference import Answer
from whence.estimation.prepare import Prepared
from whence.estimation.sides import (
    Fit,
    Sides,
    coefficients,
    label,
    no_jump,
    picture,
    remarks_on,
    spread,
    too_few,
)
from whence.stats.bounded_curvature import critical_value, curvature, shortest, worst_bias
from whence.stats.local_polynomial import coefficient_weights, kernel_weights
from whence.stats.regress import covariance_matrix

FEW_VALUES = 10  # different values near the cutoff on a side, below which a curve between them is a guess


@dataclass(frozen=True)
class Honest:
    """What is asked for. bound: of the outcome's second derivative, or None for the rule of thumb. bandwidth: None for
    that of the shortest interval."""

    bound: float | None
    bandwidth: float | None
    kernel: str
    level: float


def honest_jump(data: Prepared, sides: Sides, cut: Cutoff, asked: Honest) -> Answer | Refused:
    """A jump of lines, over that of the treatment, with the interval of Kolesar and Rothe (2018).

    The interval is estimate -+ c s, s the standard error and c the critical value of a normal variable whose mean is
    the worst bias over s. The bound of a fuzzy jump is that of the outcome and the treatment's times the effect, over
    the treatment's jump. Refused: ``too_few_values`` (the bound cannot be seen in the data), ``too_few_near``,
    ``no_jump``.
    """
    controls = data.features(1)
    if isinstance(controls, Refused):
        return controls
    z, y, t = (v[sides.order] for v in (controls.matrix, data.outcome, data.treatment.values))
    bends = _bounds(sides, y, t, asked, cut)
    if bends is None:
        return _few_values(data, sides, cut)
    combined, bound = y, bends[0]
    for _ in range(1 if cut.sharp and not z.shape[1] else 2):
        h = asked.bandwidth or shortest(*sides.halves(combined), bound, asked.level, asked.kernel)
        near = [int((np.abs(side.x) <= h).sum()) for side in sides.halves(y)]
        fit = _lines(sides, h, asked.kernel) if np.isfinite(h) else None
        if fit is None or min(near) < FEWEST:
            return too_few(cut, near[0], near[1], h if np.isfinite(h) else None)
        y_left, t_left = (v - z @ g for v, g in zip((y, t), coefficients(sides, fit, z, y, t, 1), strict=True))
        jump = float(fit.plain @ t_left)
        if abs(jump) <= 1e-12 * max(1.0, float(np.abs(t).max())):
            return no_jump(data, cut, jump, 0.0)
        ratio = float(fit.plain @ y_left) / jump
        combined = (y_left - ratio * t_left) / jump if not cut.sharp else y_left / jump
        bound = (bends[0] + abs(ratio) * bends[1]) / abs(jump)
    first = spread(data, sides, fit, t_left, 1, plain=True)
    strength = np.inf if cut.sharp else abs(jump) / float(np.sqrt(covariance_matrix(first, data.clusters)[0, 0]))
    if strength < 1.96:
        return no_jump(data, cut, jump, strength)
    influence = spread(data, sides, fit, combined, 1, plain=True)
    error = float(np.sqrt(covariance_matrix(influence, data.clusters)[0, 0]))
    s = sides.split
    bias = worst_bias(fit.plain[:s], sides.x[:s], fit.plain[s:], sides.x[s:], bound)
    points = [len(np.unique(side.x[np.abs(side.x) <= h])) for side in sides.halves(y)]
    return Answer(
        data, estimates=np.array([ratio]), influence=influence, labels=(label(data, cut),),
        **_inference(ratio, error, bias, asked.level),
        remarks=(*remarks_on(data, cut, near, points, strength, False, honest=True), _said(data, asked, bends[0])),
        diagnostics={
            "cutoff": cut.value, "cutoff_found": cut.found, "cutoff_evidence": dict(cut.evidence),
            "design": "sharp" if cut.sharp else "fuzzy", "interval": "honest", "curvature": bends[0],
            "curvature_given": asked.bound is not None, "worst_bias": bias, "bandwidth": h, "order": 1,
            "kernel": asked.kernel, "change": "jump", "rows_left": near[0], "rows_right": near[1],
            "values_left": points[0], "values_right": points[1], "treatment_jump": jump,
            "treatment_jump_t": strength if np.isfinite(strength) else None, "outcome_jump": float(fit.plain @ y_left),
            "controls": list(controls.labels[:60]), "picture": picture(data, sides, cut, fit, h, 1),
        },
    )


def _bounds(
    sides: Sides, y: np.ndarray, t: np.ndarray, asked: Honest, cut: Cutoff
) -> tuple[float, float] | None:
    """Bounds of the second derivatives of outcome and treatment; None when the data cannot say."""
    bends = []
    for values, given in ((y, asked.bound), (t, 0.0 if cut.sharp else None)):
        if given is not None:
            bends.append(given)
            continue
        both = [curvature(side) for side in sides.halves(values)]
        if both[0] is None or both[1] is None:
            return None
        bends.append(max(both[0], both[1]))
    return bends[0], bends[1]


def _lines(sides: Sides, h: float, kernel: str) -> Fit | None:
    near = sides.weights * kernel_weights(sides.x, h, kernel)
    s = sides.split
    line = np.concatenate([-coefficient_weights(sides.x[:s], near[:s], 1, 0),
                           coefficient_weights(sides.x[s:], near[s:], 1, 0)])
    return Fit(line, line, near, near) if np.isfinite(line).all() else None


def _inference(estimate: float, error: float, bias: float, level: float) -> dict[str, Any]:
    """Interval, and the level at which it just holds zero."""
    from scipy.special import ndtr

    if error == 0:
        return {"interval": (estimate - bias, estimate + bias), "p_value": float(abs(estimate) <= bias)}
    half, b, at = critical_value(bias / error, level) * error, bias / error, abs(estimate) / error
    return {"interval": (estimate - half, estimate + half), "p_value": float(ndtr(b - at) + ndtr(-at - b))}


def _said(data: Prepared, asked: Honest, bound: float) -> Remark:
    text = (f"The interval allows for the worst bias of any curve of {data.spec.outcome} over "
            f"{data.spec.running_variable} whose second derivative is at most {bound:.3g}")
    text += (", as asked." if asked.bound is not None else
             ", a rule of thumb: that of a polynomial of degree 4 on each side. Set it by curvature=....")
    return Remark("worst_bias", text, (str(data.spec.running_variable),), {"curvature": bound})


def _few_values(data: Prepared, sides: Sides, cut: Cutoff) -> Refused:
    values = [len(np.unique(side.x)) for side in sides.halves(sides.x)]
    return Refused(
        "too_few_values", f"{data.spec.running_variable} takes only {values[0]} values below the cutoff {cut.value:g} "
        f"and {values[1]} above: how the outcome bends between them, and so at the cutoff, cannot be seen.",
        {"cutoff": cut.value, "values_left": values[0], "values_right": values[1]},
        "Use a finer running variable, or say how much the outcome can bend with interval='honest', curvature=....",
    )
