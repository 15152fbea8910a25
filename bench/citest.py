"""Calibration and power of every conditional independence test, and PC on nonlinear variables.

    python bench/citest.py                         share of true independences rejected at level 5 %
    python bench/citest.py --power                 share of dependences rejected, drawn in bench/power.svg
    python bench/citest.py --small                 the tests at 30 rows, with and without a circuit's kernel
    options: --tests kci rcot  --cases curved_1  --rows 50 200  --repeats 1000  --strength 0.4
    python bench/citest.py --pc kci_lowrank        PC with a test on 10 nonlinear variables, 500 rows, CPU seconds
    python bench/citest.py --pc causal-learn       the same with causal-learn's KCI, where it is installed

Every set of data is drawn from the seed (case, rows, repeat), so that tests see the same data.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from inspect import signature
from pathlib import Path
from types import MappingProxyType

import numpy as np
from power import Panel, draw

from whence.core.registry import find_card, load_function
from whence.core.rng import generator
from whence.data.table import Column, Table
from whence.stats.citest.kernel import columns_of, factor, median_distance

Draw = Callable[[np.random.Generator, int, float], dict[str, np.ndarray]]


def table_of(values: dict[str, np.ndarray]) -> Table:
    """Whole numbers are categories, others are continuous."""
    columns = {
        n: Column(n, "binary" if v.max() < 2 else "categorical", v.astype(np.int32), tuple(range(int(v.max()) + 1)))
        if v.dtype.kind == "i" else Column(n, "continuous", v)
        for n, v in values.items()
    }
    return Table(MappingProxyType(columns), len(values["x"]))


# Each case: x and y with dependence of the given strength (0: independent given every other column).
def alone(rng: np.random.Generator, n: int, strength: float) -> dict[str, np.ndarray]:
    x = rng.standard_normal(n)
    return {"x": x, "y": strength * x + rng.standard_normal(n)}


def alone_curved(rng: np.random.Generator, n: int, strength: float) -> dict[str, np.ndarray]:
    x = rng.standard_normal(n)
    return {"x": x, "y": strength * (x**2 - 1) + rng.standard_normal(n)}


def linear_1(rng: np.random.Generator, n: int, strength: float) -> dict[str, np.ndarray]:
    z = rng.standard_normal(n)
    x = z + rng.standard_normal(n)
    return {"x": x, "y": z + rng.standard_normal(n) + strength * (x - z), "z": z}


def linear_2(rng: np.random.Generator, n: int, strength: float) -> dict[str, np.ndarray]:
    z, w = rng.standard_normal((2, n))
    e = rng.standard_normal(n)
    return {"x": 0.7 * (z + w) + e, "y": 0.7 * (z - w) + rng.standard_normal(n) + strength * e, "z": z, "w": w}


def skewed_1(rng: np.random.Generator, n: int, strength: float) -> dict[str, np.ndarray]:
    """linear_1 on exponential and cubic scales."""
    found = linear_1(rng, n, strength)
    return {"x": np.exp(found["x"]), "y": found["y"] ** 3, "z": np.exp(found["z"] / 2)}


def curved_1(rng: np.random.Generator, n: int, strength: float) -> dict[str, np.ndarray]:
    z = rng.standard_normal(n)
    e = rng.standard_normal(n)
    return {"x": np.tanh(2 * z) + 0.5 * e, "y": 0.5 * z**2 + 0.5 * rng.standard_normal(n) + strength * (e**2 - 1) / 2,
            "z": z}


def same_curve_1(rng: np.random.Generator, n: int, strength: float) -> dict[str, np.ndarray]:
    """Both follow the same wave of z: what regression leaves behind is in both."""
    z = rng.standard_normal(n)
    e = rng.standard_normal(n)
    f = np.sin(2 * z)
    return {"x": f + 0.5 * e, "y": f + 0.5 * rng.standard_normal(n) + strength * np.cos(2 * e), "z": z}


def curved_2(rng: np.random.Generator, n: int, strength: float) -> dict[str, np.ndarray]:
    z, w = rng.standard_normal((2, n))
    e = rng.standard_normal(n)
    return {"x": np.tanh(z + w) + 0.5 * e,
            "y": np.cos(z) * w + 0.5 * rng.standard_normal(n) + strength * (e**2 - 1) / 2, "z": z, "w": w}


def levels_0(rng: np.random.Generator, n: int, strength: float) -> dict[str, np.ndarray]:
    x = rng.integers(0, 2, n)
    return {"x": x, "y": np.digitize(rng.random(n) + strength * x / 2, [0.35, 0.7])}


def levels_1(rng: np.random.Generator, n: int, strength: float) -> dict[str, np.ndarray]:
    z = rng.integers(0, 2, n)
    x = (rng.random(n) < 0.35 + 0.3 * z).astype(int)
    return {"x": x, "y": (rng.random(n) < 0.3 + 0.3 * z + strength * (x - 0.5) / 2).astype(int), "z": z}


def levels_2(rng: np.random.Generator, n: int, strength: float) -> dict[str, np.ndarray]:
    z, w = rng.integers(0, 2, (2, n))
    x = (rng.random(n) < 0.3 + 0.2 * z + 0.2 * w).astype(int)
    return {"x": x, "y": (rng.random(n) < 0.3 + 0.2 * z + 0.2 * w + strength * (x - 0.5) / 2).astype(int), "z": z,
            "w": w}


def mixed_0(rng: np.random.Generator, n: int, strength: float) -> dict[str, np.ndarray]:
    x = rng.integers(0, 3, n)
    return {"x": x, "y": strength * (x - 1.0) + rng.standard_normal(n)}


def mixed_1(rng: np.random.Generator, n: int, strength: float) -> dict[str, np.ndarray]:
    """A category and a number that both follow a number."""
    z = rng.standard_normal(n)
    x = (rng.logistic(size=n) < z).astype(int)
    return {"x": x, "y": z + rng.standard_normal(n) + strength * (x - 0.5), "z": z}


def mixed_2(rng: np.random.Generator, n: int, strength: float) -> dict[str, np.ndarray]:
    """Two numbers with the spread of one uneven over the levels of a common cause, and a number."""
    z, w = rng.integers(0, 3, n), rng.standard_normal(n)
    e = rng.standard_normal(n)
    x = np.array([0.5, -0.5, 1.0])[z] + w + (1 + z) * e
    y = np.array([0.0, 0.7, -0.5])[z] + w + rng.standard_normal(n) + strength * e
    return {"x": x, "y": y, "z": z, "w": w}


def mixed_levels_1(rng: np.random.Generator, n: int, strength: float) -> dict[str, np.ndarray]:
    """Two categories that both follow a number."""
    z = rng.standard_normal(n)
    x = (rng.logistic(size=n) < z).astype(int)
    return {"x": x, "y": (rng.logistic(size=n) < z + 2 * strength * (x - 0.5)).astype(int), "z": z}


def mixed_slopes_1(rng: np.random.Generator, n: int, strength: float) -> dict[str, np.ndarray]:
    """The slope of y on x differs between the levels of z, with mean zero."""
    z = rng.integers(0, 2, n)
    x = rng.standard_normal(n)
    return {"x": x, "y": z + rng.standard_normal(n) + strength * (2 * z - 1) * x, "z": z}


CASES: dict[str, Draw] = {f.__name__: f for f in (
    alone, alone_curved, linear_1, linear_2, skewed_1, curved_1, same_curve_1, curved_2, levels_0, levels_1, levels_2,
    mixed_0, mixed_1, mixed_2, mixed_levels_1, mixed_slopes_1)}
NUMBERS, CURVES = ("alone", "linear_1", "linear_2"), ("alone_curved", "curved_1", "same_curve_1", "curved_2")
LEVELS = ("levels_0", "levels_1", "levels_2")
MIXED = ("mixed_0", "mixed_1", "mixed_2", "mixed_levels_1", "mixed_slopes_1")
# What each test says it can do.
CLAIMS: dict[str, tuple[str, ...]] = {
    "fisher_z": NUMBERS, "rank_z": (*NUMBERS, "skewed_1"), "chi2": LEVELS, "g2": LEVELS,
    "gcm": (*NUMBERS, *LEVELS, *MIXED), "degenerate_gaussian": (*NUMBERS, *LEVELS, *MIXED),
    "conditional_gaussian": (*NUMBERS, *LEVELS, *MIXED),
    **dict.fromkeys(("kci", "kci_lowrank", "rcot", "rcit"),
                    (*NUMBERS, *CURVES, "mixed_1", "mixed_slopes_1", "levels_1")),
    "kci_quantum": (*NUMBERS, *CURVES),
    "cmi_knn": (*NUMBERS, *CURVES),
}


def p_value(job: tuple[str, str, int, float, int], params: dict | None = None) -> float:
    """The p-value of (test, case, rows, strength, repeat); NaN where no test is possible."""
    name, case, n, strength, repeat = job
    table = table_of(CASES[case](generator(0, case, n, repeat), n, strength))
    given = tuple(sorted(set(table.names) - {"x", "y"}))
    function = load_function(find_card("independence_test", name))
    own = {"seed": repeat} if "seed" in signature(function).parameters else {}
    answer = function(table, "x", "y", given, **own, **(params or {}))
    return math.nan if answer.p_value is None else answer.p_value


def rate(pool: ProcessPoolExecutor, name: str, case: str, n: int, strength: float, repeats: int, params=None) -> float:
    """Share of p-values of 5 % or less: a resampled p-value can be 5 % exactly."""
    jobs = [(name, case, n, strength, k) for k in range(repeats)]
    p = np.fromiter(pool.map(partial(p_value, params=params), jobs, chunksize=max(1, repeats // 8)), float, repeats)
    return float((p <= 0.05).sum() / max(np.isfinite(p).sum(), 1))


def show(pool: ProcessPoolExecutor, tests: list[str], rows: list[int], strength: float, repeats: int,
         cases: list[str] | None, params: dict | None = None) -> None:
    for name in tests:
        for case in cases or CLAIMS[name]:
            start = time.perf_counter()
            text = "  ".join(f"n={n} {rate(pool, name, case, n, strength, repeats, params):.3f}" for n in rows)
            print(f"{name:22s} {case:16s} {text}   {time.perf_counter() - start:.0f} s", flush=True)


# Panels of the picture of power: title, what is drawn, case, strength, tests.
KERNELS = ("kci", "kci_lowrank", "kci_quantum", "rcot", "rcit", "cmi_knn")
SITUATIONS = (
    ("Linear", "slope 0.2, given one number", "linear_1", 0.2,
     ("fisher_z", "rank_z", "gcm", "degenerate_gaussian", "conditional_gaussian", *KERNELS)),
    ("Curved", "parabola, 0.3, given nothing", "alone_curved", 0.3, ("fisher_z", *KERNELS)),
    ("Mixed", "a number follows two levels, 0.5, given a number", "mixed_1", 0.5,
     ("gcm", "degenerate_gaussian", "conditional_gaussian", "kci", "kci_lowrank", "rcot", "rcit")),
    ("Discrete", "two levels each, shares 0.2 apart, given two levels", "levels_1", 0.4,
     ("chi2", "g2", "gcm", "degenerate_gaussian", "kci", "kci_lowrank", "rcot", "rcit")),
    ("Conditional", "parabola of what is left, given a curve of two", "curved_2", 0.8, KERNELS),
)
SLOW = {"cmi_knn": 0.4}  # share of the repeats for tests of seconds


def draw_power(pool: ProcessPoolExecutor, rows: list[int], repeats: int) -> None:
    """Measures every situation and writes ``bench/power.svg``."""
    panels = []
    for title, note, case, strength, tests in SITUATIONS:
        rates = {}
        for name in tests:
            times = math.ceil(repeats * SLOW.get(name, 1.0))
            rates[name] = [rate(pool, name, case, n, strength, times) for n in rows]
            print(f"{case:14s} {name:22s} " + " ".join(f"{r:.2f}" for r in rates[name]), flush=True)
        panels.append(Panel(title, note, rows, rates))
    Path(__file__).with_name("power.svg").write_text(draw(panels))


SMALL = (np.tanh, np.square)


def small(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """x and z independent, both causes of y = f(x) + g(z) + noise, f and g tanh or square."""
    x, z = rng.standard_normal((2, n))
    f, g = (SMALL[k] for k in rng.integers(0, 2, 2))
    return {"x": x, "y": f(x) + g(z) + 0.5 * rng.standard_normal(n), "z": z}


def least_aligned(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, kernel: str = "quantum") -> float:
    """The width, of four, at which shuffled pairs look least dependent: mean alignment |fx' fy|^2 / (|fx' fx| |fy' fy|)
    of centred kernel factors over 20 shuffles."""
    seen = {}
    for width in (0.5, 1.0, 2.0, 4.0):
        parts = []
        for v in (x, y):
            points = ((v - v.mean()) / v.std())[:, None]
            made = factor(columns_of(points, kernel, width * median_distance(points)), len(v), 1e-10, len(v))
            parts.append(made - made.mean(axis=0))
        size = math.prod(float(np.linalg.norm(f.T @ f)) for f in parts)
        seen[width] = np.mean([((parts[0].T @ parts[1][rng.permutation(len(v))]) ** 2).sum() / size
                               for _ in range(20)])
    return min(seen, key=seen.__getitem__)


def study_small(repeats: int, n: int = 30) -> None:
    """Rejections at 30 rows: x and z alone (true independence), x and y alone, x and z given y (both dependent)."""
    kernels = {"circuit": {}, "circuit, aligned width": {"width": None}, "one rotated qubit": {"kernel": "cosine"},
               "Gaussian, resampled": {"kernel": "gaussian"}}
    asked = [("kci_quantum", label, params) for label, params in kernels.items()]
    asked += [(name, name, {}) for name in (*KERNELS, "fisher_z", "rank_z", "gcm") if name != "kci_quantum"]
    for name, label, params in asked:
        function = load_function(find_card("independence_test", name))
        found = np.full((repeats, 3), np.nan)
        for k in range(repeats):
            table = table_of(small(generator(1, "small", n, k), n))
            own = {"seed": k} if "seed" in signature(function).parameters else {}
            for i, (a, b, given) in enumerate((("x", "z", ()), ("x", "y", ()), ("x", "z", ("y",)))):
                chosen = dict(params)
                if "width" in params:
                    chosen["width"] = least_aligned(table.numeric(a), table.numeric(b), generator(2, k, i))
                found[k, i] = function(table, a, b, given, **own, **chosen).p_value
        print(f"{label:24s} " + "  ".join(f"{v:.3f}" for v in (found <= 0.05).mean(axis=0)), flush=True)


CURVES_OF = (np.tanh, np.sin, lambda v: v**2 / 1.5 - 0.6, lambda v: np.cos(2 * v), lambda v: v)


def network(seed: int, d: int = 10, n: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n, d) of a random nonlinear additive model of 12 arrows on average, and its skeleton (d, d)."""
    rng = np.random.default_rng(seed)
    arrows = np.triu(rng.random((d, d)) < 2.4 / (d - 1), 1)
    x = np.zeros((n, d))
    for j in range(d):
        total = rng.standard_normal(n) * 0.6
        for i in np.flatnonzero(arrows[:, j]):
            total = total + CURVES_OF[rng.integers(5)](1.5 * x[:, i] / max(x[:, i].std(), 1e-9))
        x[:, j] = (total - total.mean()) / total.std()
    return x, arrows | arrows.T


def search(test: str, sets: int) -> None:
    """PC at level 5 %: CPU seconds and F1 of the skeleton."""
    for seed in range(sets):
        x, truth = network(seed)
        start = time.process_time()
        if test == "causal-learn":
            from causallearn.search.ConstraintBased.PC import pc

            found = pc(x, 0.05, "kci", show_progress=False).G.graph != 0
        else:
            from whence.discovery.discovery import discover

            found = discover({f"v{i}": x[:, i] for i in range(x.shape[1])}, test=test, alpha=0.05)
            assert found, found
            found = found.graph.marks != 0
        spent = time.process_time() - start
        f1 = 2 * np.triu(found & truth).sum() / (np.triu(found).sum() + np.triu(truth).sum())
        print(f"{test} {seed}: {spent:.2f} s of CPU, F1 {f1:.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", nargs="+", default=list(CLAIMS))
    parser.add_argument("--cases", nargs="+")
    parser.add_argument("--rows", nargs="+", type=int, default=[50, 200, 1000])
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--power", action="store_true")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--strength", type=float, default=0.0, help="of the dependence; 0 measures the level")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--pc", metavar="TEST")
    given = parser.parse_args()
    if given.pc:
        search(given.pc, min(given.repeats, 4))
        return
    if given.small:
        study_small(given.repeats)
        return
    with ProcessPoolExecutor(given.workers) as pool:
        if given.power:
            draw_power(pool, given.rows, given.repeats)
        else:
            show(pool, given.tests, given.rows, given.strength, given.repeats, given.cases)


if __name__ == "__main__":
    main()
