"""Treatments in turn against systems enumerated in full, where later treatments answer to what earlier ones did."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from whence.data.load import read
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec


class System:
    """Binary x_t, a_t in turn and y at the end: x_t follows from x_{t-1} and a_{t-1}, a_t from x_t and a_{t-1}."""

    def __init__(self, periods: int) -> None:
        self.periods = periods

    @staticmethod
    def x_chance(x: object, a: object) -> object:
        return 0.35 + 0.3 * np.asarray(x) - 0.25 * np.asarray(a)

    @staticmethod
    def a_chance(x: object, a: object) -> object:
        return 0.25 + 0.35 * np.asarray(x) + 0.15 * np.asarray(a)

    def y_chance(self, xs: np.ndarray, treated: np.ndarray) -> np.ndarray:
        return 0.15 + 0.35 * xs[..., -1] + 0.15 * xs.mean(axis=-1) + 0.15 * treated.mean(axis=-1)

    def draw(self, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        xs, treated = [], []
        x, a = np.zeros(n), np.zeros(n)
        for _ in range(self.periods):
            x = (rng.random(n) < self.x_chance(x, a)).astype(int)
            a = (rng.random(n) < self.a_chance(x, a)).astype(int)
            xs.append(x)
            treated.append(a)
        y = rng.random(n) < self.y_chance(np.column_stack(xs), np.column_stack(treated))
        columns = {f"x{t}": x for t, x in enumerate(xs)} | {f"a{t}": a for t, a in enumerate(treated)}
        return columns | {"y": y.astype(int)}

    def mean(self, arm: int) -> float:
        """E[Y] when every a_t is set to ``arm``, over every path of x."""
        total = 0.0
        for path in itertools.product((0, 1), repeat=self.periods):
            weight, before, given = 1.0, 0, 0
            for x in path:
                chance = float(self.x_chance(before, given))
                weight *= chance if x else 1 - chance
                before, given = x, arm
            total += weight * float(self.y_chance(np.array(path), np.full(self.periods, arm)))
        return total

    def spec(self) -> Spec:
        names = range(self.periods)
        return Spec("longitudinal", tuple(f"a{t}" for t in names), ("y",), histories=tuple((f"x{t}",) for t in names))


@pytest.mark.parametrize("periods", [2, 3])
def test_an_enumerated_system_where_regression_is_wrong(periods: int) -> None:
    system = System(periods)
    truth = system.mean(1) - system.mean(0)
    columns = system.draw(8_000, np.random.default_rng(periods))
    effect = estimate(read(columns), system.spec(), outcome_learner="linear", treatment_learner="linear", n_splits=1)
    assert isinstance(effect, Effect) and effect.method == "longitudinal"
    assert abs(effect.estimate - truth) < 3 * effect.standard_error < 0.12
    # Everything held fixed at once takes away what the treatments do through x, or leaves the confounding in.
    a, x = (np.column_stack([columns[f"{k}{t}"] for t in range(periods)]) for k in "ax")
    for held in (x, x[:, :1]):
        design = np.column_stack([np.ones(8_000), a, held])
        slopes = np.linalg.lstsq(design, columns["y"], rcond=None)[0][1 : periods + 1]
        assert abs(slopes.sum() - truth) > 3 * effect.standard_error


def test_sequential_regression_by_cells() -> None:
    """Two periods, everything saturated: the g-formula on shares of the sample, to within the folds."""
    columns = System(2).draw(5_000, np.random.default_rng(9))
    x0, x1, a0, a1, y = (columns[k] for k in ("x0", "x1", "a0", "a1", "y"))
    means = []
    for arm in (0, 1):
        total = 0.0
        for first, second in itertools.product((0, 1), repeat=2):
            start = x0 == first
            then = start & (a0 == arm)
            cell = then & (x1 == second) & (a1 == arm)
            total += start.mean() * (x1[then] == second).mean() * y[cell].mean()
        means.append(total)
    columns["both"] = 2 * x0 + x1  # all combinations as levels of one column
    spec = System(2).spec().replace(histories=(("x0",), ("both",)))
    effect = estimate(read(columns, kinds={"both": "categorical"}), spec, outcome_learner="linear",
                      treatment_learner="linear", n_splits=1)
    assert isinstance(effect, Effect)
    assert abs(effect.estimate - (means[1] - means[0])) < 0.004
