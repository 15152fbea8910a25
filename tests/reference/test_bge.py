"""The BGe score against its definition: the ratio of two multivariate t densities, by determinants and by sampling."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import whence
from whence.data.table import Table
from whence.stats.score.choose import score


def table(n: int = 40, d: int = 4, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) * 10.0 ** np.arange(d) + 5
    return whence.read({"abcdefgh"[j]: x[:, j] for j in range(d)})


def multigamma(a: float, p: int) -> float:
    return p * (p - 1) / 4 * math.log(math.pi) + sum(math.lgamma(a - j / 2) for j in range(p))


def log_marginal(x: np.ndarray, columns: list[int], d: int, am: float, aw: float) -> float:
    """log p(columns), the whole formula with prior and posterior matrices of those columns."""
    n, k = len(x), len(columns)
    if k == 0:
        return 0.0
    t = am * (aw - d - 1) / (am + 1)
    part = x[:, columns]
    mean = part.mean(axis=0)
    prior = t * np.eye(k)
    posterior = prior + (part - mean).T @ (part - mean) + n * am / (n + am) * np.outer(mean, mean)
    before, after = (aw - d + k) / 2, (n + aw - d + k) / 2
    return (-n * k / 2 * math.log(math.pi) + k / 2 * math.log(am / (n + am)) + multigamma(after, k)
            - multigamma(before, k) + before * np.linalg.slogdet(prior)[1] - after * np.linalg.slogdet(posterior)[1])


def log_marginal_row_by_row(x: np.ndarray, am: float, aw: float, t: float) -> float:
    """log p(all columns) as a product of predictive t densities (Bernardo and Smith 1994, section 5.2)."""
    from scipy.stats import multivariate_t

    d = x.shape[1]
    mean, count, degrees, scale, total = np.zeros(d), am, aw, t * np.eye(d), 0.0
    for row in x:
        df = degrees - d + 1
        total += float(multivariate_t.logpdf(row, mean, scale * (count + 1) / (count * df), df))
        away = row - mean
        scale = scale + count / (count + 1) * np.outer(away, away)
        mean, count, degrees = mean + away / (count + 1), count + 1, degrees + 1
    return total


@pytest.mark.parametrize("am, degrees", [(1.0, 2.0), (0.3, 1.5), (5.0, 9.0)])
def test_local_scores_are_ratios_of_marginal_likelihoods(am: float, degrees: float) -> None:
    given = table()
    x = given.matrix(given.names)
    x = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    d = x.shape[1]
    found = score(given, given.names, "bge", {"sample_size": am, "degrees": degrees})
    for y in range(d):
        for k in range(d):
            for parents in itertools.combinations([z for z in range(d) if z != y], k):
                aw = degrees + d
                expected = log_marginal(x, [*parents, y], d, am, aw) - log_marginal(x, list(parents), d, am, aw)
                value = found.local(given.names[y], [given.names[z] for z in parents])
                assert value == pytest.approx(expected, rel=1e-11, abs=1e-9)


def test_the_full_graph_has_the_likelihood_of_the_rows_one_by_one() -> None:
    given = table(12, 3, 1)
    x = given.matrix(given.names)
    x = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    found = score(given, given.names, "bge").total({"b": ["a"], "c": ["a", "b"]})
    assert found == pytest.approx(log_marginal_row_by_row(x, 1.0, 5.0, 0.5), rel=1e-10)


def test_members_of_a_class_score_alike_and_the_structure_prior_counts_arrows() -> None:
    given = table(60, 4, 2)
    plain, priced = score(given, given.names, "bge"), score(given, given.names, "bge", {"gamma": 0.5})
    chain = [{"b": ["a"], "c": ["b"]}, {"a": ["b"], "c": ["b"]}, {"a": ["b"], "b": ["c"]}]
    assert np.ptp([plain.total(g) for g in chain]) < 1e-9
    assert priced.total(chain[0]) == pytest.approx(plain.total(chain[0]) - 2 * math.log(4))
