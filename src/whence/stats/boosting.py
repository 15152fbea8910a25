"""Boosted trees whose number is chosen by what they predict out of fold.

Few trees suit a weak signal and many a strong one; a number fixed beforehand leaves the one overfitted or the other
half learned. All folds are fitted side by side, to more trees for as long as that helps: those already grown stay.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from whence.stats.foldwise import Rows
from whence.stats.one_thread import one_thread

MANY_ROWS = 5_000
# Numbers of trees tried: the first two at once, each further one while the last was the best.
FEW_STEPS, MANY_STEPS = (12, 25, 50, 100), (50, 100, 200)
LEAST = 1e-6  # chance
USUAL = 2  # which of them is used where nothing can be predicted out of fold


def settings(rows: int, trees: int, seed: int = 0) -> dict[str, Any]:
    """Parameters of scikit-learn's histogram boosting for so many rows: small trees and large steps for few."""
    few = rows < MANY_ROWS
    return {
        "learning_rate": 0.2 if few else 0.1, "max_iter": trees, "max_leaf_nodes": 4 if few else 15,
        "min_samples_leaf": 20, "l2_regularization": 1.0, "early_stopping": False, "random_state": seed,
    }


def steps(rows: int) -> tuple[int, ...]:
    return FEW_STEPS if rows < MANY_ROWS else MANY_STEPS


def boosted_numbers(rows: int, seed: int) -> Any:
    """An unfitted regressor with the usual number of trees."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(**settings(rows, steps(rows)[USUAL], seed))


def boosted_classes(rows: int, seed: int) -> Any:
    """An unfitted classifier with the usual number of trees."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(**settings(rows, steps(rows)[USUAL], seed))


def numbers_by_fold(rows: Rows, target: np.ndarray) -> np.ndarray | None:
    """Predictions (n,) from fits on the rows fitted of the other folds; None without columns."""
    return _grown(rows, target, None)


def classes_by_fold(rows: Rows, codes: np.ndarray, classes: int) -> np.ndarray | None:
    """Chances (n, classes), likewise; None also where some fold's fit would lack a class."""
    return _grown(rows, codes, classes)


def _grown(rows: Rows, target: np.ndarray, classes: int | None) -> np.ndarray | None:
    """Out-of-fold predictions by the number of trees with the least squared error (log loss) on the rows fitted."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    outside = [rows.train & (rows.folds != fold) for fold in range(rows.count)]
    fewest = min(int(use.sum()) for use in outside)
    if rows.matrix.shape[1] == 0 or fewest == 0:
        return None
    if classes is not None and any(len(np.unique(target[use])) < classes for use in outside):
        return None
    make: Any = HistGradientBoostingRegressor if classes is None else HistGradientBoostingClassifier
    models = [make(**settings(fewest, 1), warm_start=True) for _ in outside]
    best: tuple[float, np.ndarray] | None = None
    tried = steps(fewest)
    for wanted in (tried[:2], *((step,) for step in tried[2:])):
        found = _more_trees(models, rows, outside, target, wanted, classes)
        losses = [_loss(rows, target, each, classes) for each in found]
        least = int(np.argmin(losses))
        if best is None or losses[least] < best[0]:
            best = losses[least], found[least]
        if best[1] is not found[-1]:
            break
    return None if best is None else best[1]


def _more_trees(
    models: list[Any], rows: Rows, outside: list[np.ndarray], target: np.ndarray, wanted: tuple[int, ...],
    classes: int | None,
) -> list[np.ndarray]:
    """Grows the models to the last number of trees in ``wanted``; out-of-fold predictions with each of these."""
    equal = np.ptp(rows.weights) == 0
    shape = rows.folds.shape if classes is None else (len(rows.folds), classes)
    out = [np.zeros(shape) for _ in wanted]
    with one_thread():
        for fold, (model, use) in enumerate(zip(models, outside, strict=True)):
            model.set_params(max_iter=wanted[-1])
            model.fit(rows.matrix[use], target[use], **({} if equal else {"sample_weight": rows.weights[use]}))
            inside = rows.folds == fold
            new = rows.matrix[inside]
            if len(wanted) == 1:
                out[0][inside] = model.predict(new) if classes is None else model.predict_proba(new)
                continue
            staged = model.staged_predict(new) if classes is None else model.staged_predict_proba(new)
            for trees, predictions in enumerate(staged, 1):
                if trees in wanted:
                    out[wanted.index(trees)][inside] = predictions
    return out


def _loss(rows: Rows, target: np.ndarray, predictions: np.ndarray, classes: int | None) -> float:
    """Squared error, or log loss: chances near 0 and 1 matter where others divide by them."""
    if classes is None:
        each = (predictions - target) ** 2
    else:
        each = -np.log(np.maximum(predictions[np.arange(len(target)), target], LEAST))
    return float((rows.weights * rows.train) @ each)
