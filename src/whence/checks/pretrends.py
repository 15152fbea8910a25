"""Trends before treatment: whether treated and untreated already moved apart, and what such a test could have seen."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from whence.checks.check import Check, does_not_apply
from whence.checks.words import count, number, p_text
from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused
from whence.data.table import Table
from whence.estimation.adoption import adoption
from whence.estimation.effect import Effect
from whence.estimation.prepare import prepare
from whence.graphs.graph import Graph
from whence.stats.fixed_effects import absorb
from whence.stats.regress import cluster_sums, influence, ols

LEADS = 6  # periods before the start that have an effect of their own; earlier ones are what they are compared with

CARD = Card(
    name="pretrends",
    task="check",
    title="Did the treated move apart before treatment?",
    summary="Effects at the times before treatment should be zero; a trend in them would go on afterwards and pass for "
    "an effect.",
    data_kinds=("continuous", "count", "binary", "ordinal"),
    assumptions=("Nobody reacts before treatment starts.",),
    parameters=(Parameter("alpha", "float", 0.05, "Level of the joint test.", 0.0, 1.0, open_ends=True),),
    output="whence.checks.check.Check",
    cost="One regression on the rows not yet treated.",
    citations=(
        "Borusyak, Jaravel and Spiess (2024), Revisiting event-study designs, Review of Economic Studies 91 (test 1)",
        "Roth (2022), Pretest with caution, American Economic Review: Insights 4",
    ),
    function="whence.checks.pretrends:pretrends",
)


def pretrends(
    table: Table, effect: Effect, *, graph: Graph | None = None, seed: int = 0, progress: Progress = SILENT,
    **params: Any,
) -> Check:
    """Two-way regression of the outcome on indicators of the last periods before the start, on rows not yet treated,
    with the joint test that all are zero, and the straight trend that this test would miss half of the time.

    Worry: the test rejects. Informational: a trend as large as the effect would often have been missed.
    """
    p = CARD.checked(params)
    if effect.spec.strategy not in ("did", "event_study"):
        return does_not_apply(CARD, "This design does not compare changes over time.")
    data = prepare(table, effect.spec)
    read = data if isinstance(data, Refused) else adoption(data)
    if isinstance(data, Refused) or isinstance(read, Refused):
        return does_not_apply(CARD, "The treatment could not be read again.")
    found = read[0]
    if found.groups != "units" or found.kind in ("dose", "switching"):
        return does_not_apply(CARD, "There is no time before the start that could be looked at for each unit.")
    when = np.unique(found.time)
    since = found.period - np.searchsorted(when, np.where(np.isfinite(found.first), found.first, np.inf))
    since = np.where(np.isfinite(found.first), since, -10**6)
    rows = found.status == 0
    steps = np.unique(since[rows & (since > -(10**6))])
    steps = steps[steps > steps.min(initial=0)][-LEADS:]
    if not len(steps):
        return does_not_apply(CARD, "There is only one period before treatment.")
    leads = (since[rows][:, None] == steps).astype(float)
    made = _joint(data.outcome[rows], leads, found.unit[rows], found.period[rows],
                  None if data.weights is None else data.weights[rows],
                  found.unit[rows] if data.clusters is None else data.clusters[rows])
    if made is None:
        return does_not_apply(CARD, "The times before treatment cannot be told from unit and period.")
    estimates, covariance, p_value = made
    missed = _missed_slope(steps, covariance, p["alpha"])
    after = float(np.mean([max(1, s) for s in range(1, 1 + max(1, len(when) // 2))]))
    hidden = abs(missed * after) >= abs(effect.estimate)
    shown = [{"time": int(s), "estimate": float(e), "error": float(math.sqrt(v))}
             for s, e, v in zip(steps, estimates, np.diagonal(covariance), strict=True)]
    verdict = "worry" if p_value < p["alpha"] else "informational" if hidden else "pass"
    return Check(
        CARD.name, CARD.title, verdict,
        worry="Treated and untreated that drift apart before treatment starts.",
        saw=f"Over {count(len(steps), 'period')} before the start the joint test gives {p_text(p_value)}. A steady "
        f"drift of {number(missed)} a period would be missed half of the time"
        + (", and would add as much as the whole effect." if hidden else "."),
        cannot_show="That the trends would have stayed parallel afterwards; passing the test does not make them so, "
        "and estimates kept because they passed it are off where drift is real (Roth 2022).",
        numbers={"p_value": p_value, "missed_drift": missed, "periods": len(steps), "before": shown},
        figure={"kind": "event_study", "before": shown, "after": _after(effect), "level": effect.level},
    )


def _joint(
    outcome: np.ndarray, leads: np.ndarray, unit: np.ndarray, period: np.ndarray, weights: np.ndarray | None,
    clusters: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, float] | None:
    """Coefficients of the leads, their covariance by cluster, and the p-value of the joint F test."""
    from scipy.special import fdtrc

    raw = np.column_stack([outcome, leads])
    left = absorb(raw, [unit, period], weights).columns
    length = np.sqrt((raw**2).sum(axis=0))
    left = np.where(np.sqrt((left**2).sum(axis=0)) > 1e-9 * length, left, 0.0)
    fit = ols(left[:, 1:], left[:, 0], weights)
    groups = len(np.unique(clusters))
    if not fit.kept.all() or groups <= leads.shape[1] + 1:
        return None
    psi = influence(fit, np.eye(leads.shape[1]), "HC1", clusters)
    sums = cluster_sums(psi, clusters) / len(outcome)
    covariance = sums.T @ sums
    k = leads.shape[1]
    statistic = float(fit.coefficients @ np.linalg.pinv(covariance, hermitian=True) @ fit.coefficients)
    freedom = groups - k
    return fit.coefficients, covariance, float(fdtrc(k, freedom, statistic * freedom / ((groups - 1) * k)))


def _missed_slope(steps: np.ndarray, covariance: np.ndarray, alpha: float) -> float:
    """The slope of a straight drift that the joint test finds with chance one half (Roth 2022, section 2)."""
    from scipy.optimize import brentq
    from scipy.special import chdtri, chndtr

    shape = steps - steps.min() + 1.0
    strength = float(shape @ np.linalg.pinv(covariance, hermitian=True) @ shape)
    critical = float(chdtri(len(steps), alpha))
    found: Any = brentq(lambda v: float(chndtr(critical, len(steps), v)) - 0.5, 0.0, 1e4)
    return math.sqrt(found / strength) if strength > 0 else math.inf


def _after(effect: Effect) -> list[dict[str, Any]]:
    """The effects by time since the start, where the method gives them."""
    return [{"time": int(one.label.split()[0]), "estimate": one.estimate, "error": one.standard_error}
            for one in effect.comparisons if one.label.startswith("+") and "period" in one.label]
