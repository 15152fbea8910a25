"""Regression discontinuity: the jump of the outcome at a cutoff, over the jump of the treatment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.data.table import NUMERIC
from whence.estimation.cutoff import Cutoff, find_cutoff, given_cutoff
from whence.estimation.effect import summarise
from whence.estimation.inference import Answer
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.stats.features import plain
from whence.stats.jump_bandwidth import Side, jump_bandwidths
from whence.stats.local_polynomial import KERNELS, boundary_weights, kernel_weights, neighbour_residuals
from whence.stats.regress import covariance_matrix

FEWEST = 10  # rows, and order + 2 different values, that a side needs within the bandwidth
BINS = 20  # of the picture, on each side
WEAK = 3.2  # t value of the treatment's jump (F of 10), below which the interval takes it for uncertain

CARD = Card(
    name="rdd",
    task="estimation",
    title="Regression discontinuity (local polynomial, robust bias-corrected)",
    summary="Compares rows just above a cutoff with rows just below it, where a rule changed the treatment.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Nothing but the treatment changes at the cutoff: outcomes without it would go on smoothly there, and nobody "
        "chose on which side to be.",
        "The effect is that of rows at the cutoff, and of those among them whose treatment the rule changed.",
    ),
    parameters=(
        Parameter("bandwidth", "float", None, "Rows farther than this from the cutoff are not used. None: the one with "
                  "the least mean squared error.", 0.0, None, optional=True, open_ends=True),
        Parameter("bias_bandwidth", "float", None, "Bandwidth of the curve that corrects the bias. None: as "
                  "'correction' says.", 0.0, None, optional=True, open_ends=True),
        Parameter("correction", "choice", "same", "'same': the bias is corrected in the window of the estimate, whose "
                  "intervals cover in small samples too; 'own': in one with the least error for the curve itself, "
                  "which is usual elsewhere and about a fifth shorter.", choices=("same", "own")),
        Parameter("rule", "choice", "mse", "'mse': bandwidth for the error of the estimate; 'coverage': for that of "
                  "the interval's coverage.", choices=("mse", "coverage")),
        Parameter("change", "choice", "jump", "'jump': of the level at the cutoff; 'kink': of the slope.",
                  choices=("jump", "kink")),
        Parameter("order", "int", None, "Order of the local polynomial. None: 1 for a jump, 2 for a kink.", 0, 4,
                  optional=True),
        Parameter("kernel", "choice", "triangular", "How rows count with their distance.", choices=KERNELS),
        Parameter("donut", "float", 0.0, "Rows closer to the cutoff than this are left out.", 0.0, None),
        LEVEL,
    ),
    output="Effect",
    cost="A sort, and a few passes over the rows.",
    citations=(
        "Hahn, Todd and van der Klaauw (2001), Identification and estimation of treatment effects with a "
        "regression-discontinuity design, Econometrica 69",
        "Calonico, Cattaneo and Titiunik (2014), Robust nonparametric confidence intervals for "
        "regression-discontinuity designs, Econometrica 82",
        "Calonico, Cattaneo, Farrell and Titiunik (2019), Regression discontinuity designs using covariates, Review of "
        "Economics and Statistics 101",
    ),
    function="whence.estimation.rdd:rdd",
    strategies=("rdd",),
    quantities=("ATE", "LATE"),
)


@dataclass(frozen=True)
class _Sides:
    """Rows in the order of the running variable, left of the cutoff first. order: (n,), into the prepared rows;
    x: (n,), distance from the cutoff; split: how many are on the left; weights: (n,)."""

    order: np.ndarray
    x: np.ndarray
    split: int
    weights: np.ndarray

    def halves(self, values: np.ndarray) -> tuple[Side, Side]:
        s = self.split
        return (Side(self.x[:s], values[:s], self.weights[:s]), Side(self.x[s:], values[s:], self.weights[s:]))


@dataclass(frozen=True)
class _Asked:
    """The parameters of a call; derivative: 0 for a jump, 1 for a kink."""

    bandwidth: float | None
    bias_bandwidth: float | None
    own: bool
    coverage: bool
    derivative: int
    order: int
    kernel: str
    level: float

    def widths(self, sides: _Sides, values: np.ndarray, least: float) -> tuple[float, float]:
        """Bandwidths of the fit and of its correction."""
        if self.bandwidth is not None:
            return self.bandwidth, self.bias_bandwidth or self.bandwidth
        h, b = jump_bandwidths(*sides.halves(values), self.order, self.derivative, self.kernel, self.coverage)
        h = max(h, least)
        return h, self.bias_bandwidth or (max(b, least) if self.own else h)


@dataclass(frozen=True)
class _Fit:
    """plain, corrected: (n,), what each value adds to the jump, without and with the correction for bias.
    near, wide: kernel weights (n,)."""

    plain: np.ndarray
    corrected: np.ndarray
    near: np.ndarray
    wide: np.ndarray


def rdd(
    data: Prepared, *, bandwidth: float | None = None, bias_bandwidth: float | None = None, correction: str = "same",
    rule: str = "mse", change: str = "jump", order: int | None = None, kernel: str = "triangular", donut: float = 0.0,
    level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """The jump (or kink) of the outcome at the cutoff over that of the treatment.

    The estimate is the local polynomial one at the bandwidth with the least mean squared error; interval, p-value and
    standard error are the robust bias-corrected ones (Calonico et al. 2014), so the interval need not be centred at the
    estimate. Controls enter linearly, with one coefficient for both sides (Calonico et al. 2019), and change the spread
    and not the quantity. Residuals are from the three nearest neighbours, or with clusters from the wider
    fit.

    Refused: ``cutoff_not_found``, ``cutoff_outside``, ``too_few_near``, ``no_jump`` (the treatment does not change
    there), ``several_arms``, ``running_not_numeric``. Raises ``WhenceError`` (``missing_role``) without a running
    variable.
    """
    made = _at_cutoff(data)
    if isinstance(made, Refused):
        return made
    data, x, cut = made
    if donut > 0:
        keep = np.abs(x - cut.value) >= donut
        if (keep & cut.right).sum() < FEWEST or (keep & ~cut.right).sum() < FEWEST:
            return _few(cut, int((keep & ~cut.right).sum()), int((keep & cut.right).sum()), None)
        said = Remark("donut", f"{(~keep).sum():,} rows closer to the cutoff than {donut:g} are left out.",
                      (str(data.spec.running_variable),), {"rows": int((~keep).sum())})
        data, x = data.take(keep, said), x[keep]
        cut = Cutoff(cut.value, cut.right[keep], cut.sharp, cut.found, cut.between)
    kink = change == "kink"
    asked = _Asked(bandwidth, bias_bandwidth, correction == "own", rule == "coverage", int(kink),
                   order if order is not None else 1 + kink, kernel, level)
    return _estimate(data, _sides(data, x - cut.value, cut.right), cut, asked)


def _at_cutoff(data: Prepared) -> tuple[Prepared, np.ndarray, Cutoff] | Refused:
    """The rows, their running variable, and the cutoff with its sides."""
    name, t = data.spec.running_variable, data.treatment
    if name is None:
        raise WhenceError("A discontinuity needs its running variable.", code="missing_role", value="running_variable",
                          hint="Name the column that the rule looks at with running_variable=...")
    column = data.table.column(name)
    if column.kind not in NUMERIC and not (column.kind in ("ordinal", "binary") and column.levels is not None):
        return Refused("running_not_numeric", f"The running variable {name!r} is {column.kind}; a rule with a cutoff "
                       "needs numbers.", {"column": name, "kind": column.kind}, "Choose a numeric column.")
    if len(t.arms) > 2:
        return Refused("several_arms", f"The treatment {t.name!r} has {len(t.arms)} values that are not numbers.",
                       {"arms": list(t.arms)}, "Limit the population to two of them, or make a numeric treatment.")
    x = column.numeric()[data.rows].astype(float)
    value = data.spec.cutoff
    cut = find_cutoff(x, t.values, name) if value is None else given_cutoff(x, t.values, float(value))
    if isinstance(cut, Refused):
        return cut
    sizes = int((~cut.right).sum()), int(cut.right.sum())
    if min(sizes) == 0:
        return Refused("cutoff_outside", f"The cutoff {cut.value:g} lies outside the values of {name!r}, "
                       f"{x.min():g} to {x.max():g}.", {"cutoff": cut.value, "range": [float(x.min()), float(x.max())]},
                       "Give the cutoff in the unit of that column.")
    if min(sizes) < FEWEST:
        return _few(cut, *sizes, None)
    return data, x, cut


def _sides(data: Prepared, x: np.ndarray, right: np.ndarray) -> _Sides:
    order = np.lexsort((x, right))
    return _Sides(order, x[order], int((~right).sum()), data.w[order])


def _fit(sides: _Sides, h: float, b: float, order: int, derivative: int, kernel: str) -> _Fit:
    near, wide = (sides.weights * kernel_weights(sides.x, width, kernel) for width in (h, b))
    s, parts = sides.split, []
    for half, sign in ((slice(None, s), -1.0), (slice(s, None), 1.0)):
        parts.append([sign * v for v in boundary_weights(sides.x[half], near[half], wide[half], order, derivative)])
    plain_part, corrected = (np.concatenate([a, b]) for a, b in zip(*parts, strict=True))
    return _Fit(plain_part, corrected, near, wide)


def _estimate(data: Prepared, sides: _Sides, cut: Cutoff, asked: _Asked) -> Answer | Refused:
    controls = data.features(1)
    if isinstance(controls, Refused):
        return controls
    z, y, t = (v[sides.order] for v in (controls.matrix, data.outcome, data.treatment.values))
    order = asked.order
    least = max(_reach(side, order) for side in sides.halves(y))
    combined = y
    # The bandwidth first for the outcome alone, then for outcome less controls less the treatment's share of it, where
    # that is more than the outcome times a number.
    alone = cut.sharp and not z.shape[1]
    for _ in range(1 if asked.bandwidth is not None or alone else 2):
        h, b = asked.widths(sides, combined, least)
        near = [int((np.abs(side.x) <= h).sum()) for side in sides.halves(y)]
        points = [len(np.unique(side.x[np.abs(side.x) <= h])) for side in sides.halves(y)]
        if not np.isfinite(h) or min(near) < FEWEST or min(points) < order + 2:
            return _few(cut, near[0], near[1], h if np.isfinite(h) else None)
        fit = _fit(sides, h, b, order, asked.derivative, asked.kernel)
        if not np.isfinite(fit.corrected).all():
            return _few(cut, near[0], near[1], h)
        y_left, t_left = (v - z @ g for v, g in zip((y, t), _coefficients(sides, fit, z, y, t, order), strict=True))
        jump = float(fit.plain @ t_left)
        if abs(jump) <= 1e-12 * max(1.0, float(np.abs(t).max())):
            return _no_jump(data, cut, jump, 0.0)
        ratio = float(fit.plain @ y_left) / jump
        combined = (y_left - ratio * t_left) / jump if not cut.sharp else y_left / jump
    first = _spread(data, sides, fit, t_left, order)
    strength = np.inf if cut.sharp else abs(jump) / float(np.sqrt(covariance_matrix(first, data.clusters)[0, 0]))
    if strength < 1.96:
        return _no_jump(data, cut, jump, strength)
    influence = _spread(data, sides, fit, combined, order)
    corrected = ratio + float((fit.corrected - fit.plain) @ combined)
    error = float(np.sqrt(covariance_matrix(influence, data.clusters)[0, 0]))
    plain_error = float(np.sqrt(covariance_matrix(_spread(data, sides, fit, combined, order, plain=True),
                                                  data.clusters)[0, 0]))
    df = None if data.n_clusters is None else data.n_clusters - 1.0
    interval, p_value = summarise(corrected, error, asked.level, df)
    remarks = _remarks(data, cut, near, points, strength, h == least)
    return Answer(
        data, estimates=np.array([ratio]), influence=influence, interval=interval, p_value=p_value, remarks=remarks,
        labels=(_label(data, cut),),
        diagnostics={
            "cutoff": cut.value, "cutoff_found": cut.found, "design": "sharp" if cut.sharp else "fuzzy",
            "bandwidth": h, "bias_bandwidth": b, "order": order, "kernel": asked.kernel,
            "change": "kink" if asked.derivative else "jump", "rows_left": near[0], "rows_right": near[1],
            "treatment_jump": jump, "treatment_jump_t": strength if np.isfinite(strength) else None,
            "outcome_jump": float(fit.plain @ y_left), "bias_corrected": corrected, "robust_error": error,
            "conventional": ratio, "conventional_error": plain_error, "controls": list(controls.labels[:60]),
            "picture": _picture(data, sides, cut, fit, h, order),
        },
    )


def _coefficients(
    sides: _Sides, fit: _Fit, z: np.ndarray, y: np.ndarray, t: np.ndarray, order: int
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (k,) of the controls for outcome and treatment, one for both sides, in the kernel's window."""
    inside = fit.near > 0
    root = np.sqrt(fit.near[inside])
    right = np.arange(len(sides.x))[inside] >= sides.split
    powers = np.vander(sides.x[inside] / np.abs(sides.x[inside]).max(), order + 1, increasing=True)
    base = np.column_stack([powers * ~right[:, None], powers * right[:, None]]) * root[:, None]
    q = np.linalg.qr(base)[0]
    part = z[inside] * root[:, None]
    rest = part - q @ (q.T @ part)
    length = np.sqrt((part**2).sum(axis=0))
    rest[:, np.sqrt((rest**2).sum(axis=0)) <= 1e-8 * length] = 0.0  # follows from the running variable
    found = []
    for values in (y, t):
        v = values[inside] * root
        found.append(np.linalg.lstsq(rest, v - q @ (q.T @ v), rcond=1e-10)[0])
    return found[0], found[1]


def _spread(
    data: Prepared, sides: _Sides, fit: _Fit, values: np.ndarray, order: int, plain: bool = False
) -> np.ndarray:
    """Influence values (n, 1) of the jump of ``values``, in the order of the prepared rows."""
    weights = fit.plain if plain else fit.corrected
    error = np.zeros(len(values))
    s = sides.split
    for half in (slice(None, s), slice(s, None)):
        x, inside = sides.x[half], (fit.near[half] > 0) | (fit.wide[half] > 0)
        part = np.zeros(len(x))
        if data.clusters is None:
            part[inside] = neighbour_residuals(x[inside], values[half][inside])
        else:
            part[inside] = _residuals(x[inside], values[half][inside], fit.wide[half][inside], order + 1)
        error[half] = part
    out = np.zeros((len(values), 1))
    out[sides.order, 0] = len(values) * weights * error
    if data.clusters is not None:
        used = int(((fit.near > 0) | (fit.wide > 0)).sum())
        groups = len(np.unique(data.clusters[sides.order][(fit.near > 0) | (fit.wide > 0)]))
        out *= np.sqrt(groups / max(groups - 1, 1) * (used - 1) / (used - 2 * (order + 2)))
    return out


def _residuals(x: np.ndarray, values: np.ndarray, w: np.ndarray, order: int) -> np.ndarray:
    powers = np.vander(x / max(float(np.abs(x).max()), 1e-300), order + 1, increasing=True)
    root = np.sqrt(w)[:, None]
    return values - powers @ np.linalg.lstsq(powers * root, values * root[:, 0], rcond=None)[0]


def _picture(data: Prepared, sides: _Sides, cut: Cutoff, fit: _Fit, h: float, order: int) -> dict[str, Any]:
    """Means in bins out to three bandwidths, and the fit of each side within one, for a drawing."""
    y, bins, lines = data.outcome[sides.order], [], []
    for k, half in enumerate((slice(None, sides.split), slice(sides.split, None))):
        x, values = sides.x[half], y[half]
        reach = min(3 * h, float(np.abs(x).max()))
        place = np.minimum((np.abs(x) / reach * BINS).astype(int), BINS)
        for b in range(BINS):
            inside = place == b
            if inside.any():
                bins.append({"x": cut.value + float(x[inside].mean()), "y": float(values[inside].mean()),
                             "rows": int(inside.sum())})
        near = np.abs(x) <= h
        root = np.sqrt(fit.near[half][near])
        powers = np.vander(x[near] / h, order + 1, increasing=True) * root[:, None]
        slope = np.linalg.lstsq(powers, values[near] * root, rcond=None)[0]
        at = np.linspace(-1.0, 0.0, 9) if k == 0 else np.linspace(0.0, 1.0, 9)
        curve = np.vander(at, order + 1, increasing=True) @ slope
        lines.append([[cut.value + float(u * h), float(v)] for u, v in zip(at, curve, strict=True)])
    return {"kind": "discontinuity", "bins": bins, "lines": lines, "cutoff": cut.value,
            "running": str(data.spec.running_variable), "outcome": data.spec.outcome}


def _label(data: Prepared, cut: Cutoff) -> str:
    return f"{data.treatment.labels[0]}, where {data.spec.running_variable} is {cut.value:g}"


def _few(cut: Cutoff, left: int, right: int, h: float | None) -> Refused:
    where = f"within {h:.4g} of the cutoff {cut.value:g}" if h is not None else f"around the cutoff {cut.value:g}"
    return Refused("too_few_near", f"There are {left:,} rows below and {right:,} above, {where}; that is too few (or "
                   "they have too few different values) to say where each side ends.",
                   {"cutoff": cut.value, "left": left, "right": right, "bandwidth": h},
                   "Use a wider bandwidth, a lower order, or more data near the cutoff.")


def _no_jump(data: Prepared, cut: Cutoff, jump: float, strength: float) -> Refused:
    return Refused("no_jump", f"The treatment {data.treatment.name!r} does not change at {cut.value:g}: it jumps by "
                   f"{jump:.3g}, {strength:.2g} standard errors.", {"cutoff": cut.value, "jump": jump, "t": strength},
                   "Check the cutoff and the running variable; without a change of the treatment there is nothing to "
                   "compare.")


def _reach(side: Side, order: int) -> float:
    """The distance within which the side has ``FEWEST`` rows and enough different values, or all there are."""
    far = np.sort(np.abs(side.x))
    points = np.unique(far)
    return float(max(far[min(FEWEST, len(far)) - 1], points[min(order + 3, len(points)) - 1])) * (1 + 1e-9)


def _remarks(
    data: Prepared, cut: Cutoff, near: list[int], points: list[int], strength: float, widened: bool
) -> tuple[Remark, ...]:
    name = str(data.spec.running_variable)
    out = []
    if widened:
        out.append(Remark("bandwidth_widened", f"The bandwidth with the least error would leave fewer than {FEWEST} "
                          "rows on a side; it was widened to have them.", (name,), {"left": near[0], "right": near[1]}))
    if cut.found:
        out.append(Remark(
            "cutoff_found", f"The cutoff {cut.value:g} was read off the data: the treatment changes between "
            f"{plain(cut.between[0])} and {plain(cut.between[1])}.", (name,),
            {"cutoff": cut.value, "between": list(cut.between)}))
    if sum(points) < 0.8 * sum(near):
        few: dict[str, Any] = {"left": points[0], "right": points[1], "rows": sum(near)}
        out.append(Remark(
            "mass_points", f"Near the cutoff {name} has only {points[0]} and {points[1]} different values for "
            f"{sum(near):,} rows; the interval takes the curve between them for smooth.", (name,), few))
    if strength < WEAK:
        out.append(Remark(
            "weak_jump", f"The treatment's jump is only {strength:.2g} standard errors; the interval is then too "
            "short.",
            (data.treatment.name,), {"t": strength}))
    return tuple(out)
