"""Tipping point: how common and how influential a hidden yes-or-no cause would have to be to end the effect."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from whence.checks.check import Check, does_not_apply
from whence.checks.setting import Setting, setting
from whence.checks.words import number, percent
from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import to_plain
from whence.data.table import Table
from whence.estimation.effect import Effect
from whence.graphs.graph import Graph
from whence.stats.regress import ols

DIFFERENCES = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0)

CARD = Card(
    name="tipping_point",
    task="check",
    title="What hidden cause would tip the answer?",
    summary="For a hidden yes-or-no cause, more common by some share among the treated: the effect on the outcome it "
            "needs "
    "to bring the estimate, or the nearer end of its interval, to zero.",
    data_kinds=("binary", "categorical", "continuous"),
    assumptions=("The hidden cause does the same to the outcome of treated and untreated.",),
    parameters=(
        Parameter("difference", "float", 0.2, "How much more common the hidden cause is among the treated, for the "
                                              "sentence.",
                  0.0, 1.0, open_ends=True),
    ),
    output="whence.checks.check.Check",
    cost="One regression on the controls.",
    citations=(
        "Lin, D. Y., Psaty, B. M. and Kronmal, R. A. (1998). Assessing the sensitivity of regression results to "
        "unmeasured confounders in observational studies. Biometrics 54(3), 948-963.",
        "VanderWeele, T. J. and Arah, O. A. (2011). Bias formulas for sensitivity analysis of unmeasured confounding "
        "for "
        "general outcomes, treatments, and confounders. Epidemiology 22(1), 42-52.",
    ),
    function="whence.checks.tipping_point:tipping_point",
)


def tipping_point(
    table: Table, effect: Effect, *, graph: Graph | None = None, seed: int = 0,
    progress: Progress = SILENT, **params: Any,
) -> Check:
    """The bias of a hidden cause U with effect g on the outcome, more common by d among the treated of the same
    controls, is g d (VanderWeele and Arah 2011, equation 4): the effect is gone where g d equals it.

    For a dose, d is per step of the dose. ``numbers``: the needed g for several d; for each control what it does as
    such a cause, g from a linear regression, d its difference between the groups, in standard deviations unless it is
    yes or no; all columns of a control together. Worry: one as strong as the strongest control, g d, takes the interval
    to zero. Raises ``WhenceError`` for unknown parameters and for tables that are not the effect's.
    """
    p = CARD.checked(params)
    s = setting(table, effect)
    if s.randomised:
        return does_not_apply(CARD, "The treatment was assigned by chance, so nothing hidden can lie behind it.")
    if effect.estimate == 0:
        return does_not_apply(CARD, "The estimate is zero as it is.")
    limit = _nearer_end(effect)
    spread = _spread(s)
    rows = [
        {"label": f"{percent(d)} more common", "difference": d, "effect_to_end_the_estimate": abs(effect.estimate) / d,
         "effect_to_end_the_interval": limit / d, "in_standard_deviations": limit / d / spread if spread > 0 else None}
        for d in DIFFERENCES
    ]
    known = _controls(s)
    numbers: dict[str, Any] = {
        "estimate": effect.estimate, "limit": limit, "difference": p["difference"], "outcome_spread": spread,
        "needed": abs(effect.estimate) / p["difference"], "needed_for_interval": limit / p["difference"],
        "needed_in_spreads": limit / p["difference"] / spread if spread > 0 else None, "controls": known,
    }
    strongest = max(known, key=lambda c: (abs(c["bias"]), c["control"]), default=None)
    if strongest is not None:
        numbers |= {"strongest": strongest["control"], "strongest_bias": strongest["bias"]}
    verdict = "informational" if limit == 0 or strongest is None else (
        "worry" if abs(strongest["bias"]) >= limit else "pass")
    points = [{"label": c["control"], "difference": abs(c["difference"]), "effect": abs(c["effect"])} for c in known
              if c["difference"] is not None and 0 < abs(c["difference"]) <= 1]
    return Check(
        CARD.name, CARD.title, verdict,
        worry="A hidden cause that shifts the estimate no more than one of the controls does would bring the interval "
              "to "
              "zero.",
        saw=_saw(numbers),
        cannot_show=("It says what a hidden cause would have to be like, not whether there is one; several weaker ones "
                     "together can do the same. The controls are a fair yardstick only if they are the important "
                     "ones."),
        numbers=to_plain(numbers),
        figure=to_plain({"kind": "tipping_point", "estimate": abs(effect.estimate), "limit": limit, "points": points,
                         "rows": rows}),
    )


def _nearer_end(effect: Effect) -> float:
    """How far the nearer end of the interval is from zero; 0 when it holds zero."""
    low, high = effect.interval
    return 0.0 if low <= 0 <= high else min(abs(low), abs(high))


def _spread(s: Setting) -> float:
    """Standard deviation of the outcome about its line on the treatment."""
    w = s.data.w
    d, y = (v - np.average(v, weights=w) for v in (s.treatment, s.outcome))
    rest = y - d * float(np.average(d * y, weights=w) / np.average(d * d, weights=w))
    return math.sqrt(float(np.average(rest * rest, weights=w)))


def _controls(s: Setting) -> list[dict[str, Any]]:
    """Each control as a known cause: its effect on the outcome beside the others, its difference per unit of treatment
    (both None where it has several columns), and the bias that leaving it out would bring, their product."""
    if not s.names:
        return []
    plain = s.columns(s.plain_columns)
    x = plain.controls
    w = s.data.w
    design = np.column_stack([np.ones(s.n), s.treatment, x])
    beta = ols(design, s.outcome, s.weights).coefficients[2:]
    d = s.treatment - np.average(s.treatment, weights=w)
    slopes = (w * d) @ x / float((w * d) @ d)
    found = []
    for name, columns in zip(plain.names, plain.groups(plain.names), strict=True):
        one = len(columns) == 1
        found.append({
            "control": name, "effect": float(beta[columns[0]]) if one else None,
            "difference": float(slopes[columns[0]]) if one else None, "bias": float(beta[columns] @ slopes[columns]),
        })
    return found


def _saw(numbers: dict[str, Any]) -> str:
    share = percent(numbers["difference"])
    text = (f"A hidden cause that is {share} more common among the treated (of the same controls) would have to "
            f"change the "
            f"outcome by {number(numbers['needed'])} to explain the estimate")
    if numbers["limit"] == 0:
        text += "; our interval includes zero as it is."
    else:
        text += f", and by {number(numbers['needed_for_interval'])} to bring the interval to zero"
        if numbers["needed_in_spreads"] is not None:
            text += f" ({number(numbers['needed_in_spreads'])} standard deviations of the outcome)"
        text += "."
    if "strongest" not in numbers:
        return text + " There is no control to compare that with."
    return text + (f" Leaving out the strongest control, {numbers['strongest']!r}, would shift the estimate by about "
                   f"{number(numbers['strongest_bias'])}.")
