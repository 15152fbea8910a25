"""Weights of untreated units that stand for a treated one: on the simplex, augmented, pooled, or in differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from whence.stats.simplex import simplex_least_squares

Traits = tuple[np.ndarray, np.ndarray]  # of the treated unit (p,), and of the donors (units, p)
PENALTIES, SMALLEST = 20, 1e-8  # ridge penalties tried besides the largest, and the last relative to it
SWEEPS = 200  # over the treated units, for weights found together
SETTLED = 1e-9  # largest change of a weight in a sweep


@dataclass(frozen=True)
class Synthetic:
    """One treated unit. effect: the mean over the periods after the start. weights: (donors,). gap: (periods,), outcome
    less that of the weighted donors (for ``did`` less their mean distance before, too). misfit: root mean square of the
    gap before. penalty: of the ridge regression, for augmented weights. times: weights of the periods before (``did``).
    """

    effect: float
    weights: np.ndarray
    gap: np.ndarray
    misfit: float
    penalty: float | None = None
    times: np.ndarray | None = None


Fit = Callable[[np.ndarray, np.ndarray, np.ndarray, Traits | None], Synthetic]


def simplex(own: np.ndarray, donors: np.ndarray, before: np.ndarray, traits: Traits | None = None) -> Synthetic:
    """Abadie et al. (2010), equation 2 with the outcomes before as predictors, and traits as so many more.

    own: (periods,). donors: (units, periods). before: boolean (periods,), the periods that are fitted.
    """
    return made(own, donors, before, simplex_least_squares(*_predictors(own, donors, before, traits)))


def made(own: np.ndarray, donors: np.ndarray, before: np.ndarray, weights: np.ndarray, penalty: float | None = None
         ) -> Synthetic:
    """What given weights say."""
    gap = own - weights @ donors
    effect = float(gap[~before].mean()) if not before.all() else 0.0
    return Synthetic(effect, weights, gap, float(np.sqrt((gap[before] ** 2).mean())), penalty)


def _predictors(
    own: np.ndarray, donors: np.ndarray, before: np.ndarray, traits: Traits | None
) -> tuple[np.ndarray, np.ndarray]:
    """What is fitted: of the donors (predictors, units), and of the treated (predictors,)."""
    if traits is None:
        return donors[:, before].T, own[before]
    return np.hstack([donors[:, before], traits[1]]).T, np.concatenate([own[before], traits[0]])


def augmented(
    own: np.ndarray, donors: np.ndarray, before: np.ndarray, traits: Traits | None = None, penalty: float | None = None
) -> Synthetic:
    """Ridge-augmented synthetic control (Ben-Michael, Feller and Rothstein 2021, equation 11): the weights on the
    simplex, moved as far as a ridge regression on the predictors corrects what they leave; they may be negative.

    penalty: of the ridge; None: the largest within one standard error of the best at leaving out single periods before
    (their section 5.3), among 21 from the largest squared singular value down to 1e-8 of it.
    """
    columns, target = _predictors(own, donors, before, traits)
    if penalty is None:
        penalty = _chosen_penalty(columns, target, int(before.sum()))
    weights = simplex_least_squares(columns, target)
    return made(own, donors, before, _moved(columns, target, weights, np.array([penalty]))[0], penalty)


def _moved(columns: np.ndarray, target: np.ndarray, weights: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """Augmented weights (penalties, units), from the singular values of the centred predictors (their equation 12)."""
    centred = columns - columns.mean(axis=1, keepdims=True)
    left, size, right = np.linalg.svd(centred, full_matrices=False)
    missed = left.T @ (target - columns @ weights)
    floor = SMALLEST**2 * float(size[0]) ** 2 if size[0] > 0 else 1.0
    return weights + (missed * size / (size**2 + np.maximum(penalties, floor)[:, None])) @ right


def _chosen_penalty(columns: np.ndarray, target: np.ndarray, periods: int) -> float:
    largest = float(np.linalg.norm(columns - columns.mean(axis=1, keepdims=True), 2)) ** 2
    penalties = largest * SMALLEST ** (np.arange(PENALTIES + 1) / PENALTIES)
    errors = np.empty((periods, len(penalties)))
    for t in range(periods):  # periods come first among the predictors
        rest = np.delete(np.arange(len(target)), t)
        weights = simplex_least_squares(columns[rest], target[rest])
        errors[t] = (target[t] - _moved(columns[rest], target[rest], weights, penalties) @ columns[t]) ** 2
    mean, error = errors.mean(axis=0), errors.std(axis=0, ddof=1) / np.sqrt(periods)
    best = int(np.argmin(mean))
    return float(penalties[np.flatnonzero(mean <= mean[best] + error[best]).min()])


def synthetic_did(
    own: np.ndarray, donors: np.ndarray, before: np.ndarray, traits: Traits | None = None, units: int = 1
) -> Synthetic:
    """Arkhangelsky et al. (2021), algorithm 1: weights of donors (equation 4) and of periods (equation 6), each with an
    intercept, then the difference in differences under both. own: the mean of ``units`` treated units."""
    early, late = donors[:, before], donors[:, ~before]
    noise = float(np.std(np.diff(early, axis=1), ddof=1))
    ridge = np.sqrt(float(units * late.shape[1])) * noise**2 * early.shape[1]
    target = own[before]
    weights = simplex_least_squares((early - early.mean(axis=1, keepdims=True)).T, target - target.mean(), ridge)
    periods = period_weights(early, late, noise)
    gap = own - weights @ donors
    gap = gap - float(periods @ gap[before])
    return Synthetic(float(gap[~before].mean()), weights, gap, float(np.sqrt(np.var(gap[before]))), times=periods)


def period_weights(early: np.ndarray, late: np.ndarray, noise: float) -> np.ndarray:
    """Weights of the periods before that give the donors' mean after (equation 6)."""
    after = late.mean(axis=1)
    return simplex_least_squares(early - early.mean(axis=0), after - after.mean(), 1e-12 * noise**2 * len(early))


def pooled(
    owns: np.ndarray, donors: np.ndarray, starts: Sequence[int], share: float | None, traits: Sequence[Traits | None]
) -> tuple[list[Synthetic], float]:
    """Weights of several treated units found together (Ben-Michael, Feller and Rothstein 2022, equation 6): ``share``
    of the misfit minded is that of their mean, by time before the start, the rest that of each.

    owns: (units, periods). share: None for that of the separate fits' own (their section 4.3). The weights of one unit
    at a time are solved for exactly, given the others', until they settle. Returns the fits and the share.
    """
    problems = [_predictors(own, donors, np.arange(owns.shape[1]) < start, t)
                for own, start, t in zip(owns, starts, traits, strict=True)]
    lags = min(int(s) for s in starts)
    recent = [(c[s - lags : s], t[s - lags : s]) for (c, t), s in zip(problems, starts, strict=True)]
    weights = [simplex_least_squares(*p) for p in problems]
    gaps = np.array([t - c @ w for (c, t), w in zip(recent, weights, strict=True)])
    if share is None:
        apart = float(np.sqrt((gaps**2).sum(axis=1)).mean())
        share = float(np.sqrt((gaps.mean(axis=0) ** 2).sum())) / apart if apart > 0 else 0.0
    units = len(problems)
    for _ in range(SWEEPS if share > 0 and units > 1 else 0):
        moved = 0.0
        for j, ((columns, target), (near, own)) in enumerate(zip(problems, recent, strict=True)):
            others = gaps.sum(axis=0) - gaps[j]
            together, alone = np.sqrt(share) / units, np.sqrt((1 - share) / units)
            new = simplex_least_squares(np.vstack([together * near, alone * columns]),
                                        np.concatenate([together * (own + others), alone * target]))
            moved = max(moved, float(np.abs(new - weights[j]).max()))
            weights[j], gaps[j] = new, own - near @ new
        if moved < SETTLED:
            break
    fits = [made(own, donors, np.arange(owns.shape[1]) < start, w)
            for own, start, w in zip(owns, starts, weights, strict=True)]
    return fits, share
