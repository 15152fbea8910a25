"""Nuisances of a continuous treatment, cross-fitted: the outcome at any dose and the density of doses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.errors import WhenceError
from whence.core.progress import Progress
from whence.core.rng import generator
from whence.estimation.interactive import chosen_learners, engine_of
from whence.estimation.prepare import Prepared
from whence.stats.features import Features
from whence.stats.learners import LEARNERS, NAMES, Learner, simplex_weights
from whence.stats.resample import folds

KNOTS = (0.25, 0.5, 0.75)  # quantiles of the dose between which a linear learner's curve bends
SPREAD = (0.1, 10.0)  # bounds of a row's dose variance, as parts of the mean
BINS = 400


@dataclass(frozen=True)
class DoseNuisances:
    """predicted: (n,), outcome at the row's own dose. surface: (n, grid), at each dose of the grid. density: (n, grid),
    of each dose of the grid given the row's controls. own_density: (n,), of its own dose. learned: what was learned."""

    predicted: np.ndarray
    surface: np.ndarray
    density: np.ndarray
    own_density: np.ndarray
    learned: dict[str, Any]


def dose_nuisances(
    data: Prepared, designs: dict[int, Features], grid: np.ndarray, learners: tuple[Any, Any], n_folds: int, split: int,
    seed: int, progress: Progress,
) -> DoseNuisances:
    """Both nuisances for one split. learners: of the outcome and of the dose.

    The dose is a + s(x) e, a and s cross-fitted and e of one density, which a kernel estimates (Kennedy et al. 2017,
    section 4.1). The outcome learners see the dose, its square, bends and its products with the controls.
    """
    dose = data.treatment.values
    bins = np.searchsorted(np.quantile(dose, KNOTS), dose)
    fold = folds(n_folds, bins, data.clusters, seed, split)
    engine = engine_of(data, designs, fold, seed, progress)
    rows = int((1 - 1 / n_folds) * data.n)
    for_dose = chosen_learners(designs, learners[1], rows)
    for_outcome = chosen_learners(designs, learners[0], rows)
    for learner in (*for_dose, *for_outcome):
        if learner.numbers is None:
            raise WhenceError("The learners of a dose response must predict numbers.", code="bad_learner",
                              value=learner.name, allowed=NAMES, hint="Use regressors.")
    centre = engine.fit(for_dose, dose)
    left = (dose - centre.predictions) ** 2
    mean = float(np.average(left, weights=data.w))
    straight = (LEARNERS["linear"],)
    scale = np.sqrt(np.clip(engine.fit(straight, left).predictions, SPREAD[0] * mean, SPREAD[1] * mean))
    shape = residual_density((dose - centre.predictions) / scale, data.w)
    density = np.column_stack([shape((a - centre.predictions) / scale) / scale for a in grid])
    own = shape((dose - centre.predictions) / scale) / scale
    predicted, surface, stack = _surface(data, designs, for_outcome, fold, grid, seed)
    return DoseNuisances(predicted, surface, density, own,
                         {"dose": {"stack": centre.stack, "loss": centre.loss}, "outcome": {"stack": stack}})


def residual_density(residuals: np.ndarray, weights: np.ndarray) -> Any:
    """A Gaussian kernel density of ``residuals`` (n,) with Silverman's bandwidth, as a function; zero far outside."""
    ordered = np.sort(residuals)
    spread = min(residuals.std(), (ordered[int(0.75 * (len(ordered) - 1))] - ordered[len(ordered) // 4]) / 1.349)
    width = 0.9 * max(spread, 1e-3) * len(residuals) ** -0.2
    edges = np.linspace(ordered[0] - 4 * width, ordered[-1] + 4 * width, BINS + 1)
    mass = np.histogram(residuals, edges, weights=weights)[0] / weights.sum()
    middle = (edges[1:] + edges[:-1]) / 2
    gaps = (middle[:, None] - middle[None, :]) / width
    heights = np.exp(-0.5 * gaps**2) @ mass / (width * np.sqrt(2 * np.pi))
    return lambda at: np.interp(at, middle, heights, left=0.0, right=0.0)


def _surface(
    data: Prepared, designs: dict[int, Features], learners: tuple[Learner, ...], fold: np.ndarray, grid: np.ndarray,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Out-of-fold outcome at the row's own dose (n,) and at the doses of the grid (n, grid), stacked over learners."""
    dose, n = data.treatment.values, data.n
    own, everywhere = np.empty((n, len(learners))), np.empty((len(learners), n, len(grid)))
    for j, learner in enumerate(learners):
        assert learner.numbers is not None
        controls = designs[learner.degree].matrix
        x = _with_dose(controls, dose, dose, learner.degree)
        for k in range(int(fold.max()) + 1):
            inside = fold == k
            rows = ~inside
            new = np.vstack([x[inside], *(
                _with_dose(controls[inside], np.full(int(inside.sum()), a), dose, learner.degree) for a in grid)])
            key = int(generator(seed, "dose", learner.name, k).integers(2**31))
            found = learner.numbers(x[rows], data.outcome[rows], data.w[rows], new, key)
            blocks = found.reshape(1 + len(grid), -1)
            own[inside, j], everywhere[j, inside] = blocks[0], blocks[1:].T
    stack = simplex_weights(own, data.outcome, data.w)
    names = [learner.name for learner in learners]
    return own @ stack, np.tensordot(stack, everywhere, axes=1), dict(zip(names, stack.tolist(), strict=True))


def _with_dose(controls: np.ndarray, dose: np.ndarray, all_doses: np.ndarray, degree: int) -> np.ndarray:
    """Controls and what a learner sees of the dose: alone for trees, else with bends and products."""
    centre, spread = all_doses.mean(), all_doses.std()
    z = (dose - centre) / spread
    if degree == 0:
        return np.column_stack([controls, z])
    knots = (np.quantile(all_doses, KNOTS) - centre) / spread
    bends = [np.maximum(z - knot, 0.0) ** 2 for knot in knots]
    return np.column_stack([controls, z, z**2, *bends, controls * z[:, None]])
