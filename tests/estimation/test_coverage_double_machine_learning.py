"""Interval coverage of tmle, partially_linear, partially_linear_iv, late and aipw in easy and in hard, valid settings.

500 sets each, 93 to 97 % (two Monte Carlo errors, 0.97 %, either side of 95 %); hard settings, many at once, half a
point more on either side. The quick test takes 200 sets, three Monte Carlo errors (1.54 %).
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest

from whence.core.result import Refused
from whence.data.table import Column, Table
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

SETS = 500
LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear", "n_splits": 1}
BENT = {"outcome_learner": "quadratic", "treatment_learner": "quadratic", "n_splits": 1}


def table(columns):
    made = {}
    for name, values in columns.items():
        if values.dtype == bool:
            made[name] = Column(name, "binary", values.astype(np.int32), (0, 1))
        else:
            made[name] = Column(name, "continuous", values.astype(float))
    return Table(MappingProxyType(made), len(values))


def logistic(eta):
    return 1 / (1 + np.exp(-eta))


def arms(rng, n, hard=False):
    """Effect 1 + x0 / 2; hard: strong selection, a curved surface and errors that grow with x0 and treatment."""
    x = rng.normal(size=(n, 3))
    eta = 0.9 * x[:, 0] - 0.5 * x[:, 1] if hard else 0.5 * x[:, 0]
    t = rng.random(n) < logistic(eta)
    bend = x[:, 0] ** 2 - x[:, 1] if hard else x[:, 1]
    spread = np.exp(0.4 * x[:, 0] + 0.3 * t) if hard else 1.0
    y = t * (1 + 0.5 * x[:, 0]) + x[:, 0] + bend + spread * rng.normal(size=n)
    return {"t": t, "y": y, "a": x[:, 0], "b": x[:, 1], "c": x[:, 2]}


def rare(rng, n, hard=True):
    """A binary outcome with a mean of about 12 %; risk difference by simulation, see ``RARE``."""
    x = rng.normal(size=(n, 3))
    t = rng.random(n) < logistic(0.8 * x[:, 0])
    y = rng.random(n) < logistic(-2.5 + 0.7 * x[:, 0] + 0.6 * t)
    return {"t": t, "y": y, "a": x[:, 0], "b": x[:, 1], "c": x[:, 2]}


def rare_truth():
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    return float(weights @ (logistic(-1.9 + 0.7 * nodes) - logistic(-2.5 + 0.7 * nodes)) / weights.sum())


def dose(rng, n, hard=False, loud=0.3):
    """A dose with effect 1; hard: curved in the controls, errors that grow with what is left of the dose (by the
    exponential of ``loud`` times it), groups of ten rows alike."""
    x = rng.normal(size=(n, 3))
    shared = np.repeat(rng.normal(size=(n // 10, 2)), 10, axis=0) if hard else np.zeros((n, 2))
    bend = x[:, 0] ** 2 if hard else x[:, 0]
    own = shared[:, 0] + rng.normal(size=n)
    t = bend + own
    y = t + 2 * bend + x[:, 1] + shared[:, 1] + rng.normal(size=n) * (np.exp(loud * own) if hard else 1.0)
    return {"t": t, "y": y, "a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "g": np.repeat(np.arange(n // 10), 10)}


def lot(rng, n, hard=False):
    """A binary instrument that half (hard: a fifth) follow; their effect is 1, that of others 3."""
    x, kind = rng.normal(size=(n, 3)), rng.random(n)
    z = rng.random(n) < logistic(0.8 * x[:, 0] if hard else 0.4 * x[:, 0])
    follow = 0.2 if hard else 0.5
    t = np.where(kind < follow, z, kind < follow + 0.25)
    y = t * np.where(kind < follow, 1.0, 3.0) + x[:, 0] + (kind < follow + 0.25) + rng.normal(size=n)
    return {"t": t, "y": y, "z": z, "a": x[:, 0], "b": x[:, 1], "c": x[:, 2]}


def push(rng, n, hard=False):
    """A continuous instrument of a dose with effect 1 and a hidden cause; hard: weak, curved in the controls."""
    x, hidden = rng.normal(size=(n, 3)), rng.normal(size=n)
    bend = x[:, 0] ** 2 if hard else x[:, 0]
    z = bend + rng.normal(size=n)
    t = (0.2 if hard else 1.0) * z + bend + hidden + rng.normal(size=n)
    y = t + 2 * bend + hidden + rng.normal(size=n)
    return {"t": t, "y": y, "z": z, "a": x[:, 0], "b": x[:, 1], "c": x[:, 2]}


SPEC = Spec("adjustment", ("t",), ("y",), controls=("a", "b", "c"))
BY_LOT = Spec("iv", ("t",), ("y",), "LATE", controls=("a", "b", "c"), instruments=("z",))


def coverage(make, n, spec, method, truth, sets, **params):
    """Shares of sets covered and refused. A set refused for a weak instrument is one whose interval has no end, and
    counts as covered."""
    hits, refused = 0, 0
    for seed in range(sets):
        columns = make(np.random.default_rng([seed, n]), n)
        effect = estimate(table(columns), spec, method, seed, **params)
        if isinstance(effect, Refused):
            assert effect.code == "weak_instrument"
            refused += 1
            continue
        target = truth(columns) if callable(truth) else truth
        hits += effect.interval[0] <= target <= effect.interval[1]
    return (hits + refused) / sets, refused / sets


EASY = {
    "tmle ATE": (arms, 300, SPEC, "tmle", 1.0, LINEAR), "aipw ATE": (arms, 300, SPEC, "aipw", 1.0, LINEAR),
    "partially_linear": (dose, 200, SPEC, "partially_linear", 1.0, LINEAR),
    "late": (lot, 600, BY_LOT, "late", 1.0, LINEAR), "partially_linear_iv": (push, 300, BY_LOT, "partially_linear_iv",
                                                                             1.0, LINEAR),
}


@pytest.mark.parametrize("name", ["tmle ATE", "partially_linear", "late"])
def test_quick(name):
    *given, params = EASY[name]
    share, _ = coverage(*given, 150, **params)
    assert 0.95 - 0.053 <= share <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", EASY)
def test_easy(name):
    *given, params = EASY[name]
    share, _ = coverage(*given, SETS, **params)
    print(f"{name}: {share:.3f}")  # noqa: T201
    assert 0.93 <= share <= 0.97


def hard(make, **more):
    return lambda rng, n: make(rng, n, True, **more)


# The mean of x0 over the treated of ``arms(hard=True)``, by quadrature over the direction that decides treatment.
def tilt(sign):
    size = np.hypot(0.9, 0.5)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    chance = logistic(sign * size * nodes)
    return float(weights @ (chance * nodes) / (weights @ chance)) * 0.9 / size


HARD = {
    "tmle ATE": (hard(arms), 600, SPEC, "tmle", 1.0, BENT), "aipw ATE": (hard(arms), 600, SPEC, "aipw", 1.0, BENT),
    "tmle ATT": (hard(arms), 600, SPEC.replace(quantity="ATT"), "tmle", 1 + 0.5 * tilt(1), BENT),
    "aipw ATT": (hard(arms), 600, SPEC.replace(quantity="ATT"), "aipw", 1 + 0.5 * tilt(1), BENT),
    "aipw ATC": (hard(arms), 600, SPEC.replace(quantity="ATC"), "aipw", 1 + 0.5 * tilt(-1), BENT),
    "tmle rare outcome": (rare, 600, SPEC, "tmle", rare_truth(), LINEAR),
    "aipw rare outcome": (rare, 600, SPEC, "aipw", rare_truth(), LINEAR),
    **{f"partially_linear, {n // 10} clusters, noise {loud}": (
        hard(dose, loud=loud), n, SPEC.replace(cluster="g"), "partially_linear", 1.0, BENT)
       for n in (300, 500, 800) for loud in (0.3, 0.6)},
    "late": (hard(lot), 1500, BY_LOT, "late", 1.0, LINEAR),
    "partially_linear_iv": (hard(push), 400, BY_LOT, "partially_linear_iv", 1.0, BENT),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HARD)
def test_hard(name):
    *given, params = HARD[name]
    share, refused = coverage(*given, SETS, **params)
    print(f"{name}: {share:.3f}, refused {refused:.3f}")  # noqa: T201
    assert 0.925 <= share <= 0.975


BY_DEFAULT = {
    "aipw, straight": (arms, 400, SPEC, "aipw"), "aipw, curved": (hard(arms), 400, SPEC, "aipw"),
    "partially_linear, straight": (dose, 300, SPEC, "partially_linear"),
    "partially_linear, curved": (hard(dose), 500, SPEC.replace(cluster="g"), "partially_linear"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BY_DEFAULT)
def test_default_learners(name):
    """Linear, quadratic and boosting, stacked, as a user has them, but with one split."""
    share, _ = coverage(*BY_DEFAULT[name], 1.0, SETS, n_splits=1)
    print(f"{name}, by default: {share:.3f}")  # noqa: T201
    assert 0.925 <= share <= 0.975
