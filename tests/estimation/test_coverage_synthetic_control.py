"""How often the intervals of synthetic controls hold the truth, 500 sets each; Monte Carlo error 1 point."""

from __future__ import annotations

import numpy as np
import pytest

from whence import Spec, estimate

SPEC = Spec("synthetic_control", ("d",), ("y",), time="t", unit="u")
TRUTH = 3.0


def panel(seed, units=20, periods=25, start=20, treated=1, noise=0.3, own=0.3, memory=0.0, change=0.0):
    """Two walks with loadings by unit; the treated ones' lie inside those of the rest, their noise is ``own``."""
    rng = np.random.default_rng(seed)
    factors = np.cumsum(rng.standard_normal((2, periods)), axis=1)
    loadings = rng.random((units, 2))
    loadings[-treated:] = 0.5 * loadings[:treated] + 0.5 * loadings[treated : 2 * treated]
    e = rng.standard_normal((units, periods))
    for t in range(1, periods):
        e[:, t] = memory * e[:, t - 1] + np.sqrt(1 - memory**2) * e[:, t]
    size = np.full(units, noise)
    size[-treated:] = own
    y = 10 + loadings @ factors + size[:, None] * e
    after = np.arange(start, periods)
    y[-treated:, start:] += TRUTH + change * (after - after.mean())
    u, t = np.meshgrid(np.arange(units), np.arange(periods), indexing="ij")
    return {"u": u.ravel(), "t": t.ravel(), "d": ((u >= units - treated) & (t >= start)).ravel().astype(int),
            "y": y.ravel()}


def covered(sets, how, **given):
    inside = []
    for seed in range(sets):
        found = estimate(panel(seed, **given), SPEC, seed=seed, **how)
        assert found, found
        inside.append(found.interval[0] <= TRUTH <= found.interval[1])
    return float(np.mean(inside))


@pytest.mark.parametrize("kind", ["simplex", "did"])
def test_covers_in_20_sets(kind):
    assert covered(20, {"kind": kind}) >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize(("how", "given", "least"), [
    ({}, {}, 0.93), ({}, {"own": 0.6}, 0.93), ({}, {"memory": 0.5}, 0.91),
    ({}, {"units": 31, "periods": 12, "start": 8}, 0.91), ({}, {"change": 1.0}, 0.93),
    ({}, {"periods": 8, "start": 4}, 0.91),
    ({}, {"treated": 4}, 0.93), ({"kind": "pooled"}, {"treated": 4}, 0.93),
    ({"kind": "did"}, {}, 0.91), ({"kind": "did"}, {"own": 0.6}, 0.89),
    ({"kind": "did", "errors": "jackknife"}, {"treated": 8, "units": 40}, 0.88),
])
def test_covers_in_500_sets(how, given, least):
    got = covered(500, how, **given)
    assert got >= least, got


@pytest.mark.slow
@pytest.mark.parametrize(("how", "given", "least"), [
    ({"errors": "conformal"}, {}, 0.93), ({"errors": "conformal"}, {"own": 0.6}, 0.93),
    ({"kind": "augmented"}, {}, 0.91), ({"kind": "did", "replicates": 50}, {"treated": 4}, 0.91),
])
def test_covers_in_150_sets_where_it_takes_long(how, given, least):
    got = covered(150, how, **given)
    assert got >= least, got
