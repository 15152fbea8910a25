"""Confounded treatments with a known effect: generators named after the papers they come from."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from whence.core.errors import WhenceError
from whence.core.rng import generator
from whence.data.table import Column, Table

# Propensity index of each non-baseline level, effect of the confounders on the outcome, and noise.
_INDEX = np.array([[0.6, -0.4, 0.3], [-0.3, 0.6, 0.4]])
_OUTCOME = np.array([1.0, -0.8, 0.5])
_CONFOUNDERS = ("age", "income", "health")


@dataclass(frozen=True, eq=False)
class TreatmentData:
    """A sample with its truth.

    ate: average effect of the second level of the treatment against the first, or of one unit more of a
    continuous treatment, over the population. att: the same over the treated (None for a continuous
    treatment). level_effects: average effect of every level against the first.
    """

    table: Table
    treatment: str
    outcome: str
    confounders: tuple[str, ...]
    ate: float
    att: float | None
    level_effects: Mapping[Any, float]


def kang_schafer(
    n: int, seed: int = 0, *, effect: float = 10.0, show: Literal["z", "x"] = "z"
) -> TreatmentData:
    """The design of Kang and Schafer (2007, Statistical Science 22:523), with a constant effect added.

    Outcome 210 + 27.4 z1 + 13.7 (z2 + z3 + z4) + noise, propensity expit(-z1 + z2/2 - z3/4 - z4/10).
    show: ``"z"`` gives the true confounders, ``"x"`` the published nonlinear transforms of them, with
    which linear and logistic models are wrong.
    """
    rng = generator(seed, "kang_schafer", n)
    z = rng.standard_normal((n, 4))
    treated = rng.random(n) < _expit(z @ np.array([-1.0, 0.5, -0.25, -0.1]))
    outcome = 210 + z @ np.array([27.4, 13.7, 13.7, 13.7]) + effect * treated + rng.standard_normal(n)
    if show == "x":
        z = np.column_stack([
            np.exp(z[:, 0] / 2),
            z[:, 1] / (1 + np.exp(z[:, 0])) + 10,
            (z[:, 0] * z[:, 2] / 25 + 0.6) ** 3,
            (z[:, 1] + z[:, 3] + 20) ** 2,
        ])
    names = tuple(f"{show}{i}" for i in range(1, 5))
    table = _table(names, z, _coded("treated", treated.astype(np.int32), (0, 1)), outcome)
    return TreatmentData(table, "treated", "outcome", names, effect, effect, MappingProxyType({1: effect}))


def partially_linear(n: int, seed: int = 0, *, effect: float = 0.5, width: int = 10) -> TreatmentData:
    """Robinson's (1988, Econometrica 56:931) partially linear model, with the functions of
    Chernozhukov et al. (2018, Econometrics Journal 21:C1): d = m(x) + v, y = effect d + g(x) + u.

    m(x) = x1 + expit(x3)/4, g(x) = expit(x1) + x3/4; ``width`` normal confounders, correlation 0.7^|i-j|.
    """
    if width < 3:
        raise WhenceError("The design needs at least 3 confounders.", code="bad_parameter", value=width)
    rng = generator(seed, "partially_linear", n, width)
    distance = np.abs(np.subtract.outer(np.arange(width), np.arange(width)))
    x = rng.standard_normal((n, width)) @ np.linalg.cholesky(0.7**distance).T
    dose = x[:, 0] + 0.25 * _expit(x[:, 2]) + rng.standard_normal(n)
    outcome = effect * dose + _expit(x[:, 0]) + 0.25 * x[:, 2] + rng.standard_normal(n)
    names = tuple(f"x{i:02d}" for i in range(1, width + 1))
    table = _table(names, x, Column("dose", "continuous", dose), outcome)
    return TreatmentData(table, "dose", "outcome", names, effect, None, MappingProxyType({}))


def confounded(
    n: int,
    seed: int = 0,
    *,
    treatment: Literal["binary", "categorical", "continuous"] = "binary",
    nonlinear: bool = False,
    effect: float = 1.0,
    heterogeneity: float = 0.0,
) -> TreatmentData:
    """Three normal confounders of a treatment and a continuous outcome.

    The treatment follows a logistic (binary), a multinomial logistic (three levels) or a normal model,
    linear in the confounders. The effect for a person is ``effect * (1 + heterogeneity * age)`` (twice
    that for the third level), so ``ate == effect`` always, while ``att`` differs when
    ``heterogeneity != 0``; it is found by Gauss-Hermite quadrature. nonlinear: the outcome also depends
    on squares and a product of the confounders.
    """
    rng = generator(seed, "confounded", treatment, n)
    x = rng.standard_normal((n, 3))
    if treatment == "continuous":
        dose = x @ _INDEX[0] + rng.standard_normal(n)
        column, level_effects, att = Column("treatment", "continuous", dose), {}, None
    else:
        levels: tuple[Any, ...] = (0, 1) if treatment == "binary" else ("none", "half", "full")
        share = _shares(x, len(levels))
        codes = (rng.random(n)[:, None] > np.cumsum(share, axis=1)[:, :-1]).sum(axis=1).astype(np.int32)
        column, dose = _coded("treatment", codes, levels), codes.astype(float)
        level_effects = {level: effect * k for k, level in enumerate(levels) if k}
        att = effect * (1 + heterogeneity * _mean_age_of_treated(len(levels)))
    outcome = x @ _OUTCOME + effect * (1 + heterogeneity * x[:, 0]) * dose + rng.standard_normal(n)
    if nonlinear:
        outcome = outcome + 0.5 * (x[:, 0] ** 2 - 1) + 0.5 * x[:, 0] * x[:, 1]
    table = _table(_CONFOUNDERS, x, column, outcome)
    effects = MappingProxyType(level_effects)
    return TreatmentData(table, "treatment", "outcome", _CONFOUNDERS, effect, att, effects)


def _shares(x: np.ndarray, levels: int) -> np.ndarray:
    """(n, levels) probabilities of the levels: softmax of the propensity indices, the first at zero."""
    index = np.column_stack([np.zeros(len(x)), x @ _INDEX[: levels - 1].T])
    odds = np.exp(index)
    return odds / odds.sum(axis=1, keepdims=True)


def _mean_age_of_treated(levels: int) -> float:
    """E[age | second level], by Gauss-Hermite quadrature over the three confounders."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    x = np.array(list(itertools.product(nodes, repeat=3)))
    w = np.prod(np.array(list(itertools.product(weights, repeat=3))), axis=1)
    share = _shares(x, levels)[:, 1] * w
    return float((share * x[:, 0]).sum() / share.sum())


def _expit(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def _coded(name: str, codes: np.ndarray, levels: tuple[Any, ...]) -> Column:
    return Column(name, "binary" if len(levels) == 2 else "categorical", codes, levels)


def _table(names: Sequence[str], x: np.ndarray, treatment: Column, outcome: np.ndarray) -> Table:
    columns = {name: Column(name, "continuous", x[:, i].copy()) for i, name in enumerate(names)}
    columns[treatment.name] = treatment
    columns["outcome"] = Column("outcome", "continuous", outcome)
    return Table(MappingProxyType(columns), len(outcome), source="simulation")
