"""A confounded sample with a known effect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from whence.data.table import Column, Table
from whence.identification.spec import Spec


@dataclass(frozen=True)
class Sample:
    """table: columns t (0 or 1), y, x0, x1 and c (cluster). ate, att, atc: the population's effects."""

    table: Table
    t: np.ndarray
    y: np.ndarray
    x: np.ndarray
    clusters: np.ndarray


def draw(n: int, seed: int, randomised: bool = False, clusters: int | None = None) -> Sample:
    """Effect 1 + x0 / 2 (average 1), noise larger among the treated; linear and logistic models are right.

    With clusters: shared noise and shared parts of the controls, and treatment by cluster if randomised.
    """
    rng = np.random.default_rng([seed, n])
    x = rng.standard_normal((n, 2))
    shared, code = np.zeros(n), np.arange(n)
    if clusters:
        code = np.repeat(np.arange(clusters), n // clusters)
        shared = 0.7 * rng.standard_normal(clusters)[code]
        x = (x + 0.5 * rng.standard_normal(clusters)[code][:, None]) / np.sqrt(1.25)
    if not randomised:
        t = rng.random(n) < 1 / (1 + np.exp(-(0.6 * x[:, 0] - 0.4 * x[:, 1])))
    elif clusters:
        t = (rng.permutation(clusters) < 0.4 * clusters)[code]
    else:
        t = rng.permutation(n) < 0.4 * n
    y = 1 + t * (1 + 0.5 * x[:, 0]) + x[:, 0] + 0.5 * x[:, 1] + shared + rng.standard_normal(n) * (1 + 0.5 * t)
    columns = {
        "t": Column("t", "binary", t.astype(np.int32), (0, 1)), "y": Column("y", "continuous", y),
        "x0": Column("x0", "continuous", x[:, 0].copy()), "x1": Column("x1", "continuous", x[:, 1].copy()),
        "c": Column("c", "count", code.astype(float)),
    }
    return Sample(Table(MappingProxyType(columns), n), t.astype(int), y, x, code)


@pytest.fixture(scope="session")
def sample() -> Callable[..., Sample]:
    """``sample(n, seed, randomised=False, clusters=None)``."""
    return draw


@pytest.fixture(scope="session")
def spec() -> Callable[..., Spec]:
    """``spec(**changes)``: adjustment for x0 and x1 of t on y, with changes."""

    def make(strategy: str = "adjustment", **changes: Any) -> Spec:
        given: dict[str, Any] = {"treatments": ("t",), "outcomes": ("y",), "controls": ("x0", "x1")} | changes
        return Spec(strategy, **given)  # pyright: ignore[reportArgumentType]

    return make


LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear", "n_splits": 1}
QUICK = {"difference": {}, "regression": {}, "ipw": {}, "aipw": LINEAR}


@pytest.fixture(scope="session")
def quick() -> dict[str, dict[str, Any]]:
    """Every method with parameters that make it fast."""
    return QUICK
