"""Coverage of projection, groups, RATE, uplift and policy value; size and power of RATE where priorities are learned.

Doubly robust scores of a randomised trial, nuisances and priorities by least squares, the priorities on earlier folds.
300 sets (1.26 % Monte Carlo error), 92 to 98 %; the quick test 25 sets, three errors. The truth of what was learned is
known in closed form: features are normal and the effect is linear in them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import ndtri

from whence.estimation.heterogeneity.best_linear_projection import best_linear_projection
from whence.estimation.heterogeneity.groups import group_effects, level_effects
from whence.estimation.heterogeneity.policy import policy
from whence.estimation.heterogeneity.policy_tree import policy_tree, treated
from whence.estimation.heterogeneity.rate import rate
from whence.estimation.heterogeneity.sequential import HeldOut, by_earlier_folds
from whence.estimation.heterogeneity.uplift import uplift
from whence.stats.resample import folds as make_folds

PERFECT = 0.9032  # AUTOC of effects with standard deviation 1 in their own order


@dataclass(frozen=True)
class Trial:
    """x: (n, p) standard normal. scores, folds, clusters: (n,). slope: of the effect 1 + slope x0."""

    x: np.ndarray
    scores: np.ndarray
    folds: np.ndarray
    clusters: np.ndarray | None
    slope: float

    def learned(self) -> tuple[HeldOut, dict[int, np.ndarray]]:
        """Priorities by least squares on earlier folds, and the direction each fold is ranked by, length 1."""
        design, directions = np.column_stack([np.ones(len(self.x)), self.x]), {}

        def learn(old: np.ndarray, new: np.ndarray) -> np.ndarray:
            beta = np.linalg.lstsq(design[old], self.scores[old], rcond=None)[0]
            directions[int(self.folds[new[0]])] = beta[1:] / np.linalg.norm(beta[1:])
            return design[new] @ beta

        return by_earlier_folds(learn, self.folds), directions


def trial(rng: np.random.Generator, n: int, p: int, slope: float, size: int | None = None) -> Trial:
    """size: of clusters that share part of the noise and of the features, and are treated whole."""
    x, clusters, shared = rng.normal(size=(n, p)), None, np.zeros(n)
    w = rng.integers(2, size=n)
    if size is not None:
        clusters = np.repeat(np.arange(n // size), size)
        x = np.sqrt(0.7) * x + np.sqrt(0.3) * rng.normal(size=(n // size, p))[clusters]
        shared, w = 0.5 * rng.normal(size=n // size)[clusters], rng.integers(2, size=n // size)[clusters]
    noise = rng.normal(size=n) if size is None else rng.standard_t(5, n)
    y = x[:, 1] + w * (1 + slope * x[:, 0]) + shared + noise
    folds = make_folds(5, w, clusters, int(rng.integers(2**31)), "trial")
    design, means = np.column_stack([np.ones(n), x]), np.zeros((2, n))
    for fold in range(5):
        for arm in (0, 1):
            rows = (folds != fold) & (w == arm)
            means[arm, folds == fold] = design[folds == fold] @ np.linalg.lstsq(design[rows], y[rows], rcond=None)[0]
    scores = means[1] - means[0] + (w - 0.5) / 0.25 * (y - means[w, np.arange(n)])
    return Trial(x, scores, folds, clusters, slope)


def covered(name: str, made: Trial, seed: int) -> bool:
    """Whether one set's interval holds the truth of what was learned from it."""
    if name == "projection":
        found = best_linear_projection(made.scores, made.x, [f"x{j}" for j in range(made.x.shape[1])],
                                       clusters=made.clusters)
        return holds(found.slopes[0].interval, made.slope)
    if name == "levels":
        high = (made.x[:, 0] > 0).astype(int)
        found = level_effects(made.scores, high, ["low", "high"], clusters=made.clusters)
        return holds(found.levels[1].interval, 1 + made.slope * np.sqrt(2 / np.pi))
    if name == "policy":
        return covered_policy(made)
    held, directions = made.learned()
    own = {"folds": held.folds, "seed": seed,
           "clusters": None if made.clusters is None else made.clusters[held.rows]}
    slope = made.slope * np.mean([b[0] for b in directions.values()])  # of the effect on the learned order
    scores = made.scores[held.rows]
    if name == "groups":
        found = group_effects(scores, held.priorities, **own)
        means = 5 * -np.diff(density(ndtri(np.arange(6) / 5)))
        return all(holds(c.joint_interval, 1 + slope * m) for c, m in zip(found.groups, means, strict=True))
    if name == "top against bottom":
        found = group_effects(scores, held.priorities, **own)
        return holds(found.top_against_bottom.interval, 2 * 5 * slope * density(ndtri(0.8)))
    if name == "uplift":
        found = uplift(scores, held.priorities, cost=0.3, **own)
        k = 29  # the first 30 %
        return holds((found.gain.low[k], found.gain.high[k]), 0.3 * (1 - 0.3) + slope * density(ndtri(0.7)))
    found = rate(scores, held.priorities, **own)
    return holds(found.autoc.interval, slope * PERFECT)


def covered_policy(made: Trial) -> bool:
    """Value against everybody of the rules learned fold by fold, its truth by a large sample of people."""
    names = ["x0", "x1"]
    people = np.random.default_rng(0).normal(size=(20_000, 2))
    found = policy(made.scores, made.x[:, :2], names, cost=1.0, folds=made.folds, clusters=made.clusters)
    gain = made.slope * people[:, 0]
    truth = []
    for fold in range(1, 5):
        old = made.folds < fold
        tree = policy_tree(made.scores[old] - 1.0, made.x[old][:, :2], names, smallest=old.sum() // 50)
        truth.append(np.mean(np.where(treated(tree, people, names), gain, 0.0)))
    return holds(found.against_nobody.interval, float(np.mean(truth)))


def density(z: np.ndarray) -> np.ndarray:
    return np.exp(-np.square(z) / 2) / np.sqrt(2 * np.pi)


def holds(interval: tuple[float, float], truth: float) -> bool:
    return bool(interval[0] <= truth <= interval[1])


WHAT = ("projection", "levels", "groups", "top against bottom", "rate", "uplift", "policy")
SETTINGS = {"easy": (1000, 5, 0.5, None), "clusters": (2400, 5, 0.5, 20), "nothing to find": (1000, 5, 0.0, None)}


def share_covered(what: str, setting: str, sets: int) -> float:
    stream = [sorted(SETTINGS).index(setting), 77]
    return float(np.mean([covered(what, trial(np.random.default_rng([*stream, s]), *SETTINGS[setting]), s)
                          for s in range(sets)]))


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("what", WHAT)
def test_coverage(what: str, setting: str) -> None:
    assert 0.92 <= share_covered(what, setting, 300) <= 0.98


@pytest.mark.parametrize("what", ["groups", "rate", "policy"])
def test_coverage_quickly(what: str) -> None:
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / 25) <= share_covered(what, "easy", 25)


def t_of_autoc(slope: float, seed: int) -> float:
    """4,000 people, 20 features, effect 1 + slope x0."""
    made = trial(np.random.default_rng([5, seed]), 4000, 20, slope)
    held, _ = made.learned()
    found = rate(made.scores[held.rows], held.priorities, folds=held.folds, seed=seed)
    return found.autoc.estimate / found.autoc.standard_error


@pytest.mark.slow
def test_rate_finds_nothing_where_there_is_nothing() -> None:
    """|AUTOC / SE| > 1.96 in 3 to 8 % of 200 sets."""
    t = np.array([t_of_autoc(0.0, s) for s in range(200)])
    assert 0.03 <= np.mean(np.abs(t) > 1.96) <= 0.08


@pytest.mark.slow
def test_rate_finds_what_there_is() -> None:
    """AUTOC / SE > 3 in at least 90 % of 50 sets with the effect 1 + x0."""
    assert np.mean([t_of_autoc(1.0, s) > 3 for s in range(50)]) >= 0.9


def test_rate_finds_what_there_is_quickly() -> None:
    assert min(t_of_autoc(1.0, s) for s in range(2)) > 3
