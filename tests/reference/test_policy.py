"""The tree search against every tree there is, one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from whence.estimation.heterogeneity.policy import policy
from whence.estimation.heterogeneity.policy_tree import Leaf, policy_tree, treated


def best_by_trying(gains: np.ndarray, x: np.ndarray, depth: int, smallest: int) -> float:
    """Greatest sum of gains over the treated of any tree; a cut between any two values."""
    best = max(0.0, gains.sum()) if len(gains) >= smallest else -np.inf
    if depth == 0:
        return best
    for j in range(x.shape[1]):
        for at in np.unique(x[:, j])[:-1]:
            low = x[:, j] <= at
            best = max(best, best_by_trying(gains[low], x[low], depth - 1, smallest)
                       + best_by_trying(gains[~low], x[~low], depth - 1, smallest))
    return best


@pytest.mark.parametrize(("depth", "smallest", "seed"), list(itertools.product((0, 1, 2), (1, 5), range(4))))
def test_no_tree_is_better(depth: int, smallest: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=24), rng.integers(3, size=24), rng.integers(2, size=24)]).astype(float)
    gains, weights = rng.normal(size=24), rng.integers(1, 4, 24).astype(float)
    tree = policy_tree(gains, x, "abc", depth=depth, weights=weights, smallest=smallest)
    value = float(weights @ np.where(treated(tree, x, "abc"), gains, 0.0))
    assert value == pytest.approx(best_by_trying(weights * gains, x, depth, smallest), abs=1e-9)


def test_a_rule_of_two_columns_that_no_single_split_sees() -> None:
    """Treat where exactly one of two columns is high: greedy splitting finds nothing, the search finds it all."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 4))
    gains = np.where((x[:, 1] > 0) != (x[:, 2] > 0), 1.0, -1.0)
    tree = policy_tree(gains, x, ["a", "b", "c", "d"], cuts=400)
    assert not isinstance(tree, Leaf)
    assert (treated(tree, x, ["a", "b", "c", "d"]) == (gains > 0)).all()


def test_values_are_means_over_people_not_learned_from() -> None:
    rng = np.random.default_rng(2)
    x, folds = rng.normal(size=(600, 2)), np.arange(600) % 3
    scores, weights = 1 + x[:, 0] + rng.normal(size=600), rng.uniform(0.5, 2, 600)
    found = policy(scores, x, ["a", "b"], depth=1, cost=0.5, folds=folds, weights=weights, smallest=5)
    gained, mass, everybody = [], [], []
    for k in (1, 2):
        old, new = folds < k, folds == k
        tree = policy_tree((scores - 0.5)[old], x[old], ["a", "b"], depth=1, weights=weights[old], smallest=5)
        gained.append(np.where(treated(tree, x[new], ["a", "b"]), scores[new] - 0.5, 0.0))
        everybody.append(scores[new] - 0.5)
        mass.append(weights[new])
    g, e, w = np.concatenate(gained), np.concatenate(everybody), np.concatenate(mass)
    value = float(w @ g / w.sum())
    error = float(np.sqrt((w**2) @ (g - value) ** 2) / w.sum() * np.sqrt(len(g) / (len(g) - 1)))
    assert found.against_nobody.estimate == pytest.approx(value, abs=1e-12)
    assert found.against_nobody.standard_error == pytest.approx(error, rel=1e-9)
    assert found.against_everybody.estimate == pytest.approx(value - float(w @ e / w.sum()), abs=1e-12)
    assert found.everybody_against_nobody.estimate == pytest.approx(float(w @ e / w.sum()), abs=1e-12)
