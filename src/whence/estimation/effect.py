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
from whence.stats.covariance import Dependence


@dataclass(frozen=True)
class Comparison:
    """One contrast of a treatment with several values, e.g. ``"high vs low"``.

    adjusted_p_value: allows for the number of contrasts. joint_interval: all contrasts' joint intervals hold together
    at the level; None where only the p-values could be adjusted.
    """

    label: str
    estimate: float
    standard_error: float
    interval: tuple[float, float]
    p_value: float
    adjusted_p_value: float | None = None
    joint_interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Effect:
    """An effect and its uncertainty.

    estimate, standard_error, interval (``level``, usually 95 %), p_value (of no effect).
    n: rows used. quantity: ATE, ATT, ... method: name of the card. contrast: what is compared, in
    words. carries: which uncertainties the interval carries, e.g. ``("sampling",)``.
    comparisons: every contrast when the treatment has more than two values, or each of several treatments with the
    others held fixed (labels are their names); the first is this effect. pairs: all pairs
    of the arms, where all their effects are about the same people; joint intervals and adjusted p-values allow for all.
    diagnostics: JSON-ready numbers of the fit. rows: int (n,), rows of the table used.
    influence: float (n,), the estimator's influence values on those rows (mean zero), so that
    estimate - truth is about mean(influence) and effects combine with the right joint variance.
    clusters: int (n,) codes of the clusters in the whole table, or None. df: degrees of freedom of the t
    distribution behind interval and p-value, None for the normal. propensity: float (n,) out-of-fold or fitted
    probability of the value received being "treated", where the method has one. errors: which standard errors these
    are, in words. dependence: of the rows on each other, where it is more than clusters. own_interval: whether the
    interval is the method's own (Anderson-Rubin, a bootstrap) rather than the estimate plus and minus its error.
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
    pairs: tuple[Comparison, ...] = ()
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    errors: str = ""
    own_interval: bool = False
    rows: np.ndarray | None = field(default=None, metadata={"plain": False}, repr=False, compare=False)
    influence: np.ndarray | None = field(default=None, metadata={"plain": False}, repr=False, compare=False)
    clusters: np.ndarray | None = field(default=None, metadata={"plain": False}, repr=False, compare=False)
    propensity: np.ndarray | None = field(default=None, metadata={"plain": False}, repr=False, compare=False)
    dependence: Dependence | None = field(default=None, metadata={"plain": False}, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def __add__(self, other: Effect) -> Effect:
        return _combine(self, other, 1.0)

    def __sub__(self, other: Effect) -> Effect:
        return _combine(self, other, -1.0)

    def _repr_html_(self) -> str:
        """A small table for notebooks."""
        from html import escape

        lo, hi = self.interval
        rows = [
            (f"{self.quantity}, {self.contrast}", f"<b>{self.estimate:.4g}</b>"),
            (f"{self.level:.0%} interval", f"{lo:.4g} to {hi:.4g}"),
            ("standard error", f"{self.standard_error:.3g}"),
            *((("errors", escape(self.errors)),) if self.errors else ()),
            ("p-value of no effect", f"{self.p_value:.3g}"),
            ("method, rows", f"{escape(self.method)}, {self.n:,}"),
            *((escape(c.label), _compared(c)) for c in self.comparisons[1:]),
            *(("note", escape(w.text)) for w in self.warnings),
        ]
        body = "".join(f"<tr><th style='text-align:left'>{escape(k)}</th><td>{v}</td></tr>" for k, v in rows)
        return f"<table>{body}</table>"

    def __str__(self) -> str:
        lo, hi = self.interval
        first = (f"{self.quantity} {self.contrast}: {self.estimate:.4g} "
                 f"({self.level:.0%} interval {lo:.4g} to {hi:.4g}; {self.method}, n = {self.n:,})")
        lines = [f"  {c.label}: {_compared(c)}" for c in self.comparisons]
        known = {c.label for c in self.comparisons}
        others = [f"  {c.label}: {_compared(c)}" for c in self.pairs if c.label not in known]
        return "\n".join([first, *lines, *(["and, joint over all pairs,"] if others else []), *others])


def _compared(c: Comparison) -> str:
    """One contrast's numbers: the joint interval, which allows for the others, where there is one."""
    lo, hi = c.joint_interval or c.interval
    said = f"{c.estimate:.4g} ({'joint ' if c.joint_interval else ''}{lo:.4g} to {hi:.4g}"
    return said + (f"; p {c.adjusted_p_value:.3g} adjusted)" if c.adjusted_p_value is not None else ")")


def summarise(
    estimate: float, standard_error: float, level: float = 0.95, df: float | None = None
) -> tuple[tuple[float, float], float]:
    """Interval and two-sided p-value from the t distribution, or the normal when ``df`` is None.

    A zero standard error gives a point and p 0 or 1.
    """
    from scipy.special import ndtr, ndtri, stdtr, stdtrit

    if standard_error == 0:
        return (estimate, estimate), float(estimate == 0)
    tail, ratio = 0.5 + level / 2, -abs(estimate) / standard_error
    half = float(ndtri(tail) if df is None else stdtrit(df, tail)) * standard_error
    p_value = 2 * float(ndtr(ratio) if df is None else stdtr(df, ratio))
    return (estimate - half, estimate + half), p_value


def _combine(a: Effect, b: Effect, sign: float) -> Effect:
    """``a + sign * b`` with the joint variance from the influence values (rows shared or not)."""
    if a.provenance.data != b.provenance.data:
        raise WhenceError(
            "These effects come from different tables, so their joint variance is unknown.",
            code="different_data", value=[a.provenance.data, b.provenance.data],
            hint="If the tables are independent, the squared standard errors add up.",
        )
    if a.influence is None or b.influence is None or a.rows is None or b.rows is None:
        raise WhenceError("An effect without influence values cannot be combined.", code="no_influence",
                          value=[a.method, b.method])
    if (a.clusters is None) != (b.clusters is None) or a.spec.cluster != b.spec.cluster:
        raise WhenceError("The effects use different clusters.", code="different_clusters",
                          value=[a.spec.cluster, b.spec.cluster])
    own = [e.method for e in (a, b) if e.own_interval]
    if own:
        raise WhenceError(
            f"The interval of {own[0]!r} is of its own kind, and a sum or difference would not have it.",
            code="own_interval", value=own, hint="Estimate with errors that add up, such as interval='wald' for "
            "instruments or covariance='CR2' instead of 'wild'.",
        )
    rows = np.union1d(a.rows, b.rows)
    dependence = _common_dependence(a, b, rows)
    total = np.zeros(len(rows))
    total[np.searchsorted(rows, a.rows)] += a.influence / a.n
    total[np.searchsorted(rows, b.rows)] += sign * b.influence / b.n
    clusters = None
    variance = float(total @ total)
    if a.clusters is not None and b.clusters is not None:
        clusters = np.zeros(len(rows), dtype=np.int64)
        clusters[np.searchsorted(rows, a.rows)] = a.clusters
        clusters[np.searchsorted(rows, b.rows)] = b.clusters
        sums = np.bincount(clusters, weights=total)
        variance = float(sums @ sums)
    if dependence is not None:
        variance = max(float(dependence.products(total[:, None])[0, 0]), 0.0)
    estimate, error = a.estimate + sign * b.estimate, math.sqrt(variance)
    df = min((e.df for e in (a, b) if e.df is not None), default=None)
    interval, p_value = summarise(estimate, error, a.level, df)
    word = "plus" if sign > 0 else "minus"
    parts = {"first": a.provenance, "second": b.provenance}
    provenance = replace(
        a.provenance, method=f"{a.method} {word} {b.method}", parameters={k: v.parameters for k, v in parts.items()},
        citations=tuple(dict.fromkeys(a.provenance.citations + b.provenance.citations)),
    )
    return replace(
        a, estimate=estimate, standard_error=error, interval=interval, p_value=p_value, n=len(rows),
        method=a.method if a.method == b.method else f"{a.method} {word} {b.method}", df=df, provenance=provenance,
        quantity=a.quantity if a.quantity == b.quantity else f"{a.quantity} {word} {b.quantity}",
        contrast=f"({a.contrast}) {word} ({b.contrast})", comparisons=(), pairs=(), diagnostics={}, propensity=None,
        assumptions=tuple(dict.fromkeys(a.assumptions + b.assumptions)),
        warnings=tuple({w.text: w for w in a.warnings + b.warnings}.values()),
        rows=rows, influence=total * len(rows), clusters=clusters, dependence=dependence,
        errors=a.errors if a.errors == b.errors else f"{a.errors}; {b.errors}",
    )


def _common_dependence(a: Effect, b: Effect, rows: np.ndarray) -> Dependence | None:
    """The dependence of both effects' rows, or None. Raises ``WhenceError`` (``different_errors``)."""
    if a.dependence is None and b.dependence is None:
        return None
    assert a.rows is not None and b.rows is not None
    both = None
    if a.dependence is not None and b.dependence is not None:
        both = a.dependence.merged(b.dependence, rows, a.rows, b.rows)
    if both is None:
        raise WhenceError("The effects take different rows to depend on each other.", code="different_errors",
                          value=[a.errors, b.errors], hint="Estimate both with the same covariance and its parameters.")
    return both

