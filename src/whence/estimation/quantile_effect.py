"""Effects on quantiles of the outcome: by weighting, and doubly robust."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.inference import Answer, cluster_factor
from whence.estimation.ipw import fit_propensity
from whence.estimation.overlap import balancing_weights, log_slope, require_overlap, target_log_slope
from whence.estimation.parameters import DEGREE, LEVEL
from whence.estimation.prepare import Prepared
from whence.estimation.regression import SHOWN, dropped_controls
from whence.stats.logit import LogitFit, logit
from whence.stats.regress import covariance_matrix

PENALTY = 1.0  # on the outcome model's squared coefficients: far quantiles leave few rows on one side
FEW_VALUES = 3  # an outcome with fewer has no quantiles worth comparing
WIDTH = 1.96  # standard errors of the distribution function over which its slope is taken
SAME = 1e-10
SHARED = 0.05  # a share of an arm at one value that is a tie, not an outcome

CARD = Card(
    name="quantile_effect",
    task="estimation",
    title="Quantile treatment effects",
    summary="How far apart the quantiles of the outcome are if everybody was treated and if nobody was, by inverting "
    "distribution functions that are right when the propensity or the outcome model is.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Among people alike in the controls, who was treated has nothing else to do with the outcome.",
        "People of every kind in the controls could have been in either arm.",
        "The chance of treatment, or the chance to be below each quantile, follows a logistic model in the design "
        "columns (controls with their powers).",
        "An effect on a quantile compares two distributions; it is nobody's own effect unless ranks stay the same.",
    ),
    parameters=(
        Parameter("quantiles", "str", "0.5, 0.1, 0.25, 0.75, 0.9", "Quantiles between 0 and 1, commas between; the "
                  "first is the effect reported."),
        Parameter("score", "choice", "doubly_robust", "doubly_robust: a logit of being below each quantile corrects "
                  "the weighting. weighting: without it (Firpo 2007).", choices=("doubly_robust", "weighting")),
        DEGREE,
        LEVEL,
    ),
    output="Effect",
    cost="A logit for each arm and quantile.",
    citations=(
        "Firpo (2007), Efficient semiparametric estimation of quantile treatment effects, Econometrica 75",
        "Zhang, Chen, Troendle and Zhang (2012), Causal inference on quantiles with an obstetric application, "
        "Biometrics 68",
        "Francisco and Fuller (1991), Quantile estimation with a complex survey design, Annals of Statistics 19",
    ),
    function="whence.estimation.quantile_effect:quantile_effect",
    quantities=("QTE", "QTT"),
)


@dataclass(frozen=True)
class _Quantile:
    """value: the quantile. influence: (n,). tied: whether its confidence limits are the same value. room: whether they
    lie within the outcomes seen. mass: share of the arm at the value."""

    value: float
    influence: np.ndarray
    tied: bool
    room: bool
    mass: float


def quantile_effect(
    data: Prepared, *, quantiles: str = "0.5, 0.1, 0.25, 0.75, 0.9", score: str = "doubly_robust", degree: int = 2,
    level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """Differences of quantiles, everybody (QTE) or the treated (QTT) treated and untreated.

    The distribution function of arm b, with v its normalised inverse probability weights, s those of the people asked
    about and m the fitted chance of an outcome of at most q0 (Zhang et al. 2012, section 3; m = 0 for weighting, Firpo
    2007):

        F(q) = mean(s m) + mean(v (1(y <= q) - m)),   q0 the weighted quantile,

    is inverted at each quantile. Its influence values are those of the stacked estimating equations, both models'
    coefficients included; divided by minus its slope they are the quantile's. The slope is taken between the quantile's
    confidence limits, which invert F (Francisco and Fuller 1991), so that no density need be smooth.

    Refused: ``binary_outcome``, ``outcome_tied``, ``too_few_in_tail`` and those of ``ipw``. Raises ``WhenceError``
    (``bad_parameter``) for quantiles that are not numbers between 0 and 1.
    """
    asked = parsed(quantiles)
    values = len(np.unique(data.outcome))
    if values < FEW_VALUES:
        return Refused("binary_outcome", f"{data.spec.outcome!r} has two values, so its quantiles say less than its "
            "mean.",
                       {"values": values}, "Ask for the ATE: the difference in probability.")
    fitted = fit_propensity(data, degree)
    if isinstance(fitted, Refused):
        return fitted
    fit, controls = fitted
    overlap = require_overlap(data, fit.probabilities)
    if isinstance(overlap, Refused):
        return overlap
    diagnostics, remarks = overlap
    t = data.treatment
    found = {(q, a, b): _quantile(data, fit, a, b, q, score == "doubly_robust")
             for q in asked for a in range(1, len(t.arms)) for b in (a, 0)}
    pairs = [(q, a) for a in range(1, len(t.arms)) for q in asked]
    for q, a in pairs:
        refused = _unreachable(data, q, found[q, a, a], found[q, a, 0])
        if refused is not None:
            return refused
    if controls.dropped:
        remarks = (*remarks, dropped_controls(controls))
    return Answer(
        data, estimates=np.array([found[q, a, a].value - found[q, a, 0].value for q, a in pairs]),
        influence=np.column_stack([found[q, a, a].influence - found[q, a, 0].influence for q, a in pairs])
        * cluster_factor(data.clusters),
        remarks=(*remarks, *_ties(data, found)), propensity=fit.probabilities[:, 1],
        labels=tuple(_label(q) + ("" if len(t.arms) == 2 else f", {t.arms[a]} against {t.arms[0]}") for q, a in pairs),
        diagnostics=diagnostics | {
            "quantiles": [{"quantile": q, "comparison": t.labels[a - 1], "treated": found[q, a, a].value,
                           "control": found[q, a, 0].value} for q, a in pairs],
            "degree": degree, "columns": fit.design.shape[1], "controls": list(controls.labels[:SHOWN]),
            "controls_dropped": list(controls.dropped[:SHOWN]),
        },
    )


def parsed(quantiles: str) -> tuple[float, ...]:
    """The quantiles asked for, once each, in order. Raises ``WhenceError`` (``bad_parameter``)."""
    try:
        numbers = tuple(dict.fromkeys(float(part) for part in quantiles.split(",")))
    except ValueError:
        numbers = ()
    if not numbers or not all(0 < q < 1 for q in numbers):
        raise WhenceError(
            f"Parameter 'quantiles' of 'quantile_effect' must be numbers between 0 and 1, not {quantiles!r}.",
            code="bad_parameter", value=quantiles, allowed="such as '0.5, 0.9'",
        )
    return numbers


def _label(q: float) -> str:
    return "median" if q == 0.5 else f"{100 * q:g} %"


def _quantile(data: Prepared, fit: LogitFit, treated: int, arm: int, q: float, robust: bool) -> _Quantile:
    """The ``q`` quantile in ``arm`` of the people asked about (everyone, or arm ``treated``)."""
    y, inside = data.outcome, data.treatment.codes == arm
    v = data.w * balancing_weights(data, fit.probabilities, treated, arm)
    v = v / v.mean()
    start = weighted_quantile(y[inside], v[inside], q)
    s = data.w * (1.0 if data.spec.quantity == "QTE" else data.treatment.codes == treated)
    s = s / s.mean()
    below, chance = (y <= start).astype(float), np.zeros(data.n)
    model = None
    if robust and not (data.spec.quantity == "QTT" and arm == treated) and 0 < below[inside].sum() < inside.sum():
        weights = None if data.weights is None else data.weights[inside]
        model = logit(fit.design[inside], below[inside], weights, PENALTY)
        eta = np.clip(fit.design @ model.coefficients[:, 0], -30, 30)
        chance = 1 / (1 + np.exp(-eta))
    at = float(np.clip(q - (s - v) @ chance / data.n, 0.0, 1.0))
    value = weighted_quantile(y[inside], v[inside], at)
    own = v * ((y <= value) - chance)
    own = own - v * own.mean()
    slope = target_log_slope(data.spec.quantity, treated, len(data.treatment.arms), fit.probabilities)
    slope = slope - log_slope(arm, len(data.treatment.arms), fit.probabilities)
    psi = own + s * chance - s * (s @ chance) / data.n + fit.influence((slope * own[:, None]).T @ fit.design / data.n)
    if model is not None:
        change = ((s - v) * chance * (1 - chance)) @ fit.design / data.n
        psi[inside] += model.influence(change[None, :]) * data.n / inside.sum()
    error = _error(data, psi)
    ends = np.clip([at - WIDTH * error, at + WIDTH * error], 0.0, 1.0).tolist()
    limits = [weighted_quantile(y[inside], v[inside], end) for end in ends]
    steepness = (limits[1] - limits[0]) / max(2 * WIDTH * error, 1e-300)
    mass = float(v[inside & (y == value)].sum()) / data.n
    extreme = value in (y[inside].min(), y[inside].max()) and mass < SHARED
    room = ends[0] > 0 and ends[1] < 1 and not extreme
    return _Quantile(value, -steepness * psi, limits[1] - limits[0] <= SAME * (1 + abs(value)), room, mass)


def _error(data: Prepared, psi: np.ndarray) -> float:
    if data.dependence is not None:
        return float(np.sqrt(data.dependence.products(psi[:, None])[0, 0])) / data.n
    return float(np.sqrt(covariance_matrix(psi[:, None], data.clusters)[0, 0]))


def weighted_quantile(values: np.ndarray, weights: np.ndarray, q: float) -> float:
    """Smallest value whose cumulative share of ``weights`` reaches ``q``; the middle of two when it is just met."""
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weights[order]) / weights.sum()
    k = min(int(np.searchsorted(share, q - SAME)), len(values) - 1)
    above = min(int(np.searchsorted(share, q + SAME)), len(values) - 1)
    return float((values[order[k]] + values[order[above]]) / 2)


def _unreachable(data: Prepared, q: float, treated: _Quantile, control: _Quantile) -> Refused | None:
    if not (treated.room and control.room):
        return Refused(
            "too_few_in_tail", f"The {_label(q)} quantile of {data.spec.outcome!r} is too far out: its confidence "
            "limits lie "
            "beyond the outcomes seen.", {"quantile": q, "rows": data.n}, "Ask for quantiles nearer to the median.",
        )
    if treated.tied and control.tied:
        return Refused(
            "outcome_tied", f"So many rows share the {_label(q)} quantile of {data.spec.outcome!r} that it hardly "
            "varies in either arm: a difference would look certain.",
            {"quantile": q, "values": [treated.value, control.value], "shares": [treated.mass, control.mass]},
            "Ask for the ATE, for quantiles away from the shared value, or for the chance to exceed it.",
        )
    return None


def _ties(data: Prepared, found: dict[tuple[float, int, int], _Quantile]) -> tuple[Remark, ...]:
    """Quantiles at which many rows share one value, where quantiles jump and intervals are rough."""
    rough = sorted({(q, b) for (q, _, b), f in found.items() if f.mass > SHARED})
    if not rough:
        return ()
    arms = data.treatment.arms
    named = ", ".join(f"{_label(q)} with {data.treatment.name} = {arms[b]}" for q, b in rough[:4])
    return (Remark(
        "tied_quantiles", f"More than 5 % of an arm share the value of a quantile ({named}); there quantiles move in "
        "jumps and the intervals are rough.", (data.spec.outcome,), {"at": [[q, arms[b]] for q, b in rough]},
    ),)
