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
from whence.estimation.prepare import Prepared, prepare
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
    with the joint test that all are zero; the straight drifts that this test finds half and four fifths of the time;
    and what the first would add to the estimate where the test misses it (Roth 2022, section 2).

    Worry: the test rejects. Informational: a drift as large as the effect would often have been missed.
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
    estimates, covariance, p_value, psi = made
    missed, seen = (_slope(steps, covariance, p["alpha"], power) for power in (0.5, 0.8))
    treated = (found.status == 1) & np.isfinite(found.first) & (found.first > found.time.min())
    after = float(np.average(since[treated] + 1.0, weights=data.w[treated]))
    hidden = abs(missed * after) >= abs(effect.estimate)
    together = _with_effect(data, effect, psi, rows)
    carried = _left(steps, covariance, p["alpha"], missed)
    bias = missed * after + (0.0 if together is None else float(carried @ together))
    shown = [{"time": int(s), "estimate": float(e), "error": float(math.sqrt(v))}
             for s, e, v in zip(steps, estimates, np.diagonal(covariance), strict=True)]
    verdict = "worry" if p_value < p["alpha"] else "informational" if hidden else "pass"
    return Check(
        CARD.name, CARD.title, verdict,
        worry="Treated and untreated that drift apart before treatment starts.",
        saw=f"Over {count(len(steps), 'period')} before the start the joint test gives {p_text(p_value)}. A steady "
        f"drift of {number(missed)} a period would be missed half of the time, one of {number(seen)} a fifth of it. "
        f"Missed, the first would move the effect by about {number(bias)}"
        + (", as much as the whole of it." if hidden else "."),
        cannot_show="That the trends would have stayed parallel afterwards; passing the test does not make them so, "
        "and estimates kept because they passed it are off where drift is real (Roth 2022).",
        numbers={"p_value": p_value, "missed_drift": missed, "found_drift": seen, "bias_if_missed": bias,
                 "periods": len(steps), "before": shown},
        figure={"kind": "event_study", "before": shown, "after": _after(effect), "level": effect.level},
    )


def _joint(
    outcome: np.ndarray, leads: np.ndarray, unit: np.ndarray, period: np.ndarray, weights: np.ndarray | None,
    clusters: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, float, np.ndarray] | None:
    """Coefficients of the leads, their covariance by cluster, the p-value of the joint F test, and influence values."""
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
    return fit.coefficients, covariance, float(fdtrc(k, freedom, statistic * freedom / ((groups - 1) * k))), psi


def _slope(steps: np.ndarray, covariance: np.ndarray, alpha: float, power: float) -> float:
    """The slope of a straight drift that the joint test finds with chance ``power`` (Roth 2022, section 2)."""
    from scipy.optimize import brentq
    from scipy.special import chdtri, chndtr

    shape = steps - steps.min() + 1.0
    strength = float(shape @ np.linalg.pinv(covariance, hermitian=True) @ shape)
    critical = float(chdtri(len(steps), alpha))
    found: Any = brentq(lambda v: float(chndtr(critical, len(steps), v)) - (1 - power), 0.0, 1e4)
    return math.sqrt(found / strength) if strength > 0 else math.inf


def _left(steps: np.ndarray, covariance: np.ndarray, alpha: float, slope: float) -> np.ndarray:
    """How a drift's estimates move on average where the joint test misses it, times the inverse of their covariance.

    Within the ellipsoid that the test accepts, a normal vector's mean is its own times the ratio of two noncentral
    chances, of k + 2 and of k degrees of freedom; what it is moved by moves a correlated estimate in proportion.
    """
    from scipy.special import chdtri, chndtr

    drift, k = slope * (steps - steps.min() + 1.0), len(steps)
    inverse = np.linalg.pinv(covariance, hermitian=True)
    critical, strength = float(chdtri(k, alpha)), float(drift @ inverse @ drift)
    ratio = float(chndtr(critical, k + 2, strength)) / max(float(chndtr(critical, k, strength)), 1e-300)
    return inverse @ drift * (ratio - 1)


def _with_effect(data: Prepared, effect: Effect, psi: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
    """Covariances (k,) of the leads' estimates with the effect's, from both influence values; None without them."""
    if effect.influence is None or effect.rows is None:
        return None
    own = np.zeros(int(max(data.rows.max(), effect.rows.max())) + 1)
    own[effect.rows] = effect.influence / effect.n
    lead = psi / len(psi)
    clusters = np.arange(data.n) if data.clusters is None else np.unique(data.clusters, return_inverse=True)[1]
    groups = int(clusters.max()) + 1
    by_effect = np.bincount(clusters, weights=own[data.rows], minlength=groups)
    return np.array([np.bincount(clusters[rows], weights=one, minlength=groups) @ by_effect for one in lead.T])


def _after(effect: Effect) -> list[dict[str, Any]]:
    """The effects by time since the start, where the method gives them."""
    return [{"time": int(one.label.split()[0]), "estimate": one.estimate, "error": one.standard_error}
            for one in effect.comparisons if one.label.startswith("+") and "period" in one.label]
