"""Regression discontinuity: the jump of the outcome at a cutoff, over the jump of the treatment."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.data.table import NUMERIC
from whence.estimation.cutoff import FEWEST, Cutoff, find_cutoff, given_cutoff
from whence.estimation.effect import summarise
from whence.estimation.honest_jump import FEW_VALUES, Honest, honest_jump
from whence.estimation.inference import Answer
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.estimation.sides import (
    FAR,
    FARTHEST,
    REPEATS,
    Sides,
    coefficients,
    fitted,
    gap,
    label,
    no_jump,
    not_reached,
    picture,
    remarks_on,
    sides_of,
    spread,
    too_few,
)
from whence.stats.jump_bandwidth import Side, jump_bandwidths
from whence.stats.local_polynomial import KERNELS
from whence.stats.regress import covariance_matrix

EXACT = 1e-9  # part of the largest dose that rounding may leave of one that a rule decides

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
        Parameter("interval", "choice", "auto", "'robust': corrected for bias; 'honest': wide enough for the worst "
                  "bias of any curve with a bounded second derivative, right also where the running variable takes "
                  "few values. 'auto': honest where it takes fewer than 10 near the cutoff, on a side.",
                  choices=("auto", "robust", "honest")),
        Parameter("curvature", "float", None, "Bound of the second derivative for the honest interval. None: a rule of "
                  "thumb, from a polynomial of degree 4 on each side.", 0.0, None, optional=True, open_ends=True),
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
        "Kolesar and Rothe (2018), Inference in regression discontinuity designs with a discrete running variable, "
        "American Economic Review 108",
        "Calonico, Cattaneo, Farrell and Titiunik (2019), Regression discontinuity designs using covariates, Review of "
        "Economics and Statistics 101",
    ),
    function="whence.estimation.rdd:rdd",
    strategies=("rdd",),
    quantities=("ATE", "LATE"),
)


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
    donut: float
    level: float

    def widths(self, sides: Sides, values: np.ndarray, least: float) -> tuple[float, float]:
        """Bandwidths of the fit and of its correction."""
        if self.bandwidth is not None:
            return self.bandwidth, self.bias_bandwidth or self.bandwidth
        h, b = jump_bandwidths(*sides.halves(values), self.order, self.derivative, self.kernel, self.coverage)
        h = max(h, least)
        return h, self.bias_bandwidth or (max(b, least) if self.own else h)


def rdd(
    data: Prepared, *, bandwidth: float | None = None, bias_bandwidth: float | None = None, correction: str = "same",
    rule: str = "mse", change: str = "jump", order: int | None = None, kernel: str = "triangular",
    interval: str = "auto", curvature: float | None = None, donut: float = 0.0, level: float = 0.95, seed: int = 0,
    progress: Progress = SILENT,
) -> Answer | Refused:
    """The jump (or kink) of the outcome at the cutoff over that of the treatment.

    The estimate is the local polynomial one at the bandwidth with the least mean squared error; interval, p-value and
    standard error are the robust bias-corrected ones (Calonico et al. 2014), so the interval need not be centred at the
    estimate. Controls enter linearly, with one coefficient for both sides (Calonico et al. 2019), and change the spread
    and not the quantity. Residuals are from the three nearest neighbours, or with clusters from the wider
    fit.

    With few different values of the running variable near the cutoff, or where asked for, the interval is the honest
    one (``honest_jump``), which takes nothing about the curve between the values for granted but a bound of its second
    derivative; errors clustered by value, once usual, cover too seldom (Kolesar and Rothe 2018).

    Refused: ``cutoff_not_found``, ``cutoff_outside``, ``too_few_near``, ``gap_at_cutoff`` (no rows next to it on a
    side), ``no_jump`` (the treatment does not change there), ``too_few_values``, ``several_arms``,
    ``running_not_numeric``. Raises ``WhenceError``: ``missing_role`` without a running variable, ``no_honest_interval``
    for a kink or another order than 1.
    """
    made = _at_cutoff(data, seed)
    if isinstance(made, Refused):
        return made
    data, x, cut = made
    if donut > 0:
        keep = np.abs(x - cut.value) >= donut
        if (keep & cut.right).sum() < FEWEST or (keep & ~cut.right).sum() < FEWEST:
            return too_few(cut, int((keep & ~cut.right).sum()), int((keep & cut.right).sum()), None)
        said = Remark("donut", f"{(~keep).sum():,} rows closer to the cutoff than {donut:g} are left out.",
                      (str(data.spec.running_variable),), {"rows": int((~keep).sum())})
        data, x = data.take(keep, said), x[keep]
        cut = replace(cut, right=cut.right[keep])
    kink = change == "kink"
    asked = _Asked(bandwidth, bias_bandwidth, correction == "own", rule == "coverage", int(kink),
                   order if order is not None else 1 + kink, kernel, donut, level)
    plain = not kink and asked.order == 1
    if interval == "honest" and not plain:
        raise WhenceError("Honest intervals are for jumps between lines.", code="no_honest_interval",
                          value={"change": change, "order": asked.order}, hint="Leave change and order out.")
    sides, honest = sides_of(data, x - cut.value, cut.right), Honest(curvature, bandwidth, kernel, level)
    if interval == "honest":
        return honest_jump(data, sides, cut, honest)
    made = _estimate(data, sides, cut, asked)
    if interval == "auto" and plain and _few_values(made, sides):
        return honest_jump(data, sides, cut, honest)
    return made


def _few_values(made: Answer | Refused, sides: Sides) -> bool:
    """Whether the running variable repeats its values and has few of them on a side near the cutoff."""
    if isinstance(made, Refused):
        return made.code == "too_few_near" and _repeats(sides.x) and len(sides.x) >= 2 * FEWEST
    h = float(made.diagnostics["bandwidth"])
    near = [side.x[np.abs(side.x) <= h] for side in sides.halves(sides.x)]
    return min(len(np.unique(part)) for part in near) < FEW_VALUES and _repeats(np.concatenate(near))


def _repeats(x: np.ndarray) -> bool:
    return len(np.unique(x)) < REPEATS * len(x)


def _at_cutoff(data: Prepared, seed: int) -> tuple[Prepared, np.ndarray, Cutoff] | Refused:
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
    cut = find_cutoff(x, t.values, name, seed) if value is None else given_cutoff(x, t.values, float(value))
    if isinstance(cut, Refused):
        return cut
    sizes = int((~cut.right).sum()), int(cut.right.sum())
    if min(sizes) == 0:
        return Refused("cutoff_outside", f"The cutoff {cut.value:g} lies outside the values of {name!r}, "
                       f"{x.min():g} to {x.max():g}.", {"cutoff": cut.value, "range": [float(x.min()), float(x.max())]},
                       "Give the cutoff in the unit of that column.")
    if min(sizes) < FEWEST:
        return too_few(cut, *sizes, None)
    return data, x, cut


def _estimate(data: Prepared, sides: Sides, cut: Cutoff, asked: _Asked) -> Answer | Refused:
    controls = data.features(1)
    if isinstance(controls, Refused):
        return controls
    z, y, t = (v[sides.order] for v in (controls.matrix, data.outcome, data.treatment.values))
    order = asked.order
    least = max(_reach(side, order) for side in sides.halves(y))
    combined = y
    # The bandwidth first for the outcome alone, then for outcome less controls less the treatment's share of it, where
    # that is more than the outcome times a number.
    known = cut.sharp or (asked.derivative > 0 and _follows(sides, t, order))
    alone = known and not z.shape[1]
    for _ in range(1 if asked.bandwidth is not None or alone else 2):
        made = _window(data, sides, cut, asked, asked.widths(sides, combined, least))
        if isinstance(made, Refused):
            return made
        h, b, near, points = made
        fit = fitted(sides, h, b, order, asked.derivative, asked.kernel)
        if not np.isfinite(fit.corrected).all():
            return too_few(cut, near[0], near[1], h)
        y_left, t_left = (v - z @ g for v, g in zip((y, t), coefficients(sides, fit, z, y, t, order), strict=True))
        jump = float(fit.plain @ t_left)
        if abs(jump) <= 1e-12 * max(1.0, float(np.abs(t).max())):
            return no_jump(data, cut, jump, 0.0)
        ratio = float(fit.plain @ y_left) / jump
        combined = y_left / jump if known else (y_left - ratio * t_left) / jump
    first = spread(data, sides, fit, t_left, order)
    strength = np.inf if known else abs(jump) / float(np.sqrt(covariance_matrix(first, data.clusters)[0, 0]))
    if strength < 1.96:
        return no_jump(data, cut, jump, strength)
    influence = spread(data, sides, fit, combined, order)
    corrected = ratio + float((fit.corrected - fit.plain) @ combined)
    error = float(np.sqrt(covariance_matrix(influence, data.clusters)[0, 0]))
    plain_error = float(np.sqrt(covariance_matrix(spread(data, sides, fit, combined, order, plain=True),
                                                  data.clusters)[0, 0]))
    df = None if data.n_clusters is None else data.n_clusters - 1.0
    interval, p_value = summarise(corrected, error, asked.level, df)
    said = remarks_on(data, cut, near, points, strength, h == least, stretched=gap(sides, asked.donut)[1] > FAR * h)
    return Answer(
        data, estimates=np.array([ratio]), influence=influence, interval=interval, p_value=p_value, remarks=said,
        labels=(label(data, cut),),
        diagnostics={
            "cutoff": cut.value, "cutoff_found": cut.found, "cutoff_evidence": dict(cut.evidence),
            "design": "sharp" if known else "fuzzy", "interval": "robust",
            "bandwidth": h, "bias_bandwidth": b, "order": order, "kernel": asked.kernel,
            "change": "kink" if asked.derivative else "jump", "rows_left": near[0], "rows_right": near[1],
            "treatment_jump": jump, "treatment_jump_t": strength if np.isfinite(strength) else None,
            "outcome_jump": float(fit.plain @ y_left), "bias_corrected": corrected, "robust_error": error,
            "conventional": ratio, "conventional_error": plain_error, "controls": list(controls.labels[:60]),
            "picture": picture(data, sides, cut, fit, h, order),
        },
    )


def _window(
    data: Prepared, sides: Sides, cut: Cutoff, asked: _Asked, widths: tuple[float, float]
) -> tuple[float, float, list[int], list[int]] | Refused:
    """Both bandwidths, and how many rows and different values each side has within the first."""
    h, b = widths
    near = [half.x[np.abs(half.x) <= h] for half in sides.halves(sides.x)]
    rows, points = [len(part) for part in near], [len(np.unique(part)) for part in near]
    if not np.isfinite(h) or min(rows) < FEWEST or min(points) < asked.order + 2:
        return too_few(cut, rows[0], rows[1], h if np.isfinite(h) else None)
    where, empty = gap(sides, asked.donut)
    return not_reached(data, cut, where, empty, h) if empty > FARTHEST * h else (h, b, rows, points)


def _follows(sides: Sides, t: np.ndarray, order: int) -> bool:
    """Whether the rule decides the dose: on each side it is a polynomial of ``order`` in the running variable."""
    for side in sides.halves(t):
        powers = np.vander(side.x / max(float(np.abs(side.x).max()), 1e-300), order + 1)
        rest = side.outcome - powers @ np.linalg.lstsq(powers, side.outcome, rcond=None)[0]
        if float(np.abs(rest).max()) > EXACT * float(np.abs(t).max()):
            return False
    return True


def _reach(side: Side, order: int) -> float:
    """The distance within which the side has ``FEWEST`` rows and enough different values, or all there are."""
    far = np.sort(np.abs(side.x))
    points = np.unique(far)
    return float(max(far[min(FEWEST, len(far)) - 1], points[min(order + 3, len(points)) - 1])) * (1 + 1e-9)


