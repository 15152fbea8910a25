"""Every pair of arms compared, from the comparisons with the first arm, with joint intervals over all pairs."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from whence.estimation.effect import Comparison
from whence.estimation.inference import Answer, Errors, degrees_of_freedom, summaries
from whence.estimation.simultaneous import simultaneous

MOST = 50_000_000  # influence values of all pairs together


def all_pairs(answer: Answer, level: float, seed: int) -> tuple[Comparison, ...]:
    """Each arm against every arm before it, those against the first included; empty where nothing is added.

    The effect of arm b over arm a is the difference of theirs over the first arm, and so are its influence values.
    Needs three arms or more whose effects are averages over the same people (``answer.common``). Joint intervals and
    adjusted p-values as in ``simultaneous``, over all pairs (Tukey's comparisons, for any estimator). Where t
    distributions are used, the degrees of freedom are Welch's by arm and at most those of the model, or with clusters
    the fewer of both parts. Many arms on so many rows that the values of all pairs exceed 400 MB are left to the
    comparisons with the first arm.
    """
    arms = answer.data.treatment.arms
    if not answer.common or len(arms) < 3 or answer.labels is not None or answer.interval is not None:
        return ()
    chosen = list(itertools.combinations(range(len(arms)), 2))
    if len(chosen) * answer.data.n > MOST:
        return ()
    contrasts = np.zeros((len(arms), len(chosen)))  # the first row, of the first arm, meets an effect of 0
    for j, (low, high) in enumerate(chosen):
        contrasts[low, j], contrasts[high, j] = -1.0, 1.0
    influence = answer.influence @ contrasts[1:]
    df = np.array([_freedom(answer, influence[:, j], low, high) for j, (low, high) in enumerate(chosen)])
    known = np.isfinite(df).all()
    errors = answer.errors if answer.errors is None else Errors(answer.errors.name, answer.errors.words, df)
    pairs = dataclasses.replace(
        answer, estimates=answer.estimates @ contrasts[1:], influence=influence, df=df if known else None,
        errors=errors if known else None, labels=tuple(f"{arms[high]} vs {arms[low]}" for low, high in chosen))
    found = summaries(pairs, level)
    joint = simultaneous(pairs, found, level, seed)
    return tuple(
        Comparison(label, s.estimate, s.standard_error, s.interval, s.p_value, p, together)
        for label, s, p, together in zip(pairs.labels or (), found, joint.p_values,
                                         joint.intervals or (None,) * len(found), strict=True))


def _freedom(answer: Answer, influence: np.ndarray, low: int, high: int) -> float:
    """Degrees of freedom of the t distribution for one pair; infinite for the normal."""
    parts = [degrees_of_freedom(answer, arm - 1) for arm in (low, high) if arm]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return np.inf
    if answer.data.clusters is not None or answer.data.dependence is not None or not low:
        return min(known)
    codes = answer.data.treatment.codes
    by_arm = np.bincount(codes, influence**2)
    below = float((by_arm**2 / np.maximum(np.bincount(codes) - 1, 1)).sum())
    welch = float(by_arm.sum()) ** 2 / below if below > 0 else np.inf
    # Where they differ they are Welch's of other pairs, where not the rows that the model leaves for every pair.
    return welch if known[0] != known[1] else min(known[0], welch)
