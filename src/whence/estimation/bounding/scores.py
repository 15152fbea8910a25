"""From scores of the two ends, row by row, to bounds and an interval that holds both."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from whence.core.card import Parameter
from whence.core.errors import WhenceError
from whence.core.result import Refused, Remark
from whence.estimation.effect import summarise
from whence.estimation.inference import cluster_factor
from whence.estimation.prepare import Prepared
from whence.identification.strata import Extreme
from whence.stats.features import level_codes
from whence.stats.regress import covariance_matrix

LOWEST = Parameter("lowest", "float", None, "Least outcome possible. None: 0 for a 0/1 outcome, else the least one "
                   "seen, with a warning.", optional=True)
HIGHEST = Parameter("highest", "float", None, "Greatest outcome possible. None: 1 for a 0/1 outcome, else the greatest "
                    "one seen, with a warning.", optional=True)
FEWEST = 5  # rows a level needs in a stratum, on average, for the stratum's own distribution to mean something
CONFIDENCE = ("In at least {level:.0%} of samples the interval holds both ends of what the assumptions allow, and so "
              "the truth: each end is moved out by the normal (or, with clusters, t) quantile of its standard error.")


@dataclass(frozen=True)
class Found:
    """What a method hands back: bounds of the effect and of each level's mean, and the interval around them."""

    data: Prepared
    lower: float
    upper: float
    standard_errors: tuple[float, float] | None
    interval: tuple[float, float]
    arms: Mapping[str, tuple[float, float]]
    confidence: str
    assumptions: tuple[str, ...]
    evidence: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()


def limits(
    data: Prepared, lowest: float | None, highest: float | None
) -> tuple[tuple[float, float], tuple[Remark, ...]]:
    """The outcome's least and greatest value, and a warning when they are those of the sample.

    Raises ``WhenceError`` (``bad_limits``) for limits that leave out outcomes seen.
    """
    y = data.outcome
    seen = (float(y.min()), float(y.max()))
    binary = bool(np.isin(y, (0.0, 1.0)).all())
    ends = (lowest if lowest is not None else 0.0 if binary else seen[0],
            highest if highest is not None else 1.0 if binary else seen[1])
    if not (math.isfinite(ends[0]) and math.isfinite(ends[1]) and ends[0] <= seen[0] and ends[1] >= seen[1]):
        raise WhenceError("The limits must be finite and hold every outcome seen.", code="bad_limits", value=list(ends),
                          allowed=f"lowest at most {seen[0]:g}, highest at least {seen[1]:g}")
    if binary or (lowest is not None and highest is not None):
        return ends, ()
    return ends, (Remark(
        "limits_from_data", f"The outcome is taken to lie between {ends[0]:g} and {ends[1]:g}, as far as it was seen; "
        "the bounds widen with these limits. Give lowest and highest if other values are possible.",
        (data.spec.outcome,), {"lowest": ends[0], "highest": ends[1]},
    ),)


def strata(data: Prepared) -> np.ndarray | Refused:
    """Which combination of the controls' values each row has: int (n,), in the order of the controls' names.

    No value is merged with another. Refused (``too_many_strata``) below five rows per level and stratum on average.
    """
    code = np.zeros(data.n, dtype=np.int64)
    for name in sorted(data.spec.controls):
        own = level_codes(data.table.column(name), data.rows)[0]
        code = np.unique(np.column_stack([code, own]), axis=0, return_inverse=True)[1].ravel()
    count = int(code.max()) + 1
    if count > 1 and data.n < FEWEST * len(data.treatment.arms) * count:
        return Refused(
            "too_many_strata", f"The controls divide {data.n:,} rows into {count:,} groups of people alike; too few "
            "rows in each to see how their outcomes are distributed.", {"strata": count, "rows": data.n},
            "Make columns that group the controls' values, or use fewer controls.",
        )
    return code


def target(data: Prepared) -> np.ndarray:
    """Boolean (n,): the rows asked about."""
    codes = data.treatment.codes
    return {"ATE": np.ones(data.n, dtype=bool), "ATT": codes == 1, "ATC": codes == 0}[data.spec.quantity]


# (outcomes (k,), their probabilities (k,)) -> the least and the greatest mean of those not seen
Within = Callable[[np.ndarray, np.ndarray], tuple[Extreme, Extreme]]


def stratified_scores(
    data: Prepared, code: np.ndarray, within: Within, ends: tuple[float, float]
) -> tuple[np.ndarray, int]:
    """Scores (n, 2 levels, 2 ends) of each level's mean over the rows asked about, and how many rows had no other.

    A row asked about counts its own outcome at the level and the extreme mean elsewhere; the rows at the level also
    carry how they move that extreme. Where no row of a stratum is at the level the limits ``ends`` stand in.
    """
    y, w, asked = data.outcome, data.w, target(data)
    scores, alone = np.zeros((data.n, 2, 2)), 0
    for arm in (0, 1):
        at = data.treatment.codes == arm
        scores[asked & at, arm] = y[asked & at, None]
        for stratum in range(int(code.max()) + 1):
            inside, others = (code == stratum) & at, (code == stratum) & asked & ~at
            if not others.any():
                continue
            if not inside.any():
                scores[others, arm], alone = ends, alone + int(others.sum())
                continue
            mass = w[inside].sum()
            for end, extreme in enumerate(within(y[inside], w[inside] / mass)):
                scores[others, arm, end] = extreme.value
                scores[inside, arm, end] += w[others].sum() / mass * (extreme.scores - extreme.value)
    return scores, alone


def found(
    data: Prepared, scores: np.ndarray, level: float, assumptions: tuple[str, ...], evidence: Mapping[str, Any],
    remarks: tuple[Remark, ...], asked: np.ndarray | None = None,
) -> Found:
    """Bounds and interval from scores (n, 2 levels, 2 ends); ``asked``: the rows averaged over, of the quantity."""
    w = data.w
    mass = w * (target(data) if asked is None else asked)
    means = np.einsum("i,iae->ae", w, scores) / mass.sum()
    influence = (w[:, None, None] * scores - mass[:, None, None] * means) / mass.mean() * cluster_factor(data.clusters)
    effect = np.column_stack([influence[:, 1, 0] - influence[:, 0, 1], influence[:, 1, 1] - influence[:, 0, 0]])
    errors = np.sqrt(np.diagonal(covariance_matrix(effect, data.clusters)))
    lower, upper = float(means[1, 0] - means[0, 1]), float(means[1, 1] - means[0, 0])
    df = None if data.n_clusters is None else data.n_clusters - 1.0
    interval = (summarise(lower, float(errors[0]), level, df)[0][0],
                summarise(upper, float(errors[1]), level, df)[0][1])
    arms = {data.treatment.arms[a]: (float(means[a, 0]), float(means[a, 1])) for a in (1, 0)}
    return Found(data, lower, upper, (float(errors[0]), float(errors[1])), interval, arms,
                 CONFIDENCE.format(level=level), assumptions, evidence, remarks)
