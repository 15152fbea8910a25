"""The cross-fitting engine: out-of-fold predictions of a nuisance, stacked over learners and remembered."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from whence.core.hashing import content_hash
from whence.core.progress import SILENT, Progress
from whence.core.rng import generator
from whence.stats.learners import Learner, simplex_weights
from whence.stats.regress import covariance_matrix


@dataclass(frozen=True)
class Nuisance:
    """Out-of-fold predictions.

    predictions: (n,) of a mean, or (n, k) class probabilities. stack: weight of each learner by name.
    loss: mean squared error of the mixture on the training rows (of a mean), or Brier score.
    """

    predictions: np.ndarray
    stack: dict[str, float]
    loss: float


@dataclass(frozen=True)
class CrossFitter:
    """Fits nuisances on the rows outside each fold and predicts those inside.

    designs: features (n, k) by degree. folds: int (n,). weights: (n,). cache: predictions by content
    hash; share one between calls that may repeat a fit.
    """

    designs: dict[int, np.ndarray]
    folds: np.ndarray
    weights: np.ndarray
    seed: int = 0
    progress: Progress = SILENT
    cache: dict[str, np.ndarray] = field(default_factory=dict)

    def fit(
        self, learners: tuple[Learner, ...], target: np.ndarray, train: np.ndarray | None = None,
        classes: int | None = None,
    ) -> Nuisance:
        """Predict ``target`` for all rows from fits on the rows in ``train`` (boolean (n,)) of other folds.

        classes: number of classes when ``target`` holds codes 0 .. classes - 1, None for a mean. Several
        learners are stacked by their out-of-fold predictions of the training rows.
        """
        train = np.ones(len(target), dtype=bool) if train is None else train
        parts = [self._out_of_fold(learner, target, train, classes) for learner in learners]
        w = self.weights[train]
        if classes is None:
            columns = np.column_stack([part[train] for part in parts])
            wanted, mass = target[train].astype(float), w
        else:
            columns = np.column_stack([part[train].ravel() for part in parts])
            wanted = (target[train, None] == np.arange(classes)).astype(float).ravel()
            mass = np.repeat(w, classes)
        stack = simplex_weights(columns, wanted, mass)
        predictions = sum(share * part for share, part in zip(stack, parts, strict=True))
        loss = float(mass @ (columns @ stack - wanted) ** 2 / w.sum())
        names = [learner.name for learner in learners]
        return Nuisance(np.asarray(predictions), dict(zip(names, stack.tolist(), strict=True)), loss)

    def _out_of_fold(
        self, learner: Learner, target: np.ndarray, train: np.ndarray, classes: int | None
    ) -> np.ndarray:
        design = self.designs[learner.degree]
        key = content_hash(design, target, train, self.folds, self.weights, learner.name, classes, self.seed)
        if key in self.cache:
            return self.cache[key]
        out = np.zeros(len(target) if classes is None else (len(target), classes))
        for fold in np.unique(self.folds):
            inside = self.folds == fold
            rows = train & ~inside
            # One seed per learner and fold; the target needs none, since its fits share no randomness.
            seed = int(generator(self.seed, "learner", learner.name, int(fold)).integers(2**31))
            out[inside] = _fit_one(learner, design, target, rows, inside, self.weights, classes, seed)
            self.progress.step()
        self.cache[key] = out
        return out


def _fit_one(
    learner: Learner, design: np.ndarray, target: np.ndarray, rows: np.ndarray, new: np.ndarray,
    weights: np.ndarray, classes: int | None, seed: int,
) -> np.ndarray:
    x, y, w = design[rows], target[rows], weights[rows]
    if classes is None:
        assert learner.numbers is not None
        return learner.numbers(x, y.astype(float), w, design[new], seed)
    assert learner.classes is not None
    return learner.classes(x, y, classes, w, design[new], seed)


def median_of_splits(
    estimates: np.ndarray, influences: list[np.ndarray], errors: np.ndarray, clusters: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Median estimate (m,) over splits and influence values (n, m) that carry the spread between splits.

    estimates, errors: (splits, m). The variance is the median of errors^2 + (estimate - median)^2
    (Chernozhukov et al. 2018, definition 3.3). The influence values are the mean over the splits, scaled
    so that they give that variance.
    """
    centre = np.median(estimates, axis=0)
    wanted = np.sqrt(np.median(errors**2 + (estimates - centre) ** 2, axis=0))
    mean = np.mean(influences, axis=0)
    now = np.sqrt(np.diagonal(covariance_matrix(mean, clusters)))
    return centre, mean * np.where(now > 0, wanted / np.where(now > 0, now, 1.0), 1.0)
