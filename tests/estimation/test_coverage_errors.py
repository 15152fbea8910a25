"""Intervals where rows depend on each other, 500 simulated sets: 93 to 97 %, two Monte Carlo errors around 95 %.

One setting of each kind runs always, on fewer sets and with as much more room."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import whence
from whence import Spec, estimate
from whence.core.rng import generator

SETS = 500
ADJUST = Spec("adjustment", ("t",), ("y",), controls=("x",))
STRAIGHT = {"degree": 1, "interactions": False}


def unequal_clusters(seed: int, groups: int = 10, whole: bool = True, spread: float = 2.0) -> dict[str, Any]:
    """The largest cluster has e^spread times the rows of the smallest; treatment by cluster (whole) or within them."""
    r, n = generator(seed, "unequal", groups, int(whole)), 400
    size = np.exp(np.linspace(0, spread, groups))
    c = np.sort(r.choice(groups, n, p=size / size.sum()))
    c[: 2 * groups] = np.repeat(np.arange(groups), 2)
    t = (r.permutation(groups) < 0.4 * groups)[c] if whole else r.random(n) < 0.3 + 0.4 * r.random(groups)[c]
    x = r.normal(size=n) + r.normal(size=groups)[c]
    y = t + x + r.normal(size=groups)[c] + r.normal(size=n) * (1 + 0.5 * t)
    return {"t": t.astype(int), "y": y, "x": x, "c": c, "more": r.integers(0, 2, n)}


def two_groupings(seed: int, g: int = 20, h: int = 25) -> dict[str, Any]:
    """Every pair of a firm and a year once; treatment, control and noise have parts of both."""
    r = generator(seed, "two groupings")
    c, k = (v.ravel() for v in np.meshgrid(np.arange(g), np.arange(h)))

    def shared() -> np.ndarray:
        return r.normal(size=g)[c] + r.normal(size=h)[k] + r.normal(size=g * h)

    t, x = shared(), shared()
    return {"t": t, "y": t + x + shared(), "x": x, "c": c, "k": k}


def autoregressive(r: np.random.Generator, n: int, rho: float) -> np.ndarray:
    noise = r.normal(size=n + 100)
    for i in range(1, n + 100):
        noise[i] += rho * noise[i - 1]
    return noise[100:]


def series(seed: int, n: int = 200, units: int = 1) -> dict[str, Any]:
    r = generator(seed, "series", units)
    t, x, e = (np.concatenate([autoregressive(r, n, 0.5) for _ in range(units)]) for _ in range(3))
    return {"t": t, "y": t + x + e, "x": x, "year": np.tile(np.arange(n), units), "u": np.repeat(np.arange(units), n)}


def places(seed: int, n: int = 400) -> dict[str, Any]:
    """On a square of 1,000 km; correlations fall to a third over 50 km."""
    r = generator(seed, "places")
    north, east = r.uniform(40, 49, n), r.uniform(0, 13, n)
    km = np.hypot((north[:, None] - north) * 111.2, (east[:, None] - east) * 111.2 * np.cos(np.deg2rad(44.5)))
    root = np.linalg.cholesky(np.exp(-km / 50) + 1e-8 * np.eye(n))
    t, x, e = (root @ r.normal(size=n) for _ in range(3))
    return {"t": t, "y": t + x + e, "x": x, "north": north, "east": east}


WILD = {"covariance": "wild", "bootstrap_draws": 1999}
# The scores' correlation falls to 5 % over 75 km. Bartlett weights halve the dependence at half the distance, so they
# need a longer one: with 150 km they cover 90.8 %.
PLACES = {"covariance": "conley", "latitude": "north", "longitude": "east", "distance_km": 150}
SETTINGS: dict[str, tuple[Any, Spec, dict[str, Any]]] = {
    "CR2, 10 clusters treated whole": (unequal_clusters, ADJUST.replace(cluster="c"), STRAIGHT | {"covariance": "CR2"}),
    "CR2, 10 clusters": (lambda s: unequal_clusters(s, whole=False), ADJUST.replace(cluster="c"),
                         STRAIGHT | {"covariance": "CR2"}),
    "CR2 by default, 30 clusters": (lambda s: unequal_clusters(s, 30), ADJUST.replace(cluster="c"), STRAIGHT),
    "CR3, 10 clusters treated whole": (unequal_clusters, ADJUST.replace(cluster="c"), STRAIGHT | {"covariance": "CR3"}),
    "CR3, 10 clusters": (lambda s: unequal_clusters(s, whole=False), ADJUST.replace(cluster="c"),
                         STRAIGHT | {"covariance": "CR3"}),
    # With sizes that differ by e^2 the bootstrap covers 92.6 to 93.6 %, less than CR2.
    "wild, 12 clusters": (lambda s: unequal_clusters(s, 12, spread=1.0), ADJUST.replace(cluster="c"), STRAIGHT | WILD),
    "wild, 20 clusters": (lambda s: unequal_clusters(s, 20, spread=1.0), ADJUST.replace(cluster="c"), STRAIGHT | WILD),
    "two-way": (two_groupings, ADJUST.replace(cluster="c"), STRAIGHT | {"covariance": "two_way", "also_cluster": "k"}),
    "HAC": (series, ADJUST.replace(time="year"), STRAIGHT | {"covariance": "hac"}),
    "HAC, 5 units": (lambda s: series(s, 100, 5), ADJUST.replace(time="year", unit="u"),
                     STRAIGHT | {"covariance": "hac"}),
    "Conley, uniform": (places, ADJUST, STRAIGHT | PLACES | {"kernel": "uniform"}),
    "Conley, Bartlett": (places, ADJUST, STRAIGHT | PLACES | {"distance_km": 300}),
}


def coverage(draw: Any, spec: Spec, params: dict[str, Any], sets: int, kinds: dict[str, str], method: str) -> float:
    hits = 0
    for seed in range(sets):
        found = estimate(whence.read(draw(seed), kinds=kinds), spec, method, **params)
        assert found, found
        hits += found.interval[0] <= 1 <= found.interval[1]
    return hits / sets


@pytest.mark.slow
@pytest.mark.parametrize("case", SETTINGS)
def test_regression(case: str) -> None:
    draw, spec, params = SETTINGS[case]
    kinds = {k: "categorical" for k in ("c", "k", "u") if k in draw(0)} | ({"t": "binary"} if "more" in draw(0) else {})
    assert 0.93 <= coverage(draw, spec, params, SETS, kinds, "regression") <= 0.97


@pytest.mark.parametrize("case", ["CR2, 10 clusters", "HAC", "two-way"])
def test_quickly(case: str) -> None:
    draw, spec, params = SETTINGS[case]
    kinds = {k: "categorical" for k in ("c", "k", "u") if k in draw(0)} | ({"t": "binary"} if "more" in draw(0) else {})
    assert 0.90 <= coverage(draw, spec, params, 150, kinds, "regression") <= 0.99


def instruments(seed: int, count: int = 1, strength: float = 100.0, n: int = 400, groups: int = 0) -> dict[str, Any]:
    """strength: n times the share of the treatment's variance that the instruments make, each of them."""
    r = generator(seed, "instruments", count, groups)
    z, u = r.normal(size=(n, count)), r.normal(size=n)
    c, shared = np.zeros(n, dtype=int), np.zeros(n)
    if groups:
        size = np.exp(np.linspace(0, 1.5, groups))
        c = np.sort(r.choice(groups, n, p=size / size.sum()))
        c[: 2 * groups] = np.repeat(np.arange(groups), 2)
        z, shared = z + r.normal(size=(groups, count))[c], 0.7 * r.normal(size=groups)[c]
    d = z @ np.full(count, np.sqrt(strength / n)) + 0.8 * u + 0.6 * r.normal(size=n)
    return {"d": d, "y": d + u + shared + 0.5 * r.normal(size=n), "c": c} | {f"z{k}": z[:, k] for k in range(count)}


def iv_spec(count: int, **changes: Any) -> Spec:
    return Spec("iv", ("d",), ("y",), instruments=tuple(f"z{k}" for k in range(count))).replace(**changes)


IV: dict[str, tuple[Any, Spec, dict[str, Any]]] = {
    "one strong": (instruments, iv_spec(1), {}),
    "one weak": (lambda s: instruments(s, 1, 12.0), iv_spec(1), {"interval": "anderson_rubin"}),
    "ten weak": (lambda s: instruments(s, 10, 6.0), iv_spec(10), {"interval": "anderson_rubin"}),
    "ten weak, LIML": (lambda s: instruments(s, 10, 10.0), iv_spec(10), {"estimator": "liml", "interval": "wald"}),
    "12 clusters": (lambda s: instruments(s, 1, 200.0, groups=12), iv_spec(1, cluster="c"), {"interval": "wald"}),
    "30 clusters": (lambda s: instruments(s, 1, 200.0, groups=30), iv_spec(1, cluster="c"), {"interval": "wald"}),
    "12 clusters, wild": (lambda s: instruments(s, 1, 200.0, groups=12), iv_spec(1, cluster="c"),
                          {"covariance": "wild", "bootstrap_draws": 999}),
    "12 clusters, weak, wild": (lambda s: instruments(s, 1, 25.0, groups=12), iv_spec(1, cluster="c"),
                                {"covariance": "wild", "bootstrap_draws": 999}),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", IV)
def test_instruments(case: str) -> None:
    """A weak instrument may leave the effect without bounds, which is a refusal; it counts as covered, as the set that
    is refused holds every effect."""
    draw, spec, params = IV[case]
    hits = 0
    for seed in range(SETS):
        found = estimate(whence.read(draw(seed), kinds={"c": "categorical"}), spec, **params)
        hits += not found or found.interval[0] <= 1 <= found.interval[1]
    print(f"{case}: {hits / SETS:.3f}")  # noqa: T201
    assert 0.93 <= hits / SETS <= 0.975
