"""Estimators for when the usual assumptions fail: what each reaches on data with a known answer, beside what it must.

    python bench/frontier.py [NAME ...]

Every study simulates sets with a known truth and prints what was measured next to what is required. The last line says
whether all of it was reached, and so does the exit status.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from whence.core.result import Refused
from whence.data.table import Column, Table
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec


@dataclass(frozen=True)
class Row:
    """One number: what it is, its value, the range it must lie in (inclusive)."""

    what: str
    measured: float
    low: float = -np.inf
    high: float = np.inf

    @property
    def reached(self) -> bool:
        return self.low <= self.measured <= self.high

    @property
    def required(self) -> str:
        if np.isinf(self.low):
            return f"at most {self.high:g}"
        return f"at least {self.low:g}" if np.isinf(self.high) else f"{self.low:g} to {self.high:g}"


STUDIES: dict[str, Callable[[], list[Row]]] = {}


def study(function: Callable[[], list[Row]]) -> Callable[[], list[Row]]:
    """Registers a study by the name of its function."""
    STUDIES[function.__name__] = function
    return function


def table_of(columns: dict[str, np.ndarray], binary: tuple[str, ...] = ()) -> Table:
    """A table of numbers; ``binary``: columns of 0 and 1, missing where they are not finite or negative."""
    made = {}
    for name, values in columns.items():
        if name in binary:
            codes = np.where(np.isfinite(values), values, -1).astype(np.int32)
            made[name] = Column(name, "binary", codes, (0, 1))
        else:
            made[name] = Column(name, "continuous", np.asarray(values, dtype=float))
    return Table(MappingProxyType(made), len(next(iter(columns.values()))))


def logistic(eta: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-eta))


def random_net(rng: np.random.Generator, width: int = 50, out: int = 100) -> Callable[[np.ndarray], np.ndarray]:
    """A fixed network with random weights and ReLU, from one number to ``out``."""
    sizes = [(1, width), (width, width), (width, width), (width, out)]
    weights = [rng.normal(size=size) / np.sqrt(size[0]) for size in sizes]
    shifts = [rng.normal(size=size[1]) for size in sizes[:-1]]

    def image(y: np.ndarray) -> np.ndarray:
        hidden = y[:, None]
        for weight, shift in zip(weights[:-1], shifts, strict=True):
            hidden = np.maximum(hidden @ weight + shift, 0)
        return hidden @ weights[-1]

    return image


@study
def measured_outcome() -> list[Row]:
    """50 effects from -2 to 2 on an outcome read off noisy images by ridge regression: 4,000 rows in the trial, 1,000
    with the truth outside it. Then the treatment moves the prediction itself by .3 of its standard deviation."""
    rng = np.random.default_rng(0)
    net = random_net(rng)
    noise = 6 * net(np.linspace(-3, 3, 200)).std(axis=0).mean()

    def people(draw: np.random.Generator, n: int, tau: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        c = draw.normal(size=n)
        t = (draw.random(n) < logistic(c)).astype(float)
        return c, t, tau * t + c + draw.normal(size=n)

    def seen(draw: np.random.Generator, y: np.ndarray) -> np.ndarray:
        image = net(y)
        return np.column_stack([np.ones(len(y)), image + noise * draw.normal(size=image.shape)])

    _, _, y = people(rng, 10_000, 1.0)
    x = seen(rng, y)
    beta = np.linalg.solve(x.T @ x + 10 * np.eye(x.shape[1]), x.T @ y)
    spec = Spec("adjustment", ("t",), ("p",), controls=("c",), truth="y")
    ways: dict[str, dict[str, Any]] = {
        "linear": {}, "tweedie": {"correction": "tweedie"},
        "tweedie, density of calibration rows": {"correction": "tweedie", "density": "calibration"}}
    taus, n, extra = np.linspace(-2, 2, 50), 4000, 1000
    found: dict[str, list[float]] = {name: [] for name in ("uncorrected", *ways, "planted")}
    refused = 0
    for i, tau in enumerate(taus):
        draw = np.random.default_rng([1, i])
        c, t, y = people(draw, n + extra, tau)
        p, trial = seen(draw, y) @ beta, np.arange(n + extra) < n
        given = {"c": c, "t": np.where(trial, t, np.nan), "p": p, "y": np.where(trial, np.nan, y)}
        table = table_of(given, ("t",))
        for name, params in ways.items():
            found[name].append(estimate(table, spec, "measured_outcome", comparison="ipw", **params).estimate)
        found["uncorrected"].append(estimate(table, spec.replace(truth=None), "ipw").estimate)
        moved = given | {"p": p + 0.3 * p.std() * t * trial}
        found["planted"].append(estimate(table_of(moved, ("t",)), spec, "measured_outcome", comparison="ipw").estimate)
        labelled = moved | {"y": np.where(np.arange(n + extra) < n - 500, np.nan, y)}
        answer = estimate(table_of(labelled, ("t",)), spec, "measured_outcome", comparison="ipw")
        refused += isinstance(answer, Refused) and answer.code == "treatment_moves_prediction"
    rows = [Row("uncorrected: slope", float(np.polyfit(taus, found["uncorrected"], 1)[0]), high=0.7)]
    for name in ways:
        rows += [Row(f"{name}: slope", float(np.polyfit(taus, found[name], 1)[0]), 0.95, 1.05),
                 Row(f"{name}: mean absolute error", float(np.abs(np.array(found[name]) - taus).mean()), high=0.08)]
    planted = np.polyfit(taus, found["planted"], 1)
    return [*rows, Row("planted violation, no labels in the trial: intercept", float(planted[1]), 0.4, 1.0),
            Row("planted violation, 500 labels in the trial: share refused", refused / len(taus), 0.95)]


@study
def invalid_instrument() -> list[Row]:
    """100 sets of 8,000 rows: an instrument with an effect of 1 of its own, a treatment with an effect of 1 on average
    and a hidden cause. Then nobody without the instrument is treated."""
    spec = Spec("iv", ("a",), ("y",), controls=("x1", "x2"), instruments=("z",))
    params: dict[str, Any] = {"outcome_learner": "linear", "treatment_learner": "linear", "n_splits": 1}

    def draw(seed: int, n: int, one_sided: bool = False) -> Table:
        rng = np.random.default_rng([seed, n])
        x, u = rng.uniform(-1, 1, (n, 2)), rng.uniform(-1, 1, n)
        z = rng.random(n) < logistic(0.3 * x[:, 0] - 0.3 * x[:, 1])
        chance = 0.12 + 0.3 * z + 0.08 * x[:, 0] + 0.1 * u
        a = rng.random(n) < (chance * z if one_sided else chance)
        y = (1 + 0.5 * x[:, 0]) * a + z + x[:, 1] + 1.5 * u + rng.normal(size=n)
        return table_of({"x1": x[:, 0], "x2": x[:, 1], "z": z, "a": a, "y": y}, ("z", "a"))

    rows = []
    for n in (8000, 2000):
        found, two_stage = [], []
        for seed in range(100):
            table = draw(seed, n)
            effect = estimate(table, spec, "invalid_instrument", seed, **params)
            found.append((effect.estimate, effect.interval[0] <= 1 <= effect.interval[1]))
            two_stage.append(estimate(table, spec, "iv").estimate)
        estimates, covered = np.array(found).T
        rows += [Row(f"{n:,} rows: two-stage least squares", float(np.mean(two_stage)), 3.0),
                 Row(f"{n:,} rows: bias", float(estimates.mean() - 1), -0.1, 0.1),
                 Row(f"{n:,} rows: spread of the estimates", float(estimates.std()), high=0.3),
                 Row(f"{n:,} rows: coverage", float(covered.mean()), 0.9)]
    answers = [estimate(draw(seed, 2000, True), spec, "invalid_instrument", seed, **params) for seed in range(20)]
    refused = np.mean([isinstance(a, Refused) and a.code == "one_sided_uptake" for a in answers])
    return [*rows, Row("planted violation, one-sided: share refused", float(refused), 1.0)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(STUDIES)}; all by default")
    names = parser.parse_args().names or list(STUDIES)
    failed = 0
    for name in names:
        start = time.process_time()
        rows = STUDIES[name]()
        print(f"{name} ({time.process_time() - start:.0f} s)")
        for row in rows:
            failed += not row.reached
            print(f"  {row.what}: {row.measured:.3f}, required {row.required}{'' if row.reached else '  NOT REACHED'}")
    print("all reached" if not failed else f"{failed} not reached")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
