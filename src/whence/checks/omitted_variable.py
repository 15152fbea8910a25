"""Omitted variables under flexible models: how strong one would have to be, from the estimate's own scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.checks.check import Check, does_not_apply
from whence.checks.linear import without_groups
from whence.checks.setting import Setting, setting
from whence.checks.words import number, percent
from whence.core.card import Card, Parameter
from whence.core.errors import WhenceError, unknown_name
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, to_plain
from whence.data.table import Table
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.graphs.graph import Graph
from whence.stats.learners import NAMES

TIMES = (1.0, 2.0, 3.0)
MOST_COLUMNS = 30  # a control with more columns (fixed effects) is no yardstick
METHODS = ("aipw", "partially_linear", "tmle")

CARD = Card(
    name="omitted_variable",
    task="check",
    title="How strong would a hidden cause have to be, whatever its shape?",
    summary="The strength that variables nobody measured need, in any shape, to bring the estimate or its interval to "
    "zero, next to the controls.",
    data_kinds=("binary", "categorical", "continuous"),
    assumptions=("The learners come close to the outcome and the treatment given the controls.",),
    parameters=(
        Parameter("benchmarks", "str", None, "Controls, separated by commas, to leave out and learn everything again: "
                  "slow, and the yardstick is then the learners' own. None: every control, by linear regression.",
                  optional=True),
        Parameter("rho", "float", 1.0, "How closely what the hidden variables do to the outcome goes with what they do "
                  "to the treatment (1: as badly as can be).", low=0.0, high=1.0),
    ),
    output="whence.checks.check.Check",
    cost="Nothing is refitted without benchmarks; with them, one estimate for each.",
    citations=(
        "Chernozhukov, V., Cinelli, C., Newey, W., Sharma, A. and Syrgkanis, V. (2022). Long story short: omitted "
        "variable bias in causal machine learning. NBER Working Paper 30302.",
    ),
    function="whence.checks.omitted_variable:omitted_variable",
)


@dataclass(frozen=True)
class Short:
    """A short model's estimate and what its bias scales with.

    sigma2, nu2: see ``estimation.sensitivity_elements``. covariance: (3, 3), of (estimate, sigma2, nu2). critical: the
    quantile that the effect's interval uses.
    """

    estimate: float
    sigma2: float
    nu2: float
    covariance: np.ndarray
    critical: float

    @property
    def scale(self) -> float:
        """sqrt(sigma2 nu2), S in the paper."""
        return math.sqrt(self.sigma2 * self.nu2)

    def bound(self, strength: float) -> tuple[float, float]:
        """The estimate moved towards zero, and beyond it, by the bias that ``strength`` allows, and its standard
        error (Chernozhukov et al. 2022, theorems 2 and 4)."""
        sign = math.copysign(1.0, self.estimate)
        half = sign * strength / (2 * self.scale)
        slope = np.array([1.0, -half * self.nu2, -half * self.sigma2])
        return (self.estimate - sign * strength * self.scale,
                math.sqrt(max(float(slope @ self.covariance @ slope), 0.0)))

    def reach(self, strength: float) -> float:
        """The end of the interval nearer to zero, times the sign of the estimate: negative once it includes zero."""
        moved, error = self.bound(strength)
        return math.copysign(1.0, self.estimate) * moved - self.critical * error


def strength(outcome_r2: float, treatment_r2: float, rho: float = 1.0) -> float:
    """|rho| sqrt(C_Y^2 C_D^2) for hidden variables that explain these shares: of what is left of the outcome, and of
    the variation of the representer (for the partially linear model, of what is left of the treatment)."""
    return rho * math.sqrt(outcome_r2 * treatment_r2 / (1 - treatment_r2))


def robustness_value(needed: float) -> float:
    """The share r of both for which ``strength(r, r)`` is ``needed``: r^2 / (1 - r) = needed^2."""
    square = needed * needed
    return (math.sqrt(square * square + 4 * square) - square) / 2


def interval_robustness_value(short: Short, rho: float) -> float:
    """The share r of both for which the interval just includes zero; 0 when it does as it is."""
    if short.reach(0.0) <= 0:
        return 0.0
    low, high = 0.0, robustness_value(abs(short.estimate) / short.scale / rho)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if short.reach(strength(middle, middle, rho)) > 0 else (low, middle)
    return low


def omitted_variable(
    table: Table, effect: Effect, *, graph: Graph | None = None, seed: int = 0,
    progress: Progress = SILENT, **params: Any,
) -> Check:
    """Omitted-variable bias of an average effect found by AIPW, TMLE or the partially linear model.

    ``numbers``: sigma2, nu2 and their product's root; the robustness values of the estimate and of its interval; for
    each control the bounds under hidden variables once, twice and three times as strong. Worry: variables as strong as
    some control would bring the interval to zero. Raises ``WhenceError`` for unknown parameters, for tables that are
    not the effect's, and for benchmarks that are no controls or whose learners are not known by name.
    """
    p = CARD.checked(params)
    s = setting(table, effect, several=True)
    if s.randomised:
        return does_not_apply(CARD, "The treatment was assigned by chance, so nothing hidden can lie behind it.")
    found = effect.diagnostics.get("omitted_variable")
    if effect.method not in METHODS or found is None:
        return does_not_apply(CARD, "It needs an average effect of two arms or a dose found by "
                              f"{', '.join(METHODS[:-1])} or {METHODS[-1]}.")
    if effect.estimate == 0 or effect.standard_error == 0 or p["rho"] == 0:
        return does_not_apply(CARD, "There is no effect, or no uncertainty, for a hidden cause to explain.")
    short = _short(effect, found)
    if p["benchmarks"] is None:
        gains = _linear_gains(s)
    else:
        gains = _learned_gains(table, effect, short, p["benchmarks"], seed, progress)
    numbers = _numbers(short, gains, p, effect)
    return _told(numbers, short, p)


def _short(effect: Effect, found: Mapping[str, Any]) -> Short:
    from scipy.special import ndtri, stdtrit

    covariance = np.array(found["covariance"])
    # The effect's own error may carry a factor for few clusters and the spread between splits.
    covariance *= effect.standard_error**2 / covariance[0, 0]
    tail = 0.5 + effect.level / 2
    critical = float(ndtri(tail) if effect.df is None else stdtrit(effect.df, tail))
    return Short(effect.estimate, found["sigma2"], found["nu2"], covariance, critical)


@dataclass(frozen=True)
class _Gain:
    """What leaving a control out gains: share of the outcome and of the treatment; how closely both go together."""

    outcome: float
    treatment: float
    rho: float | None = None
    change: float | None = None


def _linear_gains(s: Setting) -> dict[str, _Gain]:
    """Of each control, by linear regression: all of them from one factorisation."""
    names = [name for name in s.names if s.sources.count(name) <= MOST_COLUMNS]
    if not names:
        return {}
    try:
        found = without_groups(s.outcome, s.treatment, s.controls, s.groups(names), s.weights)
    except WhenceError:
        return {}
    if found.outcome_rss[0] <= 0:
        return {}
    return {name: _Gain(max(float(found.outcome_rss[g] / found.outcome_rss[0]) - 1, 0.0),
                        max(float(found.treatment_rss[g] / found.treatment_rss[0]) - 1, 0.0))
            for g, name in enumerate(names, 1)}


def _learned_gains(
    table: Table, effect: Effect, short: Short, named: str, seed: int, progress: Progress
) -> dict[str, _Gain]:
    """Of the named controls, by estimating again without each (Chernozhukov et al. 2022, section 4.3)."""
    parameters = dict(effect.provenance.parameters)
    for name in ("outcome_learner", "treatment_learner"):
        if parameters[name] not in NAMES:
            raise WhenceError("Benchmarks learn everything again, which needs learners known by name.",
                              code="bad_learner", value=parameters[name], allowed=NAMES)
    found = {}
    for name in dict.fromkeys(part.strip() for part in named.split(",") if part.strip()):
        if name not in effect.spec.controls:
            raise unknown_name("control", name, effect.spec.controls, code="unknown_benchmark")
        rest = tuple(c for c in effect.spec.controls if c != name)
        spec = effect.spec.replace(controls=rest)
        again = estimate(table, spec, effect.method, effect.provenance.seed, progress=progress, **parameters)
        left = None if isinstance(again, Refused) else again.diagnostics.get("omitted_variable")
        if isinstance(again, Refused) or left is None:
            continue
        outcome, treatment = left["sigma2"] - short.sigma2, short.nu2 - left["nu2"]
        together = outcome * treatment
        change = again.estimate - short.estimate
        rho = min(abs(change) / math.sqrt(together), 1.0) if outcome > 0 and treatment > 0 else None
        found[name] = _Gain(max(outcome / short.sigma2, 0.0), max(treatment / left["nu2"], 0.0), rho, change)
    return found


def _numbers(short: Short, gains: dict[str, _Gain], p: dict[str, Any], effect: Effect) -> dict[str, Any]:
    needed = abs(short.estimate) / short.scale / p["rho"]
    numbers: dict[str, Any] = {
        "estimate": short.estimate, "sigma2": short.sigma2, "nu2": short.nu2, "scale": short.scale, "rho": p["rho"],
        "robustness_value": robustness_value(needed), "level": effect.level,
        "robustness_value_interval": interval_robustness_value(short, p["rho"]),
        "benchmarks": [b for name, gain in gains.items() for b in _bounds(short, name, gain, p["rho"])],
        "learned": p["benchmarks"] is not None,
    }
    once = [b for b in numbers["benchmarks"] if b["times"] == 1]
    if once:  # what does most harm comes first; ties go by name
        worst = min(once, key=lambda b: (-math.inf if b["reach"] is None else b["reach"], b["control"]))
        numbers |= {"strongest": worst["control"]} | {
            f"strongest_{key}": worst[key] for key in ("treatment_r2", "outcome_r2", "estimate", "reach")}
    return numbers


def _bounds(short: Short, name: str, gain: _Gain, rho: float) -> list[dict[str, Any]]:
    found = []
    for times in TIMES:
        outcome, treatment = min(times * gain.outcome, 1.0), times * gain.treatment
        b: dict[str, Any] = {"control": name, "times": times, "outcome_r2": outcome,
                             "treatment_r2": min(treatment, 1.0), "possible": treatment < 1, "rho": gain.rho,
                             "change": gain.change, "estimate": None, "standard_error": None, "reach": None}
        if treatment < 1:
            k = strength(outcome, treatment, rho)
            b["estimate"], b["standard_error"] = short.bound(k)
            b["reach"] = short.reach(k)
        found.append(b)
    return found


def _told(numbers: dict[str, Any], short: Short, p: dict[str, Any]) -> Check:
    if numbers["robustness_value_interval"] == 0 or "strongest" not in numbers:
        verdict = "informational"
    else:
        reach = numbers["strongest_reach"]
        verdict = "worry" if reach is None or reach <= 0 else "pass"
    return Check(
        CARD.name, CARD.title, verdict,
        worry="Hidden causes no stronger than one of the controls would be enough to bring the interval to zero.",
        saw=_saw(numbers, verdict),
        cannot_show="It says how strong hidden causes would have to be, not whether there are any; and the controls "
                    "are a fair yardstick only if they are the important ones.",
        numbers=to_plain(numbers), figure=to_plain(_figure(numbers, short, p["rho"])),
    )


def _saw(n: dict[str, Any], verdict: str) -> str:
    text = (f"Hidden causes of any shape would have to explain {percent(n['robustness_value'])} of what is left of the "
            "outcome, and as much of what sets treatment apart from the controls, to bring the estimate to zero")
    if n["robustness_value_interval"] > 0:
        text += f", and {percent(n['robustness_value_interval'])} to bring its interval that far."
    else:
        text += "; its interval includes zero as it is."
    if "strongest" not in n:
        return text + " There is no control to compare that with."
    name, how = n["strongest"], "by the same learners" if n["learned"] else "by linear regression"
    if n["strongest_reach"] is None:
        return text + (f" What goes with treatment goes so much with {name!r} ({how}) that hidden causes like it could "
                       "explain everything: no bound is possible.")
    text += (f" Ones as strong as {name!r}, the most telling of the controls {how}, would explain "
             f"{percent(n['strongest_outcome_r2'])} and {percent(n['strongest_treatment_r2'])} and could move the "
             f"estimate to {number(n['strongest_estimate'])}")
    return text + (": enough to change the answer." if verdict == "worry" else ".")


def _figure(n: dict[str, Any], short: Short, rho: float) -> dict[str, Any]:
    """The curve of hidden causes that bring the estimate to zero, and the controls as points."""
    square = (short.estimate / short.scale / rho) ** 2
    least = square / (1 + square)
    x = np.linspace(least, min(max(2.5 * n["robustness_value"], least), 1.0), 60)
    x = x[(x > 0) & (x < 1)]
    zero = np.column_stack([x, np.minimum(square * (1 - x) / x, 1.0)])
    points = [{"label": b["control"], **{k: b[k] for k in ("times", "treatment_r2", "outcome_r2", "estimate")}}
              for b in n["benchmarks"] if b["possible"]]
    return {"kind": "contour", "estimate": n["estimate"], "robustness_value": n["robustness_value"], "zero": zero,
            "points": points}
