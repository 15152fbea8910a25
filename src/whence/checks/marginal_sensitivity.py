"""Marginal sensitivity model: how far hidden causes may shift the odds of treatment before the effect is in doubt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.checks.check import Check, does_not_apply
from whence.checks.setting import PENALTY, Setting, propensity, setting
from whence.checks.words import number
from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import to_plain
from whence.data.table import Table
from whence.estimation.effect import Effect, summarise
from whence.graphs.graph import Graph
from whence.stats.features import independent
from whence.stats.logit import logit
from whence.stats.regress import covariance_matrix, ols

SHOWN = (1.0, 1.1, 1.25, 1.5, 2.0, 3.0)
LARGEST = 100.0
HALVINGS = 30
TENTH = 0.9  # of the rows a control changes the odds of by less than its yardstick
CURVE = 25
ROWS_PER_COLUMN = 3  # an arm with fewer rows per column gets its mean for a regression

CARD = Card(
    name="marginal_sensitivity",
    task="check",
    title="How far could hidden causes shift the odds of treatment?",
    summary="Hidden causes may multiply or divide anybody's odds of treatment, among people alike in the controls, by "
    "up to a factor; the least and the greatest effect that then agree with the data.",
    data_kinds=("binary", "categorical"),
    assumptions=(
        "The chance of treatment given the controls is as fitted.",
        "What the controls leave of the outcome hardly depends on them, or the limits are wider than they need be.",
    ),
    parameters=(
        Parameter("weak", "float", 1.25, "A factor below this, at which the interval reaches zero, worries us.", 1.0),
        Parameter("most_rows", "int", 200_000, "Beyond so many rows the limits are not searched.", 1),
    ),
    output="whence.checks.check.Check",
    cost="One sort of each arm; then a pass for each factor tried.",
    citations=(
        "Tan, Z. (2006). A distributional approach for causal inference using propensity scores. Journal of the "
        "American Statistical Association 101(476), 1619-1637.",
        "Zhao, Q., Small, D. S. and Bhattacharya, B. B. (2019). Sensitivity analysis for inverse probability weighting "
        "estimators via the percentile bootstrap. Journal of the Royal Statistical Society B 81(4), 735-761.",
        "Dorn, J. and Guo, K. (2023). Sharp sensitivity analysis for inverse propensity weighting via quantile "
        "balancing. Journal of the American Statistical Association 118(544), 2645-2657.",
    ),
    function="whence.checks.marginal_sensitivity:marginal_sensitivity",
)


@dataclass(frozen=True)
class Side:
    """The rows of one arm that stand for others, residuals falling. rows: int (m,), of the setting. residual: (m,), of
    the arm's regression. fixed, moving: (m,), a row's weight is fixed + moving times a factor that hidden causes set
    between 1 / gamma and gamma. sign: +1 when the arm's mean adds to the effect, -1 when it is taken away."""

    rows: np.ndarray
    residual: np.ndarray
    fixed: np.ndarray
    moving: np.ndarray
    sign: float

    def extreme(self, gamma: float, greatest: bool) -> tuple[float, np.ndarray]:
        """The greatest (least) weighted mean residual and the weights (m,) that give it.

        The weights are at their limits: high for the residuals beyond some value, low for the others (Zhao, Small and
        Bhattacharya 2019, section 4.4). All such values are tried.
        """
        low, high = self.fixed + self.moving / gamma, self.fixed + self.moving * gamma
        if not greatest:
            low, high = high, low
        gain = high - low
        above = (low @ self.residual + np.cumsum(gain * self.residual)) / (low.sum() + np.cumsum(gain))
        best = int(above.argmax() if greatest else above.argmin())
        return float(above[best]), np.where(np.arange(len(gain)) <= best, high, low)


@dataclass(frozen=True)
class Model:
    """The effect under hidden causes. known: (n,), what does not depend on them, times the weights of the rows asked
    about, less its mean. centre: that mean. sides: one arm for the treated or the untreated, two for everybody."""

    known: np.ndarray
    centre: float
    sides: tuple[Side, ...]
    clusters: np.ndarray | None

    def end(self, gamma: float, greatest: bool) -> tuple[float, float]:
        """The greatest (least) effect when odds shift by at most ``gamma``, and its standard error, the regressions and
        the chances taken as known."""
        value, psi = self.centre, self.known.copy()
        for side in self.sides:
            mean, weights = side.extreme(gamma, greatest == (side.sign > 0))
            value += side.sign * mean
            psi[side.rows] += side.sign * len(psi) * weights * (side.residual - mean) / weights.sum()
        return value, math.sqrt(float(covariance_matrix(psi[:, None], self.clusters)[0, 0]))


def model(s: Setting) -> Model:
    """Regressions by arm on the controls, their residuals weighted by the odds of treatment."""
    score, w, treated = propensity(s), s.data.w, s.treated
    x = np.column_stack([np.ones(s.n), s.controls[:, independent(s.controls)]])
    fitted = {arm: _fitted(s, x, treated == arm) for arm in (True, False)}
    odds, quantity = score / (1 - score), s.data.spec.quantity
    if quantity == "ATE":
        asked, gains = w, fitted[True] - fitted[False]
        sides = [(True, 1.0, 1 / odds), (False, -1.0, odds)]
    elif quantity == "ATT":
        asked, gains, sides = w * treated, s.outcome - fitted[False], [(False, -1.0, odds)]
    else:
        asked, gains, sides = w * ~treated, fitted[True] - s.outcome, [(True, 1.0, 1 / odds)]
    centre = float(asked @ gains / asked.sum())
    made = []
    for arm, sign, moving in sides:
        rows = np.flatnonzero(treated == arm)
        residual = s.outcome[rows] - fitted[arm][rows]
        order = np.argsort(-residual, kind="stable")
        rows = rows[order]
        own = w[rows] if quantity == "ATE" else np.zeros(len(rows))
        made.append(Side(rows, residual[order], own, w[rows] * moving[rows], sign))
    return Model(asked * (gains - centre) / asked.mean(), centre, tuple(made), s.clusters)


def _fitted(s: Setting, x: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Least squares (n,) of the outcome in an arm; its mean where there are too few rows for the columns."""
    columns = x if inside.sum() >= ROWS_PER_COLUMN * x.shape[1] else x[:, :1]
    weights = None if s.weights is None else s.weights[inside]
    return columns @ ols(columns[inside], s.outcome[inside], weights).coefficients


def yardsticks(s: Setting) -> dict[str, float]:
    """For each control, the factor by which leaving it out changes the odds of treatment of one row in ten, or more.

    One Newton step from the fit with all controls to that without this one.
    """
    kept = np.flatnonzero(independent(s.controls))
    design = np.column_stack([np.ones(s.n), s.controls[:, kept]])
    fit = logit(design, s.treatment, s.weights, penalty=PENALTY)
    inverse = np.linalg.pinv(fit.information, hermitian=True)
    found = {}
    for name in s.names:
        own = 1 + np.flatnonzero(np.array([s.sources[j] == name for j in kept]))
        if len(own):
            step = inverse[:, own] @ np.linalg.solve(inverse[np.ix_(own, own)], fit.coefficients[own, 0])
            found[name] = math.exp(min(float(np.quantile(np.abs(design @ step), TENTH)), 50.0))
    return found


def marginal_sensitivity(
    table: Table, effect: Effect, *, graph: Graph | None = None, seed: int = 0,
    progress: Progress = SILENT, **params: Any,
) -> Check:
    """Tan's (2006) model: given the controls, a hidden cause multiplies the odds of treatment by at most gamma.

    E Y(b) is the mean of m_b(x) and of residuals y - m_b weighted by one over the chance of the arm, which hidden
    causes move between limits; the extremes over all of them are found by sorting, and are the sharp ones (Dorn and Guo
    2023) where the distribution of the residuals does not depend on the controls. ``numbers``: the factors ``gamma``
    and ``gamma_interval`` at which the estimate and its interval reach zero, what leaving out each control does to the
    odds. Worry: ``gamma_interval`` below ``weak``. Informational: the interval includes zero as it is.
    Raises ``WhenceError`` for unknown parameters and for tables that are not the effect's.
    """
    p = CARD.checked(params)
    s = setting(table, effect)
    if s.randomised:
        return does_not_apply(CARD, "The treatment was assigned by chance, so nothing hidden can lie behind it.")
    if not s.arms:
        return does_not_apply(CARD, "The treatment is a dose; the model is about the odds of being treated.")
    if effect.quantity not in ("ATE", "ATT", "ATC"):
        return does_not_apply(CARD, f"The limits are known for averages over people, not for the {effect.quantity}.")
    if s.n > p["most_rows"]:
        return does_not_apply(CARD, f"There are {s.n:,} rows; the limits are searched up to most_rows="
                              f"{p['most_rows']:,}.")
    made = model(s)
    known = yardsticks(s) if s.names else {}
    estimate = made.end(1.0, True)[0]
    numbers: dict[str, Any] = {
        "estimate": estimate, "gamma": _reaches(made, estimate, None), "weak": p["weak"], "level": effect.level,
        "gamma_interval": _reaches(made, estimate, effect.level), "controls": known, "effect": effect.estimate,
    }
    if known:
        strongest = max(sorted(known), key=lambda name: known[name])
        numbers |= {"strongest": strongest, "strongest_factor": known[strongest]}
    return _told(made, numbers)


def _reaches(made: Model, estimate: float, level: float | None) -> float:
    """The factor at which the nearer limit (of the interval, with a ``level``) reaches zero; 1 if it has as it is."""
    def beyond(gamma: float) -> bool:
        value, error = made.end(gamma, estimate < 0)
        near = value if level is None else summarise(value, error, level)[0][int(estimate < 0)]
        return near * estimate <= 0

    if beyond(1.0):
        return 1.0
    if not beyond(LARGEST):
        return LARGEST
    low, high = 1.0, LARGEST
    for _ in range(HALVINGS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if beyond(middle) else (middle, high)
    return high


def _limits(made: Model, gamma: float, level: float) -> dict[str, float]:
    (low, low_error), (high, high_error) = made.end(gamma, False), made.end(gamma, True)
    return {"gamma": gamma, "low": low, "high": high, "interval_low": summarise(low, low_error, level)[0][0],
            "interval_high": summarise(high, high_error, level)[0][1]}


def _told(made: Model, numbers: dict[str, Any]) -> Check:
    gamma, level = numbers["gamma_interval"], numbers["level"]
    rows = [{"label": f"odds up to {g:g} times", **_limits(made, g, level)} for g in SHOWN]
    furthest = min(max(1.5, 1.3 * numbers["gamma"], numbers.get("strongest_factor", 1.0)), 6.0)
    curve = [_limits(made, g, level) for g in np.geomspace(1.0, furthest, CURVE).tolist()]
    return Check(
        CARD.name, CARD.title, "informational" if gamma == 1 else "worry" if gamma < numbers["weak"] else "pass",
        worry=(f"Hidden causes that multiply or divide the odds of treatment by only {number(numbers['weak'])} could "
               "bring the interval to zero."),
        saw=_saw(numbers),
        cannot_show=("It says how strong hidden causes would have to be, not whether there are any. They are let do "
                     "their worst for everybody at once, so most of that strength would do less. What leaving out a "
                     "control does is a yardstick only if the hidden causes are like the controls."),
        numbers=to_plain(numbers),
        figure=to_plain({"kind": "marginal_sensitivity", "curve": curve, "gamma": numbers["gamma"],
                         "gamma_interval": gamma, "strongest": numbers.get("strongest"),
                         "strongest_factor": numbers.get("strongest_factor"), "rows": rows}),
    )


def _saw(numbers: dict[str, Any]) -> str:
    if numbers["gamma_interval"] == 1:
        text = "The interval includes zero as it is, so there is nothing for hidden causes to explain."
    else:
        factor = "more than " if numbers["gamma_interval"] >= LARGEST else ""
        text = ("The interval leaves out zero as long as hidden causes multiply or divide the odds of treatment, among "
                f"people alike in the controls, by less than {factor}{number(numbers['gamma_interval'])}; the estimate "
                f"keeps its sign up to {number(numbers['gamma'])}.")
    if "strongest" not in numbers:
        return text + " There is no control to compare that with."
    return text + (f" For comparison: without {numbers['strongest']!r}, the control that tells most about who is "
                   f"treated, the odds of one row in ten would change by a factor of "
                   f"{number(numbers['strongest_factor'])} or more.")
