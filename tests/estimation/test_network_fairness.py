"""A fair classifier on a network, judged by the true mechanism and beside the best linear rule found by trying all."""

from __future__ import annotations

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.data.network import Network
from whence.estimation.network_fairness import FairClassifier, fair_classifier


def world(seed: int, n: int = 5000) -> tuple[Network, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Network, trait, neighbours' share, feature x = s + 2 share + noise, outcome with logit x - 1.5."""
    rng = np.random.default_rng(seed)
    s = rng.random(n) < 0.5
    groups = (np.flatnonzero(~s), np.flatnonzero(s))
    one = np.append(np.arange(n), rng.integers(n, size=n))
    other = np.where(rng.random(2 * n) < 0.7, s[one], ~s[one]).astype(int)
    two = np.choose(other, [g[rng.integers(len(g), size=2 * n)] for g in groups])
    net = Network.of(n, np.append(one, two), np.append(two, one))
    share = net.sums(s.astype(float)) / np.maximum(net.degree, 1)
    x = s + 2 * share + rng.normal(size=n)
    return net, s.astype(float), share, x, (rng.random(n) < 1 / (1 + np.exp(1.5 - x))).astype(float)


def best(s: np.ndarray, share: np.ndarray, x: np.ndarray, y: np.ndarray, gap: float) -> float:
    """The highest accuracy of rules x + a s + b share > c whose true gap is at most ``gap``."""
    own, highest = x - s - 2 * share, 0.0
    for a in np.linspace(-5, 2, 29):
        for b in np.linspace(-5, 2, 29):
            score = x + a * s + b * share
            for c in np.quantile(score, np.linspace(0.02, 0.98, 33)):
                if abs(np.mean(own + 3 + a + b > c) - np.mean(own > c)) <= gap:
                    highest = max(highest, float(np.mean((score > c) == y)))
    return highest


def test_fair_by_the_true_mechanism_at_little_cost() -> None:
    """The gap is that of the true mechanism; the features' models, fitted on 5,000 rows, leave it an error of .02."""
    gaps = []
    for seed in range(4):
        net, s, share, x, y = world(seed)
        found = fair_classifier(x[:, None], s, y, net)
        assert isinstance(found, FairClassifier)
        own = x - s - 2 * share
        ends = [found.chances((own + 3 * to)[:, None], np.full(net.n, to), net) > 0.5 for to in (1.0, 0.0)]
        gaps.append(abs(ends[0].mean() - ends[1].mean()))
        assert found.gap <= 0.05 + 2 * found.gap_error and found.free_gap > 0.5
        assert 0.005 < found.gap_error < 0.1
        accuracy = np.mean((found.chances(x[:, None], s, net) > 0.5) == y)
        assert accuracy >= best(s, share, x, y, 0.05) - 0.05
        assert found.accuracy == pytest.approx(accuracy, abs=0.03)
    assert np.mean(gaps) <= 0.05 and max(gaps) < 0.08, gaps


def test_without_the_trait_it_turns_away_from_what_the_trait_moves() -> None:
    net, s, _, x, _ = world(2)
    rng = np.random.default_rng(9)
    skill = rng.normal(size=net.n)
    y = (rng.random(net.n) < 1 / (1 + np.exp(1.5 - x - 2 * skill))).astype(float)
    found = fair_classifier(np.column_stack([x, skill]), s, y, net, sees_trait=False)
    assert isinstance(found, FairClassifier) and found.gap <= 0.05 + 2 * found.gap_error
    assert abs(found.coefficients[1]) < 0.1 * abs(found.coefficients[2])
    assert found.accuracy > 0.7
    again = fair_classifier(np.column_stack([x, skill]), s, y, net, sees_trait=False)
    assert isinstance(again, FairClassifier) and (again.coefficients == found.coefficients).all()


def test_what_cannot_be_done_is_said() -> None:
    net, s, _, x, y = world(3, 400)
    alike = fair_classifier(x[:, None], np.ones(net.n), y, net)
    assert isinstance(alike, Refused) and alike.code == "trait_constant"
    same = fair_classifier(x[:, None], s, np.zeros(net.n), net)
    assert isinstance(same, Refused) and same.code == "outcome_constant"
    for wrong in ({"features": x}, {"sensitive": s + 1}, {"outcome": y[:-1]}, {"gap": 0.0},
                  {"features": np.full((net.n, 1), np.nan)}):
        given = {"features": x[:, None], "sensitive": s, "outcome": y, "gap": 0.05} | wrong
        with pytest.raises(WhenceError) as caught:
            fair_classifier(network=net, **given)
        assert caught.value.code == "bad_input"
