"""The grid of effects by start and period, and the picture of trends that may part."""

from __future__ import annotations

import re

import numpy as np

from whence import Spec, check, estimate, read
from whence.report.figures import draw
from whence.report.grid import MOST_STARTS, group_time_grid

SPEC = Spec("did", ("d",), ("y",), time="t", unit="u")


def panel(starts: tuple[int, ...] = (3, 5, 99), units: int = 60, periods: int = 6) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    start = np.resize(starts, units)
    u, t = np.repeat(np.arange(units), periods), np.tile(np.arange(1, periods + 1), units)
    d = (t >= start[u]).astype(int)
    return {"u": u, "t": t, "d": d, "y": d * (t - start[u] + 1.0) + 0.5 * rng.standard_normal(len(u))}


def test_every_effect_has_a_cell_with_its_numbers():
    found = estimate(panel(), SPEC, "group_time")
    drawn = group_time_grid(found)
    cells = re.findall(r"<title>start (\S+), period (\S+): ", drawn)
    assert cells == [(f"{c['group']:g}", f"{c['time']:g}") for c in found.diagnostics["group_time"]]
    assert "2 starts in 5 periods" in drawn and "framed" in drawn


def test_days_and_words_are_named():
    data = panel()
    days = np.array([f"2001-0{t}-15" for t in data["t"]], dtype="datetime64[D]")
    assert "start 2001-03-15, period 2001-04-15" in group_time_grid(estimate(data | {"t": days}, SPEC, "group_time"))
    words = np.array(["", *(f"wave {k}" for k in range(1, 7))])[data["t"]]
    assert "start wave 3, period wave 4" in group_time_grid(estimate(data | {"t": words}, SPEC, "group_time"))


def test_no_grid_for_one_start_other_methods_or_too_many():
    assert group_time_grid(estimate(panel((3, 99)), SPEC, "group_time")) == ""
    assert group_time_grid(estimate(panel(), SPEC)) == ""
    many = panel(tuple(range(2, MOST_STARTS + 4)), units=200, periods=MOST_STARTS + 5)
    assert group_time_grid(estimate(many, SPEC, "group_time", compared_with="not_yet")) == ""


def test_trends_that_part_are_drawn():
    table = read(panel(periods=7, starts=(4, 5, 99)))
    found = check(table, estimate(table, SPEC), "honest_trends")[0]
    drawn = draw(found.figure)
    assert "times the largest before" in drawn and drawn.count("whisker") == len(found.figure["rows"])
