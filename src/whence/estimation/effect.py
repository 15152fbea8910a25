"""An estimated effect: the number, its uncertainty, and everything needed to trust or repeat it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from whence.core.errors import WhenceError
from whence.core.result import Provenance, Remark, fields_to_plain
from whence.identification.spec import Spec

Z975 = 1.959963984540054  # standard normal quantile .975


@dataclass(frozen=True)
class Comparison:
    """One contrast of a treatment with several values, e.g. ``"high vs low"``."""

    label: str
    estimate: float
    standard_error: float
    interval: tuple[float, float]
    p_value: float


@dataclass(frozen=True)
class Effect:
    """An effect and its uncertainty.

    estimate, standard_error, interval (``level``, usually 95 %), p_value (of no effect).
    n: rows used. quantity: ATE, ATT, ... method: name of the card. contrast: what is compared, in
    words. carries: which uncertainties the interval carries, e.g. ``("sampling",)``.
    comparisons: every contrast when the treatment has more than two values; the first is this effect.
    diagnostics: JSON-ready numbers of the fit. rows: int (n,), rows of the table used.
    influence: float (n,), the estimator's influence values on those rows (mean zero), so that
    estimate - truth is about mean(influence) and effects combine with the right joint variance.
    clusters: int (n,) codes of the clusters in the whole table, or None. df: degrees of freedom of the t
    distribution behind interval and p-value, None for the normal. propensity: float (n,) out-of-fold or fitted
    probability of the value received being "treated", where the method has one.
    """

    estimate: float
    standard_error: float
    interval: tuple[float, float]
    p_value: float
    n: int
    quantity: str
    method: str
    spec: Spec
    contrast: str
    provenance: Provenance
    level: float = 0.95
    df: float | None = None
    carries: tuple[str, ...] = ("sampling",)
    assumptions: tuple[str, ...] = ()
    warnings: tuple[Remark, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    rows: np.ndarray | None = field(default=None, metadata={"plain": False}, repr=False, compare=False)
    influence: np.ndarray | None = field(default=None, metadata={"plain": False}, repr=False, compare=False)
    clusters: np.ndarray | None = field(default=None, metadata={"plain": False}, repr=False, compare=False)
    propensity: np.ndarray | None = field(default=None, metadata={"plain": False}, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def __add__(self, other: Effect) -> Effect:
        return _combine(self, other, 1.0)

    def __sub__(self, other: Effect) -> Effect:
        return _combine(self, other, -1.0)

    def __str__(self) -> str:
        lo, hi = self.interval
        return (f"{self.quantity} {self.contrast}: {self.estimate:.4g} "
                f"({self.level:.0%} interval {lo:.4g} to {hi:.4g}; {self.method}, n = {self.n:,})")


def normal_summary(estimate: float, standard_error: float, level: float = 0.95) -> tuple[tuple[float, float], float]:
    """Normal interval and two-sided p-value. A zero standard error gives a point and p 0 or 1."""
    from scipy.special import ndtr, ndtri

    if standard_error == 0:
        return (estimate, estimate), float(estimate == 0)
    half = float(ndtri(0.5 + level / 2)) * standard_error
    return (estimate - half, estimate + half), float(2 * ndtr(-abs(estimate) / standard_error))


def _combine(a: Effect, b: Effect, sign: float) -> Effect:
    """``a + sign * b`` with the joint variance from the influence values (rows shared or not)."""
    if a.provenance.data != b.provenance.data:
        raise WhenceError(
            "These effects come from different tables, so their joint variance is unknown.",
            code="different_data", value=[a.provenance.data, b.provenance.data],
            hint="If the tables are independent, add the squared standard errors yourself.",
        )
    if a.influence is None or b.influence is None or a.rows is None or b.rows is None:
        raise WhenceError("An effect without influence values cannot be combined.", code="no_influence",
                          value=[a.method, b.method])
    if (a.clusters is None) != (b.clusters is None) or a.spec.cluster != b.spec.cluster:
        raise WhenceError("The effects use different clusters.", code="different_clusters",
                          value=[a.spec.cluster, b.spec.cluster])
    rows = np.union1d(a.rows, b.rows)
    total = np.zeros(len(rows))
    total[np.searchsorted(rows, a.rows)] += a.influence / a.n
    total[np.searchsorted(rows, b.rows)] += sign * b.influence / b.n
    clusters = None
    if a.clusters is None or b.clusters is None:
        variance = float(total @ total)
    else:
        clusters = np.full(len(rows), -1, dtype=np.int64)
        clusters[np.searchsorted(rows, a.rows)] = a.clusters
        clusters[np.searchsorted(rows, b.rows)] = b.clusters
        sums = np.bincount(clusters, weights=total)
        variance = float(sums @ sums)
    estimate, error = a.estimate + sign * b.estimate, math.sqrt(variance)
    interval, p_value = normal_summary(estimate, error, a.level)
    word = "plus" if sign > 0 else "minus"
    return replace(
        a, estimate=estimate, standard_error=error, interval=interval, p_value=p_value, n=len(rows),
        method=a.method if a.method == b.method else f"{a.method} {word} {b.method}",
        contrast=f"({a.contrast}) {word} ({b.contrast})", comparisons=(), diagnostics={}, propensity=None,
        assumptions=tuple(dict.fromkeys(a.assumptions + b.assumptions)),
        warnings=tuple({w.text: w for w in a.warnings + b.warnings}.values()),
        rows=rows, influence=total * len(rows), clusters=clusters,
    )

