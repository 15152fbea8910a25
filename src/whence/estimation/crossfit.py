"""The cross-fitting engine: out-of-fold predictions of a nuisance, stacked over learners and remembered.

What was fitted once is not fitted again in the same process: predictions are kept by the content of all that they
depend on, whoever asks for them: another estimator, a check, a sensitivity analysis.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

import numpy as np

from whence.core.hashing import content_hash
from whence.core.progress import SILENT, Progress
from whence.core.rng import generator
from whence.stats.foldwise import Rows, gram, least_squares
from whence.stats.learners import Learner, simplex_weights
from whence.stats.regress import covariance_matrix

MOST_BYTES = 256 * 2**20


class Store:
    """Arrays by key, the least recently used given up beyond ``most`` bytes. Safe to share between threads."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self.most, self.bytes = most, 0
        self._arrays: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._arrays)

    def get(self, key: Hashable) -> np.ndarray | None:
        with self._lock:
            if key not in self._arrays:
                return None
            self._arrays.move_to_end(key)
            return self._arrays[key]

    def put(self, key: Hashable, array: np.ndarray) -> None:
        """Keeps ``array``, which can no longer be changed."""
        array.flags.writeable = False
        with self._lock:
            if key not in self._arrays and array.nbytes <= self.most:
                self._arrays[key] = array
                self.bytes += array.nbytes
            while self.bytes > self.most:
                _, oldest = self._arrays.popitem(last=False)
                self.bytes -= oldest.nbytes

    def clear(self) -> None:
        with self._lock:
            self._arrays.clear()
            self.bytes = 0


SHARED = Store()


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

    designs: features (n, k) by degree. folds: int (n,). weights: (n,). cache: predictions by the content of what they
    come from; all engines of a process share one. contents: what tells a design from others, by degree; by default
    a hash of its numbers.
    """

    designs: dict[int, np.ndarray]
    folds: np.ndarray
    weights: np.ndarray
    seed: int = 0
    progress: Progress = SILENT
    cache: Store = SHARED
    contents: Mapping[int, str] = field(default_factory=dict)
    _names: dict[int, str] = field(default_factory=dict, repr=False, compare=False)
    _rows: dict[tuple[str, int], tuple[Rows, np.ndarray | None]] = field(default_factory=dict, repr=False,
                                                                      compare=False)

    @property
    def count(self) -> int:
        """Of folds."""
        return int(self.folds.max()) + 1

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
        w = self.weights if train.all() else self.weights[train]
        if len(parts) == 1 and classes is None:
            gaps = (parts[0] - target)[train]
            return Nuisance(parts[0], {learners[0].name: 1.0}, float(w @ gaps**2 / w.sum()))
        if classes is None:
            columns = np.column_stack([part[train] for part in parts])
            wanted, mass = target[train].astype(float), w
        else:
            columns = np.column_stack([part[train].ravel() for part in parts])
            wanted = (target[train, None] == np.arange(classes)).astype(float).ravel()
            mass = np.repeat(w, classes)
        stack = simplex_weights(columns, wanted, mass)
        predictions = parts[0] if len(parts) == 1 else sum(s * part for s, part in zip(stack, parts, strict=True))
        loss = float(mass @ (columns @ stack - wanted) ** 2 / w.sum())
        names = [learner.name for learner in learners]
        return Nuisance(np.asarray(predictions), dict(zip(names, stack.tolist(), strict=True)), loss)

    def _out_of_fold(
        self, learner: Learner, target: np.ndarray, train: np.ndarray, classes: int | None
    ) -> np.ndarray:
        whom = content_hash(train)
        # The learner itself is part of the key: two objects that print alike are not the same one.
        key = (self._content(learner.degree), whom, content_hash(target), classes, self.seed, learner)
        known = self.cache.get(key)
        if known is not None:
            self.progress.step(self.count)
            return known
        out = self._all_folds(learner, target, train, whom, classes)
        if out is None:
            out = self._fold_by_fold(learner, target, train, classes)
        else:
            self.progress.step(self.count)
        self.cache.put(key, out)
        return out

    def _content(self, degree: int) -> str:
        """What the design, the folds and the weights hold."""
        if degree not in self._names:
            design = self.contents.get(degree) or content_hash(self.designs[degree])
            self._names[degree] = content_hash(design, self.folds, self.weights)
        return self._names[degree]

    def _all_folds(
        self, learner: Learner, target: np.ndarray, train: np.ndarray, whom: str, classes: int | None
    ) -> np.ndarray | None:
        """Predictions by a learner that can do all folds at once, None where it cannot."""
        way = learner.numbers_by_fold if classes is None else learner.classes_by_fold
        if way is None:
            return None
        rows, squares = self._rows.get((whom, learner.degree), (None, None))
        if rows is None:
            rows = Rows.of(self.designs[learner.degree], self.folds, train, self.weights)
        if way is least_squares:  # several targets share the sums of squares of the design
            squares = gram(rows) if squares is None else squares
            out = least_squares(rows, target.astype(float), squares)
        else:
            out = way(rows, target.astype(float)) if classes is None else way(rows, target, classes)  # pyright: ignore
        self._rows[(whom, learner.degree)] = (rows, squares)
        return out

    def _fold_by_fold(
        self, learner: Learner, target: np.ndarray, train: np.ndarray, classes: int | None
    ) -> np.ndarray:
        design = self.designs[learner.degree]
        out = np.zeros(len(target) if classes is None else (len(target), classes))
        for fold in range(self.count):
            inside = self.folds == fold
            rows = train & ~inside
            # One seed per learner and fold; the target needs none, since its fits share no randomness.
            seed = int(generator(self.seed, "learner", learner.name, int(fold)).integers(2**31))
            out[inside] = _fit_one(learner, design, target, rows, inside, self.weights, classes, seed)
            self.progress.step()
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
