"""AUTOC, Qini, TOC and uplift against the published formulas written as loops, and against integrals."""

from __future__ import annotations

import numpy as np
import pytest

from whence.estimation.heterogeneity.rate import rate
from whence.estimation.heterogeneity.uplift import uplift


def by_hand(scores: np.ndarray, priorities: np.ndarray, weights: np.ndarray) -> tuple[float, float, list[float]]:
    """AUTOC, Qini and the TOC after each row, rows of falling priority; ties have their mean score."""
    rows = sorted(range(len(scores)), key=lambda i: -priorities[i])
    shared = {p: np.average(scores[priorities == p], weights=weights[priorities == p]) for p in set(priorities)}
    total = sum(weights)
    average = sum(w * s for w, s in zip(weights, scores, strict=True)) / total
    mass = gained = autoc = qini = 0.0
    toc = []
    for i in rows:
        mass += weights[i]
        gained += weights[i] * shared[priorities[i]]
        toc.append(gained / mass - average)
        autoc += weights[i] / total * toc[-1]
        qini += weights[i] / total * toc[-1] * mass / total
    return autoc, qini, toc


@pytest.mark.parametrize("levels", [0, 7, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_published_sums(levels: int, weighted: bool) -> None:
    rng = np.random.default_rng(levels)
    scores, weights = rng.normal(size=100), rng.uniform(0.2, 3, 100) if weighted else np.ones(100)
    priorities = rng.normal(size=100) if not levels else rng.integers(levels, size=100).astype(float)
    found = rate(scores, priorities, weights=weights if weighted else None)
    autoc, qini, toc = by_hand(scores, priorities, weights)
    assert found.autoc.estimate == pytest.approx(autoc, abs=1e-12)
    assert found.qini.estimate == pytest.approx(qini, abs=1e-12)
    if not weighted:
        assert found.toc.value == pytest.approx(toc, abs=1e-12)  # 100 rows: one at each hundredth
    gain = uplift(scores, priorities, weights=weights if weighted else None)
    assert gain.area.estimate == pytest.approx(qini, abs=1e-12)
    if not weighted:
        share = np.arange(1, 101) / 100
        assert gain.gain.value == pytest.approx(share * (np.array(toc) + scores.mean()), abs=1e-12)
        assert gain.over_chance.value == pytest.approx(share * np.array(toc), abs=1e-12)


def test_perfect_ranking_of_normal_effects_reaches_the_integral() -> None:
    """Effects N(1, 1) in their own order: TOC(q) = phi(z_q) / q, integrated; and q times it for the Qini."""
    from scipy.integrate import quad
    from scipy.stats import norm

    area = quad(lambda q: norm.pdf(norm.ppf(1 - q)) / q, 0, 1)[0]
    flat = quad(lambda q: norm.pdf(norm.ppf(1 - q)), 0, 1)[0]
    assert area == pytest.approx(0.9032, abs=5e-5)
    rng = np.random.default_rng(4)
    tau = rng.normal(1, 1, 10_000)
    found = rate(tau + rng.normal(size=len(tau)), tau, draws=60)
    assert abs(found.autoc.estimate - area) < 2 * found.autoc.standard_error < 0.06
    assert abs(found.qini.estimate - flat) < 2 * found.qini.standard_error < 0.03


def test_half_samples_give_the_error_of_the_influence_function() -> None:
    """AUTOC of independent rows is a mean of scores times log(1 / share) - 1 at fixed ranks (score independent of
    them): its error is the standard deviation of that over the root of n."""
    rng = np.random.default_rng(5)
    scores, order = rng.normal(size=4000), rng.normal(size=4000)
    found = rate(scores, order, draws=1500)
    share = (np.argsort(np.argsort(-order)) + 1) / 4000
    value = (np.log(1 / share) - 1) * (scores - scores.mean())
    assert found.autoc.standard_error == pytest.approx(value.std() / np.sqrt(4000), rel=0.06)
    flat = ((1 - share) - 0.5) * (scores - scores.mean())
    assert found.qini.standard_error == pytest.approx(flat.std() / np.sqrt(4000), rel=0.06)


def test_folds_are_put_together_by_the_sum_of_their_t_values() -> None:
    rng = np.random.default_rng(6)
    scores, order, folds = rng.normal(size=600), rng.normal(size=600), np.repeat([3, 4, 9], 200)
    scores[folds == 9] *= 5
    whole = rate(scores, order, folds=folds, draws=3000)
    own = [rate(scores[folds == k], order[folds == k], draws=3000).autoc for k in (3, 4, 9)]
    t = sum(c.estimate / c.standard_error for c in own) / np.sqrt(3)
    assert whole.autoc.estimate / whole.autoc.standard_error == pytest.approx(t, abs=0.1)


def test_clusters_of_equal_rows_count_once() -> None:
    """Each row written five times, in clusters: the same measures and error as the rows alone."""
    rng = np.random.default_rng(7)
    scores, order = rng.normal(size=400), rng.normal(size=400)
    once = rate(scores, order, draws=3000)
    five = rate(np.repeat(scores, 5), np.repeat(order, 5), clusters=np.repeat(np.arange(400), 5), draws=3000)
    assert five.qini.standard_error == pytest.approx(once.qini.standard_error, rel=0.05)
    assert five.toc.value[9::10] == pytest.approx(once.toc.value[9::10], abs=1e-9)
