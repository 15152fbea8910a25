"""The score of a kernel density and its influence values, against loops and numerical derivatives."""

from __future__ import annotations

import numpy as np
import pytest

from whence.stats.density_score import density_score


def by_loops(places, sample, mass, widen):
    """Score of the kernel density about the observations drawn towards their mean; ``mass`` (n,) adds up to 1."""
    mean = mass @ sample
    size = np.sqrt(mass @ (sample - mean) ** 2)
    h, centres = widen * size, mean + (sample - mean) / np.sqrt(1 + widen**2)
    out = []
    for y in places:
        kernel = mass * np.exp(-(((y - centres) / h) ** 2) / 2)
        out.append(-(kernel @ (y - centres)) / h**2 / kernel.sum())
    return np.array(out)


def test_against_loops_at_the_observations():
    sample = np.random.default_rng(1).gamma(3.0, 2.0, 300) + 100
    found = density_score(sample)
    wanted = by_loops(sample, sample, np.full(300, 1 / 300), 300**-0.2)
    assert np.abs(found.at(sample) - wanted).max() < 0.005 * np.abs(wanted).max()


def test_of_gaussian_data_it_is_that_of_the_gaussian():
    sample = np.random.default_rng(2).normal(5, 3, 20_000)
    found, inner = density_score(sample), np.linspace(0, 10, 50)
    assert np.polyfit(inner, found.at(inner), 1)[0] == pytest.approx(-1 / sample.var(), rel=0.03)


def test_influence_is_the_derivative_by_the_mass_of_each_observation():
    rng = np.random.default_rng(3)
    sample, n = np.concatenate([rng.normal(0, 1, 120), rng.normal(4, 0.5, 40)]), 160
    places = rng.choice(sample, 60)
    load = rng.normal(size=60)
    psi = density_score(sample).influence(places, load)
    even, widen = np.full(n, 1 / n), n**-0.2
    for i in (0, 37, 119, 121, 159):
        ends = []
        for step in (1e-5, -1e-5):
            mass = (1 - step) * even
            mass[i] += step
            ends.append(load @ by_loops(places, sample, mass, widen))
        assert psi[i] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=0.02 * psi.std())


def test_far_observations_and_many_rows_stay_finite():
    rng = np.random.default_rng(4)
    sample = np.append(rng.standard_t(2, 5000), [1e6, -1e6])
    found = density_score(sample)
    assert np.isfinite(found.at(np.array([0.0, 5e5, 1e7]))).all()
    assert np.isfinite(found.influence(sample, np.ones(len(sample)) / len(sample))).all()
