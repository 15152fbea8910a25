"""Trends that may part: said for a real effect, a drift and a panel too short."""

from __future__ import annotations

import itertools

import numpy as np

from whence import Spec, check, estimate, read

OVER = Spec("did", ("d",), ("y",), time="t", unit="u")


def panel(seed: int = 0, drift: float = 0.0, effect: float = 1.0, units: int = 80, first: int = 5, noise: float = 0.5):
    rng = np.random.default_rng(seed)
    start = rng.permutation(np.resize([first, first + 1, 99], units))
    u, t = np.repeat(np.arange(units), first + 3), np.tile(np.arange(first + 3), units)
    d = (t >= start[u]).astype(int)
    y = rng.standard_normal(units)[u] + effect * d + drift * t * (start[u] < 99) + noise * rng.standard_normal(len(u))
    return read({"u": u, "t": t, "d": d, "y": y})


def one(table, spec=OVER, method="auto", **params):
    return check(table, estimate(table, spec, method), "honest_trends", parameters={"honest_trends": params})[0]


def test_a_clear_effect_stands_and_a_drift_is_found():
    clear = one(panel(effect=3.0, noise=0.2))
    assert clear.verdict == "pass" and clear.numbers["breakdown_step"] > 1
    low, high = clear.numbers["straight_line"]
    assert low < 3.0 < high
    drifting = one(panel(drift=0.5, effect=0.0))
    low, high = drifting.numbers["straight_line"]
    assert low < 0 < high and drifting.numbers["breakdown_step"] < 1
    assert drifting.verdict in ("worry", "informational") and drifting.numbers["breakdown_bend"] == 0


def test_intervals_widen_and_every_number_said_is_there():
    found = one(panel())
    ends = list(found.numbers["intervals"].values())
    assert all(a[0] >= b[0] and a[1] <= b[1] for a, b in itertools.pairwise(ends))
    assert "leaves out zero" in found.saw and found.figure["kind"] == "honest_trends"
    wider = one(panel(), level=0.99)
    assert wider.numbers["intervals"]["0.0"][0] < ends[0][0]


def test_no_effect_is_informational():
    found = one(panel(effect=0.0))
    assert found.verdict == "informational" and found.numbers["breakdown_step"] == 0


def test_one_period_before_shows_nothing():
    whole = panel(first=1)
    treated = whole.numeric("d")
    late = np.isin(whole.numeric("u"), whole.numeric("u")[(whole.numeric("t") == 1) & (treated == 0)])
    never = np.isin(whole.numeric("u"), whole.numeric("u")[(whole.numeric("t") == 2) & (treated == 0)])
    keep = ~late | never
    found = one(read({name: whole.numeric(name)[keep] for name in ("u", "t", "d", "y")}))
    assert not found.applies and "only one period" in found.saw


def test_other_designs_are_left_alone():
    rng = np.random.default_rng(0)
    table = read({"d": rng.integers(0, 2, 200), "y": rng.standard_normal(200)})
    assert not one(table, Spec("rct", ("d",), ("y",))).applies


def test_doses_say_why_not():
    table = panel()
    dose = read({"u": table.numeric("u"), "t": table.numeric("t"), "y": table.numeric("y"),
                 "d": table.numeric("d") * (1 + table.numeric("u") % 3)})
    found = one(dose)
    assert not found.applies and "dose" in found.saw
