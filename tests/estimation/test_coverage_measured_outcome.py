"""Coverage of the effect on a predicted outcome: the interval must carry the calibration's error.

300 sets each (1.26 % Monte Carlo error), 92.5 to 97.5 %; the quick test 100 sets, three errors.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest

from whence.data.table import Column, Table
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

SETS = 300
TRIAL = Spec("rct", ("t",), ("p",), truth="y")
ADJUSTED = Spec("adjustment", ("t",), ("p",), controls=("x",), truth="y")
LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear"}


def draw(rng, n, extra, hard):
    """Effect 1. hard: confounded by x, a skewed truth, a flat predictor, few calibration rows of another population."""
    m = n + extra
    trial, x = np.arange(m) < n, rng.normal(size=m)
    t = (rng.random(m) < (1 / (1 + np.exp(-x)) if hard else 0.5)).astype(np.int32)
    y = t * trial + (x + rng.gamma(2.0, 0.7, m) + 0.5 * ~trial if hard else rng.normal(size=m))
    p = 1 + 0.4 * y + 0.5 * (np.exp(0.2 * rng.normal(size=m)) if hard else 1.0) * rng.normal(size=m)
    codes = np.where(trial, t, -1).astype(np.int32)
    made = {"x": Column("x", "continuous", x), "t": Column("t", "binary", codes, (0, 1)),
            "p": Column("p", "continuous", p), "y": Column("y", "continuous", np.where(trial, np.nan, y))}
    return Table(MappingProxyType(made), m)


def mixed(rng, n, extra, hard):
    """Effect 1, calibration rows of the trial's population (treatment unknown), a Gaussian truth: Tweedie's case."""
    m = n + extra
    trial, x = np.arange(m) < n, rng.normal(size=m)
    t = (rng.random(m) < 1 / (1 + np.exp(-0.8 * x))).astype(np.int32) if hard else rng.integers(0, 2, m, np.int32)
    y = t + 0.8 * x + rng.normal(size=m)
    centre, spread2 = y.mean(), 1.64 + 0.25 + (2 * 0.8 * t @ x / m if hard else 0.0)
    p = centre + (y + 1.2 * rng.normal(size=m) - centre) * spread2 / (spread2 + 1.44)
    codes = np.where(trial, t, -1).astype(np.int32)
    made = {"x": Column("x", "continuous", x), "t": Column("t", "binary", codes, (0, 1)),
            "p": Column("p", "continuous", p), "y": Column("y", "continuous", np.where(trial, np.nan, y))}
    return Table(MappingProxyType(made), m)


SETTINGS = {
    "linear, easy": (draw, 400, 150, False, TRIAL, {}),
    "linear, hard": (draw, 800, 120, True, ADJUSTED, LINEAR),
    "linear, hard, ipw": (draw, 800, 120, True, ADJUSTED, {"comparison": "ipw"}),
    "tweedie, easy": (mixed, 400, 150, False, TRIAL, {"correction": "tweedie"}),
    "tweedie, easy, density of calibration": (mixed, 400, 150, False, TRIAL, {"correction": "tweedie",
                                                                             "density": "calibration"}),
    "tweedie, hard": (mixed, 800, 200, True, ADJUSTED, {"correction": "tweedie", **LINEAR}),
}


def coverage(name, sets):
    make, n, extra, hard, spec, params = SETTINGS[name]
    found = []
    for seed in range(sets):
        table = make(np.random.default_rng([seed, n]), n, extra, hard)
        effect = estimate(table, spec, "measured_outcome", seed, **params)
        found.append((effect.interval[0] <= 1 <= effect.interval[1], effect.estimate, effect.standard_error))
    hits, estimates, errors = np.array(found).T
    print(f"{name}: {hits.mean():.3f}, mean {estimates.mean():.3f}, "  # noqa: T201
          f"error {errors.mean():.3f} for a spread of {estimates.std():.3f}")
    return hits.mean()


@pytest.mark.parametrize("name", ["linear, easy", "tweedie, easy"])
def test_quick(name):
    assert 0.95 - 0.066 <= coverage(name, 100) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_coverage(name):
    assert 0.925 <= coverage(name, SETS) <= 0.975
