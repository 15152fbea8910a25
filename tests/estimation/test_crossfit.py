"""The cross-fitting engine: nothing of a row's own outcome enters its prediction; equal fits run once."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from whence.estimation.crossfit import CrossFitter, median_of_splits
from whence.stats.learners import LEARNERS, Learner
from whence.stats.resample import folds

RNG = np.random.default_rng(0)
N = 90
X = RNG.normal(size=(N, 2))
Y = X[:, 0] + RNG.normal(size=N)
FOLDS = folds(3, np.zeros(N, dtype=int), seed=2)


def engine(**changes):
    return dataclasses.replace(CrossFitter({1: X, 2: X}, FOLDS, np.ones(N)), **changes)


def test_predictions_are_out_of_fold():
    linear = (LEARNERS["linear"],)
    found = engine().fit(linear, Y).predictions
    design = np.column_stack([np.ones(N), X])
    for fold in range(3):
        inside = fold == FOLDS
        beta = np.linalg.lstsq(design[~inside], Y[~inside], rcond=None)[0]
        assert np.allclose(found[inside], design[inside] @ beta)
    moved = Y.copy()
    moved[4] += 100
    same_fold = FOLDS[4] == FOLDS
    assert np.array_equal(engine().fit(linear, moved).predictions[same_fold], found[same_fold])


def test_training_rows_only():
    train = X[:, 0] > 0
    moved = np.where(train, Y, 1e6)
    a, b = (engine().fit((LEARNERS["quadratic"],), target, train).predictions for target in (Y, moved))
    assert np.array_equal(a, b)


def counting():
    calls = []

    def numbers(x, y, w, new, seed):
        calls.append(seed)
        return np.full(len(new), y.mean())

    return Learner("mean", 1, numbers, None), calls


def test_equal_fits_run_once():
    learner, calls = counting()
    e = engine()
    first = e.fit((learner,), Y)
    again = e.fit((learner,), Y.copy())
    assert len(calls) == 3 and np.array_equal(first.predictions, again.predictions)
    e.fit((learner,), Y + 1)
    assert len(calls) == 6
    engine(cache=e.cache).fit((learner,), Y)
    assert len(calls) == 6
    engine(cache=e.cache, seed=1).fit((learner,), Y)
    assert len(calls) == 9


def test_stack_prefers_the_better_learner():
    mean, _ = counting()
    found = engine().fit((mean, LEARNERS["linear"]), X[:, 0] * 5 + 0.1 * RNG.normal(size=N))
    assert found.stack["linear"] > 0.95 and sum(found.stack.values()) == pytest.approx(1)


def test_class_probabilities_are_stacked_too():
    codes = (RNG.random(N) < 1 / (1 + np.exp(-2 * X[:, 0]))).astype(np.int64)
    found = engine().fit((LEARNERS["linear"], LEARNERS["quadratic"]), codes, classes=2)
    assert found.predictions.shape == (N, 2) and np.allclose(found.predictions.sum(axis=1), 1)
    assert found.loss < 2 * codes.var()


def test_median_of_splits():
    values = [RNG.normal(size=(N, 1)) for _ in range(3)]
    estimates, errors = np.array([[1.0], [4.0], [2.0]]), np.array([[0.5], [0.5], [0.7]])
    centre, influence = median_of_splits(estimates, values, errors, None)
    assert centre[0] == 2
    assert influence[:, 0] @ influence[:, 0] / N**2 == pytest.approx(np.median([0.25 + 1, 0.25 + 4, 0.49]))
    alone = np.array([[np.sqrt(values[0][:, 0] @ values[0][:, 0]) / N]])
    one, same = median_of_splits(estimates[:1], values[:1], alone, None)
    assert one[0] == 1 and np.allclose(same, values[0])
