"""E-value: the risk ratios a hidden confounder would need with treatment and outcome to explain the effect."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.checks.check import Check, does_not_apply
from whence.checks.hidden import e_value, e_value_of_limit, ratio_from_difference
from whence.checks.setting import Setting, setting
from whence.checks.words import number
from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import to_plain
from whence.data.table import Table
from whence.estimation.effect import Effect
from whence.graphs.graph import Graph

CARD = Card(
    name="evalue",
    task="check",
    title="What risk ratios would a hidden cause need?",
    summary="The E-value: the smallest risk ratios with treatment and outcome that could explain the effect away.",
    data_kinds=("binary", "categorical", "continuous"),
    assumptions=(
        "For an outcome that is not yes or no, the risk ratio exp(0.91 d) of a difference of d standard deviations.",
    ),
    parameters=(
        Parameter("weak", "float", 1.25, "An E-value of the interval's limit below this worries us.", low=1.0),
    ),
    output="whence.checks.check.Check",
    cost="Linear in rows.",
    citations=(
        "VanderWeele, T. J. and Ding, P. (2017). Sensitivity analysis in observational research: introducing the "
        "E-value. Annals of Internal Medicine 167(4), 268-274.",
        "Chinn, S. (2000). A simple method for converting an odds ratio to effect size for use in meta-analysis. "
        "Statistics in Medicine 19(22).",
    ),
    function="whence.checks.evalue:evalue",
)


@dataclass(frozen=True)
class Ratio:
    """An effect as a risk ratio with its interval. how: ``"risks"`` or ``"standardised"``.

    numbers: what it was computed from.
    """

    value: float
    low: float
    high: float
    how: str
    numbers: dict[str, float]


def from_risks(
    risks: tuple[float, float], share_treated: float, estimate: float, interval: tuple[float, float]
) -> Ratio | None:
    """The ratio of two adjusted risks and of those at the ends of the interval of their difference.

    risks: treated, control; their difference is ``estimate``. At the interval's ends the overall risk
    stays as it is, so the treated risk takes 1 - ``share_treated`` of the change and the control risk
    the rest. None when a risk is not between 0 and 1.
    """
    if not (0 < risks[0] <= 1 and 0 < risks[1] <= 1):
        return None

    def ratio(difference: float) -> float:
        change = difference - estimate
        top, bottom = risks[0] + (1 - share_treated) * change, risks[1] - share_treated * change
        return max(top, 0.0) / bottom if bottom > 0 else math.inf

    return Ratio(ratio(estimate), ratio(interval[0]), ratio(interval[1]), "risks",
                 {"risk_treated": risks[0], "risk_control": risks[1]})


def from_difference(estimate: float, interval: tuple[float, float], spread: float) -> Ratio:
    """The approximate risk ratio of a difference in means; ``spread``: standard deviation within arms."""
    value, low, high = (ratio_from_difference(x / spread) for x in (estimate, *interval))
    return Ratio(value, low, high, "standardised", {"spread": spread, "standardised": estimate / spread})


def evalue(
    table: Table, effect: Effect, *, graph: Graph | None = None, seed: int = 0,
    progress: Progress = SILENT, **params: Any,
) -> Check:
    """E-values of the estimate and of its interval's limit nearer to no effect.

    A yes-or-no outcome gives the ratio of the adjusted risks; any other outcome the approximation for
    standardised differences, with the standard deviation of the outcome about its arm's mean (for a dose:
    about its line on the dose, for one standard deviation more of it).
    Worry: the limit's E-value lies below ``weak``. Informational: the interval includes no effect.
    Raises ``WhenceError`` for unknown parameters and for tables that are not the effect's.
    """
    weak = CARD.checked(params)["weak"]
    s = setting(table, effect)
    if s.randomised:
        return does_not_apply(CARD, "The treatment was assigned by chance, so nothing hidden can lie behind it.")
    ratio = _ratio(s, effect)
    if isinstance(ratio, str):
        return does_not_apply(CARD, ratio)
    point, limit = e_value(ratio.value), e_value_of_limit(ratio.low, ratio.high)
    numbers = {
        "e_value": point, "e_value_limit": limit, "risk_ratio": ratio.value, "risk_ratio_low": ratio.low,
        "risk_ratio_high": ratio.high, "weak": weak, **ratio.numbers,
    }
    verdict = "informational" if limit == 1 else "worry" if limit < weak else "pass"
    return Check(
        CARD.name, CARD.title, verdict,
        worry=(f"A hidden cause whose risk ratios with treatment and outcome are only {number(weak)} would already "
               "bring the interval to no effect."),
        saw=_saw(s, numbers, ratio.how),
        cannot_show=("It says how strong a hidden cause would have to be, not whether there is one. What counts as "
                     "strong depends on the subject."
                     + ("" if ratio.how == "risks" else " The risk ratio is an approximation for outcomes that are "
                        "roughly normal.")),
        numbers=to_plain(numbers),
    )


def _ratio(s: Setting, effect: Effect) -> Ratio | str:
    """The effect as a risk ratio, or why there is none."""
    if s.arms and np.isin(s.outcome, (0.0, 1.0)).all():
        found = from_risks(_risks(s, effect), _share(s), effect.estimate, effect.interval)
        return found or "One of the adjusted risks is not above 0 and at most 1, so there is no risk ratio."
    w = s.data.w
    d, y = (x - np.average(x, weights=w) for x in (s.treatment, s.outcome))
    variance = float(np.average(d * d, weights=w))
    residual = y - d * float(np.average(d * y, weights=w)) / variance
    spread = math.sqrt(float(np.average(residual * residual, weights=w)) * s.n / max(s.n - 2, 1))
    if spread <= 1e-12 * float(np.abs(y).max()):
        return "The outcome does not vary within the groups, so the effect cannot be put in standard deviations."
    step = 1.0 if s.arms else math.sqrt(variance)
    low, high = effect.interval
    found = from_difference(step * effect.estimate, (step * low, step * high), spread)
    return found if max(abs(math.log(max(r, 1e-300))) for r in (found.value, found.low, found.high)) < 100 else (
        "The effect is many standard deviations of the outcome; the approximation does not reach that far.")


def _share(s: Setting) -> float:
    """Share treated among the rows the effect is about."""
    return float(np.average(s.treatment[s.target], weights=s.data.w[s.target]))


def _risks(s: Setting, effect: Effect) -> tuple[float, float]:
    """Adjusted risks (treated, control): the overall risk of the target, split by the effect."""
    share = _share(s)
    overall = float(np.average(s.outcome[s.target], weights=s.data.w[s.target]))
    return overall + (1 - share) * effect.estimate, overall - share * effect.estimate


def _saw(s: Setting, numbers: dict[str, Any], how: str) -> str:
    if how == "risks":
        text = (f"The adjusted risks are {number(numbers['risk_treated'])} with the treatment and "
                f"{number(numbers['risk_control'])} without, a risk ratio of {number(numbers['risk_ratio'])}. ")
    else:
        what = "The effect" if s.arms else "One standard deviation more of the treatment"
        text = (f"{what} amounts to {number(numbers['standardised'])} standard deviations of the outcome, about a risk "
                f"ratio of {number(numbers['risk_ratio'])}. ")
    text += (f"A hidden cause would need risk ratios of {number(numbers['e_value'])} with both treatment and outcome "
             "to explain it away")
    if numbers["e_value_limit"] == 1:
        return text + "; our interval includes no effect as it is."
    return text + f", and of {number(numbers['e_value_limit'])} to bring the interval to no effect."
