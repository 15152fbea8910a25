"""Confounding of mediator and outcome: how strong a hidden common cause would have to be to end the indirect effect."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from whence.checks.check import Check, does_not_apply
from whence.checks.setting import Setting, setting
from whence.checks.words import number
from whence.core.card import Card
from whence.core.progress import SILENT, Progress
from whence.core.result import to_plain
from whence.data.table import NUMERIC, Table
from whence.estimation.effect import Effect, summarise
from whence.graphs.graph import Graph
from whence.stats.features import independent, level_codes
from whence.stats.regress import covariance_matrix, influence, ols

NATURAL = ("NDE", "NIE", "TDE", "TIE")
STEPS = 60  # halvings of the range of correlations
GRID = tuple(round(0.1 * k, 1) for k in range(-9, 10))

CARD = Card(
    name="mediator_confounding",
    task="check",
    title="What hidden cause of mediator and outcome would end the indirect effect?",
    summary="How closely what is left of the mediator and of the outcome would have to go together, because of a "
    "hidden common cause, to bring the indirect effect or its interval to zero, next to the controls.",
    data_kinds=("binary", "continuous", "count", "ordinal"),
    assumptions=("Mediator and outcome are linear in the treatment, the mediator and the controls, without "
                 "interaction.",),
    parameters=(),
    output="whence.checks.check.Check",
    cost="Two regressions on the controls.",
    citations=(
        "Imai, K., Keele, L. and Yamamoto, T. (2010). Identification, inference and sensitivity analysis for causal "
        "mediation effects. Statistical Science 25(1), 51-71.",
    ),
    function="whence.checks.mediator_confounding:mediator_confounding",
)


@dataclass(frozen=True)
class Linear:
    """The linear model of mediator and outcome.

    slope: of the mediator on the treatment. slope_influence: (n,). outcome, mediator: (n,), what treatment and controls
    leave of each. weights: (n,), mean 1. clusters: (n,) or None.
    """

    slope: float
    slope_influence: np.ndarray
    outcome: np.ndarray
    mediator: np.ndarray
    weights: np.ndarray
    clusters: np.ndarray | None

    @cached_property
    def moments(self) -> tuple[float, float, float]:
        """Mean squares of what is left of the outcome and of the mediator, and the mean of their product."""
        a, b, w = self.outcome, self.mediator, self.weights
        return float(w @ (a * a)) / len(a), float(w @ (b * b)) / len(a), float(w @ (a * b)) / len(a)

    @property
    def ending(self) -> float:
        """The correlation of the errors at which the indirect effect is zero: that of what is left of both (Imai, Keele
        and Yamamoto 2010, theorem 4 and equation 11)."""
        outcome, mediator, both = self.moments
        return both / math.sqrt(outcome * mediator)

    def at(self, rho: float) -> tuple[float, float]:
        """The indirect effect and its standard error when the errors of mediator and outcome have correlation rho.

        slope times (s12 - rho / sqrt(1 - rho^2) sqrt(s11 s22 - s12^2)) / s22 (theorem 4 there, rewritten), with the
        influence values of the slope and of the mean squares.
        """
        s11, s22, s12 = self.moments
        k = rho / math.sqrt(1 - rho * rho)
        root = math.sqrt(max(s11 * s22 - s12 * s12, 1e-300))
        factor = (s12 - k * root) / s22
        by_11 = -k / (2 * root)  # derivatives of the factor
        by_12 = (1 + k * s12 / root) / s22
        by_22 = -k * s11 / (2 * root * s22) - factor / s22
        a, b = self.outcome, self.mediator
        moved = by_11 * (a * a - s11) + by_12 * (a * b - s12) + by_22 * (b * b - s22)
        values = factor * self.slope_influence + self.slope * self.weights * moved
        return self.slope * factor, math.sqrt(covariance_matrix(values[:, None], self.clusters)[0, 0])


def mediator_confounding(
    table: Table, effect: Effect, *, graph: Graph | None = None, seed: int = 0,
    progress: Progress = SILENT, **params: Any,
) -> Check:
    """Sensitivity of the indirect effect to a hidden common cause of one mediator and the outcome.

    rho is the correlation that such a cause brings into the errors of mediator and outcome. ``numbers``: the indirect
    effect in the linear model, the rho that brings it to zero, the smallest that brings its interval to zero, the
    effect over a grid of rho, and for each control the rho that leaving it out would bring. Worry: a cause as strong as
    some control would bring the interval to zero. Raises ``WhenceError`` for unknown parameters and for tables that are
    not the effect's.
    """
    CARD.checked(params)
    if effect.spec.quantity not in NATURAL:
        return does_not_apply(CARD, "It is about natural effects, past a mediator or through it.")
    s = setting(table, effect, parts=True)
    if len(effect.spec.mediators) != 1:
        return does_not_apply(CARD, "The linear model it uses is for a single mediator.")
    values = mediator_values(s)
    if values is None:
        return does_not_apply(CARD, "The mediator has several values that are not numbers.")
    x = s.controls[:, independent(s.controls)]
    design = np.column_stack([np.ones(s.n), s.treatment, x])
    left, through = ols(design, s.outcome, s.weights), ols(design, values, s.weights)
    mean_squares = [float(s.data.w @ fit.residuals**2) / s.n for fit in (left, through)]
    if min(mean_squares) <= 1e-12 * max(float(np.var(s.outcome)), float(np.var(values)), 1e-12):
        return does_not_apply(CARD, "Treatment and controls leave nothing of the mediator or of the outcome.")
    aim = np.zeros((1, design.shape[1]))
    aim[0, 1] = 1.0
    own = influence(through, aim, "HC1", s.clusters)[:, 0]
    model = Linear(float(through.coefficients[1]), own, left.residuals, through.residuals, s.data.w, s.clusters)
    return _told(_numbers(model, _benchmarks(s, values), effect))


def mediator_values(s: Setting) -> np.ndarray | None:
    """The mediator as numbers (n,); two values become 0 and 1, more that are no numbers None."""
    column = s.data.table.column(s.data.spec.mediators[0])
    if column.kind in NUMERIC or column.kind == "ordinal":
        return column.numeric()[s.data.rows]
    codes, _ = level_codes(column, s.data.rows)
    found = np.unique(codes)
    return (codes == found[-1]).astype(float) if len(found) == 2 else None


def _benchmarks(s: Setting, mediator: np.ndarray) -> dict[str, float]:
    """For each control the correlation of errors that leaving it out brings, in the linear model."""
    kept = independent(s.controls)
    keep = np.flatnonzero(kept)
    x = s.controls[:, keep]
    sources = [s.sources[j] for j in keep]
    base = [np.ones(s.n), s.treatment]
    through = ols(np.column_stack([*base, x]), mediator, s.weights)
    outcome = ols(np.column_stack([*base, mediator, x]), s.outcome, s.weights)
    found, w = {}, s.data.w
    for name in dict.fromkeys(sources):
        own = np.array([source == name for source in sources])
        others = np.column_stack([*base, x[:, ~own]])
        apart = np.column_stack([ols(others, x[:, j], s.weights).residuals for j in np.flatnonzero(own)])
        for_mediator = apart @ through.coefficients[2:][own]
        for_outcome = apart @ outcome.coefficients[3:][own]
        spread = [float(w @ (part**2 + fit.residuals**2)) for part, fit in
                  ((for_mediator, through), (for_outcome, outcome))]
        if min(spread) > 0:
            found[name] = float(w @ (for_mediator * for_outcome)) / math.sqrt(spread[0] * spread[1])
    return found


def needed(model: Linear, level: float, df: float | None) -> float:
    """The smallest correlation, on the way to the one that ends the effect, at which its interval holds zero."""

    def holds(rho: float) -> bool:
        (low, high), _ = summarise(*model.at(rho), level, df)
        return low <= 0 <= high

    if holds(0.0):
        return 0.0
    near, far = 0.0, model.ending
    for _ in range(STEPS):
        middle = (near + far) / 2
        near, far = (near, middle) if holds(middle) else (middle, far)
    return far


def _numbers(model: Linear, benchmarks: dict[str, float], effect: Effect) -> dict[str, Any]:
    estimate, error = model.at(0.0)
    rows = []
    for rho in GRID:
        at, its_error = model.at(rho)
        (low, high), _ = summarise(at, its_error, effect.level, effect.df)
        rows.append({"rho": rho, "estimate": at, "low": low, "high": high})
    numbers: dict[str, Any] = {
        "indirect": estimate, "standard_error": error, "ending": model.ending, "level": effect.level,
        "needed": needed(model, effect.level, effect.df), "grid": rows,
        "controls": [{"control": name, "rho": rho} for name, rho in sorted(benchmarks.items())],
    }
    if benchmarks:
        strongest = min(benchmarks, key=lambda name: (-abs(benchmarks[name]), name))
        numbers |= {"strongest": strongest, "strongest_rho": benchmarks[strongest]}
    return numbers


def _told(n: dict[str, Any]) -> Check:
    if n["needed"] == 0 or "strongest" not in n:
        verdict = "informational"
    else:
        verdict = "worry" if abs(n["strongest_rho"]) >= abs(n["needed"]) else "pass"
    text = (f"In a linear model the indirect effect is {number(n['indirect'])}. A hidden cause of mediator and outcome "
            f"that makes what is left of them go together with a correlation of {number(n['ending'])} would bring it "
            "to zero")
    text += (f", and one of {number(n['needed'])} its interval." if n["needed"] != 0 else
             "; its interval includes zero as it is.")
    text += (f" Leaving out {n['strongest']!r}, the most telling of the controls, would bring in one of "
             f"{number(n['strongest_rho'])}." if "strongest" in n else " There is no control to compare that with.")
    return Check(
        CARD.name, CARD.title, verdict,
        worry="A hidden cause of mediator and outcome no stronger than one of the controls would be enough to bring "
              "the interval of the indirect effect to zero.",
        saw=text,
        cannot_show="It says how strong a hidden cause would have to be in a linear model without interaction, not "
                    "whether there is one; a common cause that follows from the treatment is another matter.",
        numbers=to_plain(n),
    )
