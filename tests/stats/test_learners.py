"""Learners by name and as objects, and their stacking."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.stats.foldwise import Rows
from whence.stats.learners import LEARNERS, candidates, from_object, simplex_weights
from whence.stats.resample import folds

RNG = np.random.default_rng(4)
N = 300
X = RNG.normal(size=(N, 3))
SIGNAL = X[:, 0] + 0.5 * X[:, 1]
Y = SIGNAL + RNG.normal(size=N) * 0.3
CODES = np.clip(np.digitize(SIGNAL + RNG.logistic(size=N) * 0.5, [-0.5, 0.5]), 0, 2)
ONES = np.ones(N)
HERE = [name for name in LEARNERS if name != "lightgbm" or find_spec("lightgbm")]


@pytest.mark.parametrize("name", HERE)
def test_numbers(name):
    made = LEARNERS[name].numbers
    assert made is not None
    first = made(X, Y, ONES, X, 7)
    assert np.corrcoef(first, SIGNAL)[0, 1] > 0.95
    assert np.array_equal(first, made(X, Y, ONES, X, 7))


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("classes", [2, 3])
def test_classes(name, classes):
    made = LEARNERS[name].classes
    assert made is not None
    codes = np.minimum(CODES, classes - 1)
    p = made(X, codes, classes, ONES, X, 7)
    assert p.shape == (N, classes) and np.allclose(p.sum(axis=1), 1) and (p >= 0).all()
    assert np.log(p[np.arange(N), codes]).mean() > np.log(np.bincount(codes) / N)[codes].mean()


@pytest.mark.parametrize("name", ["linear", "boosting"])
def test_a_class_absent_from_training_gets_probability_zero(name):
    made = LEARNERS[name].classes
    assert made is not None
    p = made(X, CODES * 0 + 1, 3, ONES, X[:5], 0)
    assert np.array_equal(p, np.tile([0.0, 1.0, 0.0], (5, 1)))
    p = made(X, np.where(CODES == 1, 0, CODES), 3, ONES, X[:5], 0)
    assert (p[:, 1] == 0).all() and np.allclose(p.sum(axis=1), 1)


@pytest.mark.parametrize("name", HERE)
def test_without_features_it_is_the_mean(name):
    numbers, classes = LEARNERS[name].numbers, LEARNERS[name].classes
    assert numbers is not None and classes is not None
    w = RNG.uniform(1, 2, N)
    none = np.empty((N, 0))
    assert numbers(none, Y, w, none[:4], 0) == pytest.approx(np.full(4, np.average(Y, weights=w)))
    shares = np.bincount(CODES, weights=w) / w.sum()
    assert classes(none, CODES, 3, w, none[:4], 0) == pytest.approx(np.tile(shares, (4, 1)))


def test_weights_reach_the_fit():
    w = np.where(X[:, 2] > 0, 1.0, 1e-9)
    y = np.where(X[:, 2] > 0, 1.0, -1.0) + 0 * Y
    for name in ("linear", "boosting", "ridge", "lasso"):
        made = LEARNERS[name].numbers
        assert made is not None
        assert made(X[:, :2], y, w, X[:, :2], 0) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("name", ["lasso", "ridge"])
def test_sorted_rows_do_not_mislead_the_inner_folds(name):
    made = LEARNERS[name].classes
    assert made is not None
    codes = (RNG.random(N) < 1 / (1 + np.exp(-3 * X[:, 0]))).astype(np.int64)
    order = np.argsort(codes * 10 + X[:, 1])
    p = made(X[order], codes[order], 2, ONES, X, 0)[:, 1]
    assert np.corrcoef(p, X[:, 0])[0, 1] > 0.8


def test_auto_depends_on_the_rows_it_has():
    assert [c.name for c in candidates("auto", 400, 10)] == ["linear", "quadratic", "boosting"]
    assert [c.name for c in candidates("auto", 200, 10)] == ["linear", "quadratic", "ridge", "boosting"]
    assert [c.name for c in candidates("auto", 60, 10)] == ["linear", "quadratic", "ridge"]
    assert [c.name for c in candidates("auto", 30, 10)] == ["linear", "ridge"]


def test_unknown_name():
    with pytest.raises(WhenceError) as error:
        candidates("boostin", 100, 3)
    assert error.value.code == "unknown_learner" and "'boosting'" in str(error.value)


def test_objects():
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.linear_model import LinearRegression, LogisticRegression

    forest = from_object(RandomForestRegressor(20))
    assert forest.classes is None and forest.numbers is not None
    a, b = (forest.numbers(X, Y, ONES, X[:9], 5) for _ in range(2))
    assert np.array_equal(a, b)
    linear = from_object(LinearRegression())
    assert linear.numbers is not None and LEARNERS["linear"].numbers is not None
    assert np.allclose(linear.numbers(X, Y, ONES, X, 0), LEARNERS["linear"].numbers(X, Y, ONES, X, 0))
    assert from_object(LogisticRegression()).numbers is None


def test_object_without_weights_is_an_error_when_weights_matter():
    from sklearn.neighbors import KNeighborsRegressor

    made = from_object(KNeighborsRegressor()).numbers
    assert made is not None
    made(X, Y, ONES, X, 0)
    with pytest.raises(WhenceError, match="takes no weights"):
        made(X, Y, RNG.uniform(1, 2, N), X, 0)


def test_simplex_weights_find_the_best_mixture():
    predictions = RNG.normal(size=(N, 3))
    target = predictions @ [0.2, 0.8, 0.0]
    assert simplex_weights(predictions, target, ONES) == pytest.approx([0.2, 0.8, 0.0], abs=1e-6)
    best = simplex_weights(predictions, 3 * predictions[:, 2], ONES)
    assert best == pytest.approx([0, 0, 1], abs=0.15) and best.sum() == pytest.approx(1) and (best >= 0).all()
    assert simplex_weights(np.ones((5, 2)), np.ones(5), np.ones(5)).tolist() == [0.5, 0.5]


def test_simplex_weights_against_a_grid():
    predictions = RNG.normal(size=(N, 2)) + Y[:, None]
    w = RNG.uniform(0.5, 2, N)
    grid = np.linspace(0, 1, 10_001)
    losses = [float(w @ (predictions @ [g, 1 - g] - Y) ** 2) for g in grid]
    assert simplex_weights(predictions, Y, w)[0] == pytest.approx(grid[int(np.argmin(losses))], abs=2e-4)


def test_a_learner_that_is_not_installed_says_so():
    if find_spec("lightgbm"):
        pytest.skip("lightgbm is installed")
    with pytest.raises(WhenceError) as error:
        LEARNERS["lightgbm"].numbers(X, Y, ONES, X, 0)
    assert error.value.code == "not_installed"


def test_the_same_object_is_the_same_learner_until_it_changes():
    from sklearn.linear_model import Ridge

    one, alike = Ridge(alpha=1.0), Ridge(alpha=1.0)
    first = from_object(one)
    assert from_object(one) == first and from_object(alike) != first
    one.set_params(alpha=1e6)
    changed = from_object(one)
    assert changed != first
    assert np.ptp(changed.numbers(X, Y, ONES, X, 0)) < 0.1 * np.ptp(first.numbers(X, Y, ONES, X, 0))


@pytest.mark.parametrize("name", ["linear", "ridge"])
@pytest.mark.parametrize("weighted", [False, True])
def test_all_folds_at_once_is_each_fold_by_itself(name, weighted):
    learner = LEARNERS[name]
    fold, w = folds(5, CODES), RNG.uniform(0.5, 2, N) if weighted else ONES
    train = X[:, 2] > -1
    found = learner.numbers_by_fold(Rows.of(X, fold, train, w), Y)
    apart = np.empty(N)
    for k in range(5):
        use = train & (fold != k)
        apart[fold == k] = learner.numbers(X[use], Y[use], w[use], X[fold == k], 0)
    assert found == pytest.approx(apart, abs=1e-9 if name == "linear" else 0.05)


def grown_by_hand(matrix, target, fold, train, w, trees, rate, leaves, seed=0):
    from sklearn.ensemble import HistGradientBoostingRegressor

    out = np.zeros(len(target))
    for k in range(fold.max() + 1):
        use, new = train & (fold != k), fold == k
        model = HistGradientBoostingRegressor(learning_rate=rate, max_iter=trees, max_leaf_nodes=leaves,
                                              l2_regularization=1.0, early_stopping=False, random_state=seed)
        out[new] = model.fit(matrix[use], target[use], w[use]).predict(matrix[new])
    return out


@pytest.mark.parametrize("strong", [False, True])
def test_boosting_grows_as_many_trees_as_predict_best_out_of_fold(strong):
    """Each number of trees tried fitted from scratch: the answer is the best until one more step does not help."""
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(400, 4)), rng.uniform(0.5, 2, 400)
    y = np.sin(2 * x[:, 0]) * (8 if strong else 0.3) + x[:, 1] + rng.normal(size=400) * (0.3 if strong else 1)
    fold, train = folds(4, np.zeros(400, dtype=int)), rng.random(400) < 0.8
    found = LEARNERS["boosting"].numbers_by_fold(Rows.of(x, fold, train, w), y)
    tried = [grown_by_hand(x, y, fold, train, w, trees, 0.2, 4) for trees in (12, 25, 50, 100)]
    losses = [(w * train) @ (each - y) ** 2 for each in tried]
    last = next((j for j in (1, 2) if int(np.argmin(losses[: j + 1])) != j), 3)
    best = int(np.argmin(losses[: last + 1]))
    assert np.allclose(found, tried[best], atol=1e-8)
    assert (best >= 2) if strong else (best <= 1)


def test_boosted_chances_out_of_fold():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(600, 3))
    codes = np.clip(np.digitize(3 * (x[:, 0] > 0) + rng.logistic(size=600), [0.0, 2.0]), 0, 2)
    fold, ones, every = folds(5, codes), np.ones(600), np.ones(600, dtype=bool)
    by_fold = LEARNERS["boosting"].classes_by_fold
    found = by_fold(Rows.of(x, fold, every, ones), codes, 3)
    assert found.shape == (600, 3) and np.allclose(found.sum(axis=1), 1)
    assert ((found - np.eye(3)[codes]) ** 2).sum() < 0.95 * ((np.bincount(codes) / 600 - np.eye(3)[codes]) ** 2).sum()
    only = np.where(fold == 0, 2, np.minimum(codes, 1))  # a class that no fit for fold 0 sees
    assert by_fold(Rows.of(x, fold, every, ones), only, 3) is None
    assert by_fold(Rows.of(x[:, :0], fold, every, ones), codes, 3) is None


@pytest.mark.parametrize("name", ["lasso", "ridge"])
@pytest.mark.parametrize("few", [1, 3])
def test_a_class_with_few_members_gives_no_warning(name, few, recwarn):
    rng = np.random.default_rng(6)
    x, codes = rng.normal(size=(60, 3)), np.zeros(60, dtype=np.int64)
    codes[:few] = 1
    made = LEARNERS[name].classes
    p = made(x, codes, 2, np.ones(60), x, 0)
    assert not recwarn.list and np.allclose(p.sum(axis=1), 1)
    assert p[:, 1].mean() < 0.2
