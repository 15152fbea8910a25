"""Robustness value: how strong a hidden confounder would have to be to explain the estimate away."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from whence.checks.check import Check, does_not_apply
from whence.checks.hidden import Bound, bound, contour, interval_contour, partial_r2, robustness_value
from whence.checks.linear import NOTHING_LEFT, Regressions, without_groups
from whence.checks.setting import Setting, setting
from whence.checks.words import also, number, percent
from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import to_plain
from whence.data.table import Table
from whence.estimation.effect import Effect
from whence.graphs.graph import Graph

TIMES = (1.0, 2.0, 3.0)
LEFT_OVER = (0.25, 0.5, 0.75)  # shares of the estimate at which contours are drawn

CARD = Card(
    name="robustness",
    task="check",
    title="How strong would a hidden cause have to be?",
    summary="The strength a confounder nobody measured needs to bring the estimate to zero, next to the controls.",
    data_kinds=("binary", "categorical", "continuous"),
    assumptions=("The linear regression of outcome on treatment and controls is a fair picture of the effect.",),
    parameters=(
        Parameter("q", "float", 1.0, "Share of the estimate that the confounder takes away (1: all of it).", low=0.01,
                  high=1.0),
        Parameter("alpha", "float", 0.05, "Level of the test behind the second robustness value.", low=0.0, high=1.0,
                  open_ends=True),
        Parameter("most_columns", "int", 30, "A control with more columns than this (fixed effects) stands for "
                  "too many things at once to be a yardstick.", low=1),
    ),
    output="whence.checks.check.Check",
    cost="One QR factorisation of the controls; then columns^3 for each control.",
    citations=(
        "Cinelli, C. and Hazlett, C. (2020). Making sense of sensitivity: extending omitted variable bias. "
        "Journal of the Royal Statistical Society B 82(1), 39-67.",
    ),
    function="whence.checks.robustness:robustness",
)


def robustness(
    table: Table, effect: Effect, *, graph: Graph | None = None, seed: int = 0,
    progress: Progress = SILENT, **params: Any,
) -> Check:
    """Omitted-variable bias of the linear regression of the outcome on the treatment and the controls.

    ``numbers``: the partial R2 of treatment with outcome, the robustness values (``robustness_value`` for
    the estimate, ``robustness_value_interval`` for its interval, from the classical t value), and for each
    control the bounds on a confounder once, twice and three times as strong.
    Worry: a confounder as strong as some control would already bring the interval to zero.
    Informational: the interval of this regression includes zero anyway, or there is no control to
    compare with. Raises ``WhenceError`` for unknown parameters and for tables that are not the effect's.
    """
    p = CARD.checked(params)
    s = setting(table, effect, several=True)
    if s.randomised:
        return does_not_apply(CARD, "The treatment was assigned by chance, so nothing hidden can lie behind it.")
    sizes = {name: s.sources.count(name) for name in s.names}
    names = [name for name in s.names if sizes[name] <= p["most_columns"]]
    found = without_groups(s.outcome, s.treatment, s.controls, s.groups(names), s.weights)
    estimate, error, freedom = float(found.estimate[0]), float(found.classical_error[0]), int(found.freedom[0])
    if freedom < 3 or found.outcome_rss[0] <= NOTHING_LEFT**2 * s.n * np.var(s.outcome):
        return _exact(estimate, freedom)
    benchmarks = {name: _bounds(found, g + 1, p["alpha"]) for g, name in enumerate(names)}
    t = estimate / error
    numbers = {
        "estimate": estimate, "classical_error": error, "t": t, "freedom": freedom, "q": p["q"], "alpha": p["alpha"],
        "partial_r2": partial_r2(t, freedom), "robustness_value": robustness_value(t, freedom, p["q"]),
        "robustness_value_interval": robustness_value(t, freedom, p["q"], p["alpha"]), "effect": effect.estimate,
        "benchmarks": [{"control": name, **to_plain(b)} for name, each in benchmarks.items() for b in each],
        "not_benchmarks": [name for name in s.names if name not in names],
    }
    strongest = _strongest(benchmarks, estimate)
    if strongest is not None:
        once = benchmarks[strongest][0]
        numbers |= {"strongest": strongest, "strongest_treatment_r2": once.treatment_r2,
                    "strongest_outcome_r2": once.outcome_r2, "strongest_estimate": once.estimate,
                    "strongest_low": once.interval[0], "strongest_high": once.interval[1]}
    return _told(s, numbers, benchmarks, strongest)


def _exact(estimate: float, freedom: int) -> Check:
    return Check(
        CARD.name, CARD.title, "informational", worry=CARD.summary,
        saw=f"The regression fits perfectly or has too few rows to spare ({freedom:,}), so there is nothing left "
        "for a hidden cause to explain.",
        cannot_show="Nothing was checked.", numbers={"estimate": estimate, "freedom": freedom},
    )


def _bounds(found: Regressions, entry: int, alpha: float) -> tuple[Bound, ...]:
    """Confounders once, twice and three times as strong as the control left out in ``entry``."""
    with_treatment = 1 - found.treatment_rss[0] / found.treatment_rss[entry]
    with_outcome = 1 - found.outcome_rss[0] / found.outcome_rss[entry]
    error = float(found.classical_error[0])
    return tuple(
        bound(times, max(float(with_treatment), 0.0), max(float(with_outcome), 0.0), float(found.estimate[0]),
              error, float(found.freedom[0]), 1 - alpha)
        for times in TIMES
    )


def _harm(b: Bound, sign: float) -> float:
    """How far the nearer end of the interval goes towards, and beyond, zero; infinite if unbounded."""
    return math.inf if not b.possible else -(b.interval[0] if sign > 0 else -b.interval[1])


def _strongest(benchmarks: dict[str, tuple[Bound, ...]], estimate: float) -> str | None:
    """The control whose like would do most harm; ties go by name."""
    sign = math.copysign(1.0, estimate)
    return min(benchmarks, key=lambda name: (-_harm(benchmarks[name][0], sign), name), default=None)


def _told(
    s: Setting, numbers: dict[str, Any], benchmarks: dict[str, tuple[Bound, ...]], strongest: str | None
) -> Check:
    if numbers["robustness_value_interval"] == 0 or strongest is None:
        verdict = "informational"
    else:
        once = benchmarks[strongest][0]
        verdict = "worry" if not once.possible or once.interval[0] <= 0 <= once.interval[1] else "pass"
        if once.possible and once.estimate * numbers["estimate"] < 0:
            verdict = "worry"
    return Check(
        CARD.name, CARD.title, verdict,
        worry=("A hidden cause of treatment and outcome no stronger than one of the controls would be enough to bring "
               "the interval to zero."),
        saw=_saw(numbers, verdict),
        cannot_show=("It says how strong a hidden cause would have to be, not whether there is one; and the controls "
                     "are a fair yardstick only if they are the important ones."
                     + (" Its intervals take the rows as independent, without the clusters." if s.clusters is not None
                        else "")),
        numbers=to_plain(numbers), figure=to_plain(_figure(numbers, benchmarks)),
    )


def _saw(numbers: dict[str, Any], verdict: str) -> str:
    text = (f"Worked out on a linear regression with the same controls, which gives {number(numbers['estimate'])}"
            f"{also(numbers['estimate'], numbers['effect'])}. ")
    aim = "bring the estimate to zero" if numbers["q"] == 1 else f"take {percent(numbers['q'])} off the estimate"
    text += (f"A hidden cause would have to explain {percent(numbers['robustness_value'])} of what the controls leave "
             f"unexplained of the treatment, and as much of the outcome, to {aim}")
    if numbers["robustness_value_interval"] > 0:
        text += f", and {percent(numbers['robustness_value_interval'])} to bring its interval that far."
    else:
        reached = "includes zero as it is" if numbers["q"] == 1 else "reaches that far already"
        text += f"; its interval {reached}."
    return text + _benchmark_words(numbers, verdict)


def _benchmark_words(numbers: dict[str, Any], verdict: str) -> str:
    if "strongest" not in numbers:
        return " There is no control to compare that with."
    name = numbers["strongest"]
    if math.isnan(numbers["strongest_estimate"]):
        return (f" The controls already explain so much through {name!r} that a hidden cause like it could explain "
                "everything: no bound is possible.")
    text = (f" One as strong as {name!r}, the most telling of the controls, would explain "
            f"{percent(numbers['strongest_treatment_r2'])} of the treatment and "
            f"{percent(numbers['strongest_outcome_r2'])} of the outcome and could move the estimate to "
            f"{number(numbers['strongest_estimate'])} (interval {number(numbers['strongest_low'])} to "
            f"{number(numbers['strongest_high'])})")
    return text + (": enough to change the answer." if verdict == "worry" else ".")


def _figure(numbers: dict[str, Any], benchmarks: dict[str, tuple[Bound, ...]]) -> dict[str, Any]:
    """Contours of the estimate under confounders of each strength, those that bring the interval to zero, and the
    benchmarks as points."""
    f2 = numbers["t"] ** 2 / numbers["freedom"]
    least = f2 / (1 + f2)  # with the treatment alone, the whole outcome explained
    x = np.linspace(least, min(max(2.5 * numbers["robustness_value"], least), 1.0), 60)
    points = [
        {"label": name, "times": b.times, "treatment_r2": b.treatment_r2, "outcome_r2": b.outcome_r2,
         "estimate": b.estimate}
        for name, each in benchmarks.items() for b in each if b.possible
    ]
    x = x[(x > 0) & (x < 1)]
    fine = np.linspace(0, min(2.5 * numbers["robustness_value"], 1.0), 101)[1:-1]
    of_zero = contour(x, numbers["t"], numbers["freedom"])
    ends = np.column_stack([fine, interval_contour(fine, numbers["t"], numbers["freedom"], numbers["alpha"])])
    return {
        "kind": "contour", "estimate": numbers["estimate"], "robustness_value": numbers["robustness_value"],
        "zero": np.column_stack([x, np.minimum(of_zero, 1.0)]), "points": points,
        "levels": [{"estimate": share * numbers["estimate"], "curve": np.column_stack([fine, contour(
            fine, (1 - share) * numbers["t"], numbers["freedom"])])} for share in LEFT_OVER],
        "interval": ends[np.isfinite(ends[:, 1])] if numbers["robustness_value_interval"] > 0 else [],
    }
