"""How often the intervals of methods for staggered starts hold the truth, where effects grow and differ by start.

In the hard setting two-way fixed effects have the wrong sign in every set. Imputation, local projections, stacking and
switchers are about the units at hand, and are held against the mean effect of those; group-time effects and Sun and
Abraham's allow for other units starting, so there starts are drawn anew and the truth is that of the population.
"""

from __future__ import annotations

import numpy as np
import pytest

from whence import Effect, Spec, estimate

SPEC = Spec("did", ("d",), ("y",), time="t", unit="u")
EASY, HARD = ((3, 5, 99), 6), ((3,) * 5 + (10,) * 5 + (99,) * 2, 14)  # starts, each with its share, and periods
OF_POPULATION = ("group_time", "sun_abraham")


def effect(since: np.ndarray, start: np.ndarray, hard: bool) -> np.ndarray:
    """One more with each period for those that start first; none for the others, or one half."""
    return (since + 1.0) * (start == 3) + 0.5 * hard


def panel(seed: int, units: int, setting: tuple[tuple[int, ...], int], drawn: bool) -> dict[str, np.ndarray]:
    starts, periods = setting
    rng = np.random.default_rng([seed, 3])
    start = rng.choice(starts, units) if drawn else rng.permutation(np.resize(starts, units))
    u, t = np.repeat(np.arange(units), periods), np.tile(np.arange(1, periods + 1), units)
    d = (t >= start[u]).astype(int)
    y = rng.standard_normal(units)[u] + 0.3 * t + d * effect(t - start[u], start[u], setting == HARD)
    return {"u": u, "t": t, "d": d, "y": y + 0.5 * rng.standard_normal(len(u)), "start": start[u]}


def mean_effect(data: dict[str, np.ndarray], setting: tuple[tuple[int, ...], int], found: Effect) -> float:
    """Of the treated rows that a method averages: all, those in its window, or those that just started."""
    if found.method in OF_POPULATION:
        starts, periods = setting
        start, t = (v.ravel() for v in np.meshgrid(starts, np.arange(1, periods + 1)))
        return float(effect(t - start, start, setting == HARD)[t >= start].mean())
    since, on = data["t"] - data["start"], data["d"] == 1
    if found.method == "stacked":
        on = on & np.isin(data["start"], found.diagnostics["starts"]) & (since <= found.diagnostics["after"])
    elif found.method == "switchers":
        on = since == 0
    return float(effect(since, data["start"], setting == HARD)[on].mean())


def covered(method: str, units: int, setting: tuple[tuple[int, ...], int], sets: int) -> float:
    inside = 0
    for seed in range(sets):
        data = panel(seed, units, setting, method in OF_POPULATION)
        found = estimate(data, SPEC, method)
        inside += found.interval[0] <= mean_effect(data, setting, found) <= found.interval[1]
    return inside / sets


METHODS = ("imputation", "group_time", "sun_abraham", "local_projection", "stacked", "switchers")


@pytest.mark.parametrize("method", METHODS)
def test_covers_where_two_way_regression_has_the_wrong_sign(method):
    """12 sets: Monte Carlo error 6 points."""
    assert covered(method, 60, HARD, 12) >= 0.75
    for seed in range(3):
        assert estimate(panel(seed, 60, HARD, False), SPEC, "twfe").estimate < 0


@pytest.mark.slow
@pytest.mark.parametrize(("units", "setting"), [(60, EASY), (120, HARD), (20, EASY)])
@pytest.mark.parametrize("method", METHODS)
def test_covers_in_500_sets(method, units, setting):
    """Monte Carlo error 1 point."""
    if units == 20 and method in OF_POPULATION:
        units = 200  # of 20 drawn units a start has too few, or none
    got = covered(method, units, setting, 500)
    assert 0.92 <= got <= 0.985, got
