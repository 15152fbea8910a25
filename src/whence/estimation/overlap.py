"""Overlap: whether people of every kind could have been in either arm, from propensities and weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from whence.core.result import Refused, Remark
from whence.estimation.prepare import Prepared
from whence.identification.spec import PARTS

LOW = 0.02  # a probability below this part of the arm's share counts as no chance of being in the arm
CONFIDENCE = 0.99  # with which a group is said to be hardly ever in an arm
REFUSED_SHARE = 0.25  # of the people asked about
WARNED_SHARE = 0.02
FEWEST = 5.0  # effective rows an arm's weighted mean must rest on (when it has at least 25)
WARNED_PART = 0.1  # effective rows as a part of the arm's rows
TINY = 1e-12  # smallest chance divided by
# Quantities about the same people.
LIKE = {"QTE": "ATE", "QTT": "ATT", "RMST": "ATE"} | dict.fromkeys(PARTS, "ATE")


def target_density(quantity: str, arm: int, probabilities: np.ndarray) -> np.ndarray:
    """h (n,): density of the population asked for, relative to everyone.

    h is 1 for the ATE and QTE, the probability of ``arm`` for the ATT and QTT, of arm 0 for the ATC, and for the ATO
    1 / sum_b 1 / P(b | x), which for two arms is e (1 - e) (Li and Li 2019, section 2.3).
    """
    if quantity in ("ATE", "QTE"):
        return np.ones(len(probabilities))
    if quantity == "ATO":
        return 1 / (1 / np.maximum(probabilities, TINY)).sum(axis=1)
    return probabilities[:, 0 if quantity == "ATC" else arm]


def target_log_slope(quantity: str, arm: int, classes: int, probabilities: np.ndarray) -> np.ndarray:
    """Derivative (n, m - 1) of log h, see ``target_density``, by the linear predictors."""
    if quantity in ("ATE", "QTE"):
        return np.zeros((len(probabilities), classes - 1))
    if quantity == "ATO":
        share = target_density(quantity, arm, probabilities)[:, None] / np.maximum(probabilities, TINY)
        return share[:, 1:] - probabilities[:, 1:]
    return log_slope(0 if quantity == "ATC" else arm, classes, probabilities)


def log_slope(arm: int, classes: int, probabilities: np.ndarray) -> np.ndarray:
    """Derivative (n, m - 1) of log P(arm | x) by the linear predictors of arms 1 .. m - 1."""
    return (np.arange(1, classes) == arm).astype(float) - probabilities[:, 1:]


def balancing_weights(data: Prepared, probabilities: np.ndarray, treated: int, arm: int) -> np.ndarray:
    """Weights h / P(arm | x) (n,) of the rows in ``arm``, 0 elsewhere, without sampling weights."""
    inside = data.treatment.codes == arm
    target = target_density(data.spec.quantity, treated, probabilities)
    return np.where(inside, target / np.where(inside, probabilities[:, arm], 1.0), 0.0)


def effective_size(weights: np.ndarray) -> float:
    """Kish's effective number of rows, (sum w)^2 / sum w^2."""
    square = float((weights**2).sum())
    return float(weights.sum()) ** 2 / square if square > 0 else 0.0


def require_overlap(
    data: Prepared, probabilities: np.ndarray, floor: np.ndarray | float = TINY
) -> tuple[dict[str, Any], tuple[Remark, ...]] | Refused:
    """Diagnostics and remarks on overlap, or ``no_overlap`` when the first comparison lacks it.

    probabilities: (n, arms), of each arm given the controls. floor: smallest chances the weights use, by
    arm. Lacking are those of the people asked about (everyone, the treated or the controls; for the ATO everyone,
    weighted by h) whose probability of an arm they are compared with is below 2 % of that arm's share, or who are among
    the least likely of whom, as ``hardly_ever`` sees, too few are in that arm: a fitted probability is seldom 0.
    """
    t = data.treatment
    remarks = []
    pairs = {}
    for arm in range(1, len(t.arms)):
        seen = _pair(data, probabilities, arm, floor)
        pairs[t.labels[arm - 1]] = seen
        fewest = min(seen["effective_sizes"], key=lambda a: seen["effective_sizes"][a])
        size, rows = seen["effective_sizes"][fewest], seen["sizes"][fewest]
        lacking = seen["share_without_counterpart"]
        if arm == 1 and (lacking > REFUSED_SHARE or (size < FEWEST and rows >= 25)):
            return _no_overlap(data, seen, fewest)
        if lacking > WARNED_SHARE or size < WARNED_PART * rows:
            remarks.append(Remark(
                "weak_overlap", f"{t.labels[arm - 1]}: {lacking:.1%} of those asked about have almost no chance of "
                f"the other arm, and the {rows:,} rows with {t.name} = {fewest} weigh like {size:,.0f}.",
                (t.name,), seen,
            ))
    return {"overlap": pairs, "propensity": _summary(data, probabilities)}, tuple(remarks)


def _pair(data: Prepared, probabilities: np.ndarray, arm: int, floor: np.ndarray | float) -> dict[str, Any]:
    """What one comparison's weights rest on."""
    t, w, quantity = data.treatment, data.w, LIKE.get(data.spec.quantity, data.spec.quantity)
    asked = w * (t.codes == arm if quantity == "ATT" else t.codes == 0 if quantity == "ATC" else 1.0)
    if quantity == "ATO":
        asked = asked * target_density(quantity, arm, probabilities)
    needed = {"ATT": (0,), "ATC": (arm,)}.get(quantity, (0, arm))
    lacking = np.zeros(data.n, dtype=bool)
    for b in needed:
        least = LOW * float(w @ (t.codes == b)) / data.n
        lacking |= probabilities[:, b] < least
        lacking |= hardly_ever(probabilities[:, b], t.codes == b, least)
    sizes, effective, largest = {}, {}, {}
    for b in (0, arm):
        inside = t.codes == b
        weights = w * balancing_weights(data, np.maximum(probabilities, floor), arm, b)
        sizes[t.arms[b]] = int(inside.sum())
        effective[t.arms[b]] = effective_size(weights)
        largest[t.arms[b]] = float(weights.max() / weights.sum())
    return {
        "share_without_counterpart": float(asked @ lacking / asked.sum()),
        "sizes": sizes, "effective_sizes": effective, "largest_weight_share": largest,
    }


def hardly_ever(chance: np.ndarray, inside: np.ndarray, least: float) -> np.ndarray:
    """Boolean (n,): the largest group of rows with the smallest ``chance`` (n,) of an arm in which so few are in it
    (``inside``, boolean (n,)) that their true share is below ``least`` with 99 % confidence (Poisson).

    Groups are the least likely hundredth of the rows, two hundredths and so on.
    """
    from scipy.special import gammaincinv

    n = len(chance)
    order = np.argsort(chance, kind="stable")
    size = np.unique(np.ceil(n * np.arange(1, 100) / 100).astype(int))
    size = size[size < n]
    seen = np.cumsum(inside[order])[size - 1]
    sure = np.flatnonzero(gammaincinv(seen + 1.0, CONFIDENCE) < least * size)
    if not len(sure):
        return np.zeros(n, dtype=bool)
    return chance < chance[order[size[sure[-1]]]]


def _summary(data: Prepared, probabilities: np.ndarray) -> dict[str, Any]:
    """Quantiles of the probability of the value asked for, by arm, and the stabilised weights."""
    t = data.treatment
    marks = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
    by_arm = {
        arm: dict(zip(("min", "q05", "q25", "median", "q75", "q95", "max"),
                      np.quantile(probabilities[t.codes == j, 1], marks).tolist(), strict=True))
        for j, arm in enumerate(t.arms)
    }
    own = np.maximum(probabilities[np.arange(data.n), t.codes], TINY)
    share = np.bincount(t.codes, weights=data.w, minlength=len(t.arms)) / data.n
    stabilised = share[t.codes] / own
    return {
        "value": t.arms[1], "by_arm": by_arm,
        "stabilised_weights": {"mean": float(stabilised.mean()), "min": float(stabilised.min()),
                               "max": float(stabilised.max())},
    }


def _no_overlap(data: Prepared, seen: dict[str, Any], fewest: str) -> Refused:
    t, lacking = data.treatment, seen["share_without_counterpart"]
    quantity = LIKE.get(data.spec.quantity, data.spec.quantity)
    who = {"ATT": "treated", "ATC": "controls"}.get(quantity, "people")
    if lacking > REFUSED_SHARE:
        reason = (f"{lacking:.0%} of the {who} have almost no chance of the other arm given the controls, so there "
                  "is nobody to compare them with.")
    else:
        reason = (f"The {seen['sizes'][fewest]:,} rows with {t.name} = {fewest} weigh like "
                  f"{seen['effective_sizes'][fewest]:.1f}: the answer would hang on a handful of people.")
    other = "Ask about a narrower population"
    if quantity == "ATE":
        other = ("Ask for the ATT, the ATC or, with 'ipw', the ATO (those who could have been in either arm), "
                 "trim=0.05 with 'ipw', a narrower population")
    return Refused("no_overlap", reason, seen, other + ", or leave out controls that only decide the treatment.")
