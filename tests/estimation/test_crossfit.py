"""The cross-fitting engine: nothing of a row's own outcome enters its prediction; equal fits run once."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from whence.estimation.crossfit import SHARED, CrossFitter, Store, median_of_splits
from whence.estimation.estimate import estimate
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


def test_the_store_is_bounded_and_gives_up_what_was_used_longest_ago():
    store = Store(most=3 * 80)
    for name in "abc":
        store.put(name, np.full(10, float(ord(name))))
    assert store.get("a") is not None
    store.put("d", np.zeros(10))
    assert store.get("b") is None and store.get("a") is not None and len(store) == 3 and store.bytes == 240
    store.put("huge", np.zeros(100))
    assert store.get("huge") is None and len(store) == 3
    with pytest.raises(ValueError, match="read-only"):
        store.get("a")[0] = 1


def test_the_store_is_shared_between_threads():
    from concurrent.futures import ThreadPoolExecutor

    store = Store(most=50 * 8 * 100)

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(300):
            name = int(rng.integers(80))
            found = store.get(name)
            assert found is None or (found == name).all()
            store.put(name, np.full(100, float(name)))
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
    assert store.bytes == sum(store.get(k).nbytes for k in range(80) if store.get(k) is not None) <= store.most


def test_learners_that_print_alike_are_not_confused():
    one, calls = counting()
    other = Learner("mean", 1, lambda x, y, w, new, seed: np.zeros(len(new)), None)
    e = engine(cache=Store())
    assert e.fit((one,), Y).predictions[0] != e.fit((other,), Y).predictions[0] == 0 and len(calls) == 3


def test_another_design_of_the_same_shape_is_another_fit():
    linear = (LEARNERS["linear"],)
    first = engine().fit(linear, Y).predictions
    assert not np.allclose(first, engine(designs={1: X + X**2}).fit(linear, Y).predictions)
    assert not np.allclose(first, engine(weights=np.linspace(0.5, 1.5, N)).fit(linear, Y).predictions)


@pytest.mark.parametrize("method", ["aipw", "tmle", "partially_linear"])
def test_a_second_estimate_refits_nothing(sample, spec, method):
    from sklearn.linear_model import LinearRegression, LogisticRegression

    fits = []

    class Outcome(LinearRegression):
        def fit(self, *args, **kwargs):
            fits.append("outcome")
            return super().fit(*args, **kwargs)

    class Chance(LogisticRegression):
        def fit(self, *args, **kwargs):
            fits.append("chance")
            return super().fit(*args, **kwargs)

    # Classes made in a function cannot be pickled, so each object is its own learner; module-level ones are shared.
    learners = {"outcome_learner": LinearRegression(), "treatment_learner": LogisticRegression()}
    table = sample(300, 77).table
    SHARED.clear()
    first = estimate(table, spec(), method, n_splits=1, **learners)
    size = len(SHARED)
    again = estimate(table, spec(), method, n_splits=1, **learners)
    assert len(SHARED) == size > 0 and again.estimate == first.estimate
    if method == "aipw":
        estimate(table, spec(), "tmle", n_splits=1, **learners)
        assert len(SHARED) == size
    estimate(table, spec(), method, n_splits=1, outcome_learner=Outcome(), treatment_learner=Chance())
    count = len(fits)
    assert count == (15 if method != "partially_linear" else 10)
