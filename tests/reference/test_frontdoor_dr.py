"""The front-door score over a whole distribution: its mean, what may be wrong, and its variance."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from whence.data.load import read
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.estimation.frontdoor_dr import _Nuisances, _scores
from whence.identification.spec import Spec


class World:
    """Binary U (hidden), C, A; M with three values; Y binary. A and Y depend on U; M on A and C only."""

    def __init__(self) -> None:
        rng = np.random.default_rng(4)
        self.c, self.u = 0.4, 0.5
        self.a = rng.uniform(0.2, 0.8, (2, 2))  # P(A = 1 | u, c)
        self.m = rng.dirichlet([3, 3, 3], (2, 2))  # P(M | a, c)
        self.y = rng.uniform(0.1, 0.9, (2, 3, 2))  # P(Y = 1 | u, m, c)
        rows, masses = [], []
        for u, c, a, m, y in itertools.product((0, 1), (0, 1), (0, 1), (0, 1, 2), (0, 1)):
            p = (self.u, 1 - self.u)[1 - u] * (self.c if c else 1 - self.c)
            p *= (self.a[u, c] if a else 1 - self.a[u, c]) * self.m[a, c, m]
            masses.append(p * (self.y[u, m, c] if y else 1 - self.y[u, m, c]))
            rows.append((c, a, m, y))
        self.rows, self.mass = np.array(rows), np.array(masses)

    def truth(self) -> float:
        """E[Y | do(A = 1)] - E[Y | do(A = 0)], from the hidden variable."""
        total = 0.0
        for u, c, m in itertools.product((0, 1), (0, 1), (0, 1, 2)):
            p = 0.5 * (self.c if c else 1 - self.c)
            total += p * (self.m[1, c, m] - self.m[0, c, m]) * self.y[u, m, c]
        return total

    def mean(self, values: np.ndarray, **given: int) -> float:
        """Mean of ``values`` by row among those with these values."""
        columns = {"c": 0, "a": 1, "m": 2}
        inside = np.all([self.rows[:, columns[n]] == v for n, v in given.items()], axis=0)
        return float(self.mass[inside] @ values[inside] / self.mass[inside].sum())

    def nuisances(self, wrong: str = "") -> _Nuisances:
        """By row; the letters in ``wrong`` (m, p, l, k) are replaced by arbitrary functions, k by one of its own."""
        rng = np.random.default_rng(9)
        c, a, m, y = self.rows.T
        mu_at, pi_at, lam_at = rng.uniform(0.2, 0.8, (2, 3, 2)), rng.uniform(0.3, 0.7, 2), rng.uniform(0.3, 0.7, (3, 2))
        if "m" not in wrong:
            mu_at = np.array([[[self.mean(y, a=i, m=j, c=k) for k in (0, 1)] for j in range(3)] for i in (0, 1)])
        if "p" not in wrong:
            pi_at = np.array([self.mean(a, c=k) for k in (0, 1)])
        if "l" not in wrong:
            lam_at = np.array([[self.mean(a, m=j, c=k) for k in (0, 1)] for j in range(3)])
        outcome = np.column_stack([mu_at[i, m, c] for i in (0, 1)])
        share, given = (np.column_stack([1 - v, v]) for v in (pi_at[c], lam_at[m, c]))
        k_at = rng.uniform(0.2, 0.8, (2, 2, 2))
        if "k" not in wrong:
            k_at = np.array([[[self.mean(outcome[:, i], a=b, c=k) for k in (0, 1)] for b in (0, 1)] for i in (0, 1)])
        through = np.stack([np.column_stack([k_at[i, b, c] for b in (0, 1)]) for i in (0, 1)], axis=1)
        return _Nuisances(outcome, share, given, through)

    def score(self, nuisances: _Nuisances) -> tuple[float, np.ndarray]:
        """Mean over the distribution, and influence values by row."""
        data: Any = type("Rows", (), {
            "n": len(self.mass), "w": self.mass * len(self.mass), "outcome": self.rows[:, 3].astype(float),
            "treatment": type("T", (), {"codes": self.rows[:, 1], "arms": ("0", "1")})})
        estimates, influence = _scores(data, nuisances, np.zeros(2))
        return float(estimates[0]), influence[:, 0] / data.w


@pytest.mark.parametrize("wrong", ["", "p", "l", "pl", "m", "k", "mk", "lk"])
def test_right_where_it_promises_to_be(wrong: str) -> None:
    world = World()
    assert world.score(world.nuisances(wrong))[0] == pytest.approx(world.truth(), abs=1e-12)


@pytest.mark.parametrize("wrong", ["mp", "ml", "pk", "mlk"])
def test_wrong_where_it_promises_nothing(wrong: str) -> None:
    world = World()
    assert abs(world.score(world.nuisances(wrong))[0] - world.truth()) > 1e-3


def test_influence_values_are_the_derivative_of_the_formula() -> None:
    """Mixing in a point mass at one row changes the front-door formula at the rate of that row's influence value."""
    world = World()
    values = world.score(world.nuisances())[1]

    def formula(mass: np.ndarray) -> float:
        joint = np.zeros((2, 2, 3, 2))
        np.add.at(joint, tuple(world.rows.T), mass)
        total = 0.0
        for c, m in itertools.product((0, 1), (0, 1, 2)):
            pc, pa = joint[c].sum(), joint[c].sum(axis=(1, 2)) / joint[c].sum()
            pm = joint[c].sum(axis=2) / joint[c].sum(axis=(1, 2))[:, None]
            ym = joint[c, :, m, 1] / joint[c, :, m].sum(axis=1)
            total += pc * (pm[1, m] - pm[0, m]) * (ym @ pa)
        return total

    assert formula(world.mass) == pytest.approx(world.truth())
    for row in range(0, 48, 5):
        bent = world.mass * (1 - 1e-6)
        bent[row] += 1e-6
        assert values[row] == pytest.approx((formula(bent) - formula(world.mass)) / 1e-6, abs=1e-4)


def test_close_to_the_plug_in_on_a_table() -> None:
    """Binary mediator, no controls: both estimate the same formula, one out of fold."""
    rng = np.random.default_rng(1)
    u = rng.normal(size=3000)
    x = (rng.random(3000) < 1 / (1 + np.exp(-u))).astype(int)
    m = (rng.random(3000) < 0.3 + 0.4 * x).astype(int)
    table = read({"x": x, "m": m, "y": m * (1 + 0.5 * u) + u + rng.normal(size=3000)})
    spec = Spec("frontdoor", ("x",), ("y",), mediators=("m",))
    plugin, robust = estimate(table, spec), estimate(table, spec, "frontdoor_dr", outcome_learner="linear",
                                                     treatment_learner="linear", n_splits=1)
    assert isinstance(plugin, Effect) and isinstance(robust, Effect)
    assert robust.estimate == pytest.approx(plugin.estimate, abs=0.05 * plugin.standard_error)
    assert robust.standard_error == pytest.approx(plugin.standard_error, rel=0.02)
