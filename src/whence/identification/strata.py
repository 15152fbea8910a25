"""Bounds stratum by stratum: what is assumed about those whose outcome under a level was not seen, made an effect.

In every stratum x of the controls the mean outcome under level a is known for those at a, and lies between two
extremes for the others. Averaging both over the population asked about bounds each level's mean and the effect.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.errors import WhenceError, unknown_name
from whence.core.result import to_plain
from whence.identification.bounds import Bounded

QUANTITIES = ("ATE", "ATT", "ATC")


@dataclass(frozen=True)
class Extreme:
    """The greatest mean that a distribution near a given one can have.

    value: that mean. scores: float (k,), one for each value given, whose mean under the given distribution is
    ``value`` and whose deviations from it are the influence of the values on it (the dual solution; by the envelope
    theorem the dual variables' own sampling error does not matter to first order). slope: the derivative of the
    value by the radius (0 where there is none). reached: the largest value has all the mass.
    """

    value: float
    scores: np.ndarray
    slope: float = 0.0
    reached: bool = False


# (values (k,), their probabilities (k,)) -> the greatest mean
Upper = Callable[[np.ndarray, np.ndarray], Extreme]


def extremes(upper: Upper, values: np.ndarray, share: np.ndarray) -> tuple[Extreme, Extreme]:
    """The least and the greatest mean: the least is the greatest of the negated values, negated."""
    low = upper(-values, share)
    return Extreme(-low.value, -low.scores, -low.slope, low.reached), upper(values, share)


def stratified_bounds(
    joint: np.ndarray, upper: Upper | None, method: str, assumptions: tuple[str, ...], evidence: dict[str, Any], *,
    quantity: str, treated: int, control: int, values: Sequence[float] | None, limits: tuple[float, float] | None,
) -> Bounded:
    """Bounds from a joint (strata, treatment levels, outcome levels) of probabilities or counts.

    upper: the greatest mean of the unseen outcomes of a stratum, given the distribution of those seen; None when
    nothing relates the two. Then, and where a level does not occur in a stratum, only the outcome's limits remain.
    """
    table, scores, ends = checked_strata(joint, values, limits, quantity, treated, control)
    partly = {treated: quantity != "ATT", control: quantity != "ATC"}  # whose mean has unseen parts
    asked = {"ATE": table.sum(axis=(1, 2)), "ATT": table[:, treated].sum(axis=1), "ATC": table[:, control].sum(axis=1)}
    target = asked[quantity]
    means = {}
    for arm in (treated, control):
        if not partly[arm]:
            mean = float((table[:, arm] @ scores).sum() / target.sum())
            means[arm] = (mean, mean)
            continue
        low = high = 0.0
        for seen, mass in zip(table[:, arm], target, strict=True):
            own = seen.sum() if quantity == "ATE" else 0.0
            least, greatest = _unseen(upper, scores, seen, ends) if mass > own else (0.0, 0.0)
            known = float(seen @ scores) if quantity == "ATE" else 0.0
            low, high = low + known + (mass - own) * least, high + known + (mass - own) * greatest
        means[arm] = (low / target.sum(), high / target.sum())
    (t_low, t_high), (c_low, c_high) = means[treated], means[control]
    arms = types.MappingProxyType({"treated": means[treated], "control": means[control]})
    evidence = evidence | {"strata": len(table), "limits": list(ends)}
    return Bounded(t_low - c_high, t_high - c_low, method, assumptions, treated, control, arms, quantity,
                   types.MappingProxyType(evidence))


def _unseen(
    upper: Upper | None, scores: np.ndarray, seen: np.ndarray, ends: tuple[float, float]
) -> tuple[float, float]:
    if upper is None or not seen.sum() > 0:
        return ends
    there = seen > 0
    low, high = extremes(upper, scores[there], seen[there] / seen.sum())
    return max(low.value, ends[0]), min(high.value, ends[1])


def checked_strata(
    joint: np.ndarray, values: Sequence[float] | None, limits: tuple[float, float] | None, quantity: str,
    treated: int, control: int,
) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """The joint as probabilities, empty strata left out, the outcome's values and its limits.

    Raises ``WhenceError``: ``bad_joint``, ``bad_values``, ``bad_limits``, ``bad_level``, ``unknown_quantity``.
    """
    meaning = "strata by treatment levels by outcome levels"
    table = np.asarray(joint, dtype=float)
    if table.ndim != 3 or min(table.shape, default=0) < 1:
        raise WhenceError(f"The joint has the shape {table.shape}, not {meaning}.", code="bad_joint",
                          value=list(table.shape), allowed=meaning)
    if not np.isfinite(table).all() or (table < 0).any() or not table.sum() > 0:
        raise WhenceError("The joint must hold finite values of at least 0 with a positive sum.", code="bad_joint",
                          value=to_plain(table.sum()), allowed="probabilities or counts")
    scores = np.arange(table.shape[2], dtype=float) if values is None else np.asarray(values, dtype=float)
    if scores.shape != (table.shape[2],) or not np.isfinite(scores).all():
        raise WhenceError(f"Give one finite number for each of the {table.shape[2]} outcome levels.",
                          code="bad_values", value=to_plain(values))
    ends = (float(scores.min()), float(scores.max())) if limits is None else (float(limits[0]), float(limits[1]))
    if not (np.isfinite(ends).all() and ends[0] <= scores.min() and ends[1] >= scores.max()):
        raise WhenceError("The limits must be finite and hold every outcome value.", code="bad_limits",
                          value=list(ends), allowed=f"at most {scores.min():g} and at least {scores.max():g}")
    if quantity not in QUANTITIES:
        raise unknown_name("quantity", quantity, QUANTITIES, code="unknown_quantity")
    for level in (treated, control):
        if isinstance(level, bool) or not 0 <= level < table.shape[1] or not table[:, level].sum() > 0:
            raise WhenceError(f"The treatment has no level {level!r} with any mass.", code="bad_level", value=level,
                              allowed=range(table.shape[1]))
    if treated == control:
        raise WhenceError("The two treatment levels compared are the same.", code="bad_level", value=treated)
    table = table[table.sum(axis=(1, 2)) > 0]
    return table / table.sum(), scores, ends
