"""Drawings of series over time: what is in them, that labels stay inside and apart, and that names are escaped."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from whence.graphs.svg import text_width
from whence.report.designs import KINDS, event_study
from whence.report.over_time import double, interrupted

TAG = "{http://www.w3.org/2000/svg}"


def unit(periods=31, placebos=12, times=None):
    rng = np.random.default_rng(0)
    own = 100 + np.cumsum(rng.standard_normal(periods))
    gap = np.where(np.arange(periods) < 19, 0.2, -5.0)
    return {"kind": "double", "times": times or [str(1970 + k) for k in range(periods)], "own": own.tolist(),
            "synthetic": (own - gap).tolist(), "start": 19, "time": "Year", "outcome": "sales <per> head",
            "gap": gap.tolist(), "placebos": rng.standard_normal((placebos, periods)).tolist(),
            "placebos_made": placebos + 3}


def series(periods=40, after=10, times=None):
    rng = np.random.default_rng(1)
    seen = rng.standard_normal(periods)
    expected = np.zeros(after)
    return {"kind": "interrupted", "times": times or [str(k) for k in range(periods)], "start": periods - after,
            "outcome": seen.tolist(), "outcome_name": "visits & calls", "time": "week", "expected": expected.tolist(),
            "fitted": [None, *np.zeros(periods - 1).tolist()], "band": [[-1.0, 1.0]] * after}


def labels(svg):
    """Boxes (left, right, baseline) and words of the upright labels."""
    root = ElementTree.fromstring(svg)
    found = []
    for one in root.iter(f"{TAG}text"):
        if one.get("transform"):
            continue
        words, x, y, css = one.text or "", float(one.get("x")), float(one.get("y")), one.get("class")
        wide = text_width(words, 11.0)
        left = x - wide / 2 if "middle" in css else x - wide if "end" in css else x
        found.append((left, left + wide, y, words))
    return found, [float(v) for v in root.get("viewBox").split()]


@pytest.mark.parametrize("svg", [
    double(unit()), double(unit(placebos=0)), double(unit(times=[f"2001-{1 + k % 12:02d}-01" for k in range(31)])),
    double({k: v for k, v in unit().items() if k not in ("gap", "placebos")}), interrupted(series()),
    interrupted(series(after=1)), interrupted(series(200, 50, [f"{1900 + k}-06-17 12:00" for k in range(200)])),
    interrupted(series() | {"band": None}),
])
def test_labels_stay_inside_and_apart(svg):
    found, (_, _, width, height) = labels(svg)
    assert all(left >= -4 and right <= width + 6 and y <= height for left, right, y, _ in found), found
    for i, a in enumerate(found):
        for b in found[i + 1 :]:
            assert abs(a[2] - b[2]) > 9 or a[1] <= b[0] + 1 or b[1] <= a[0] + 1, (a, b)
    assert "nan" not in svg


def test_a_unit_its_double_and_the_placebos():
    svg = double(unit())
    assert len(re.findall('class="level" d=', svg)) == 12 and "those of 15" in svg and "sales &lt;per&gt; head" in svg
    assert "treated less its double" in svg
    assert "treated less" not in double({k: v for k, v in unit().items() if k != "gap"})


def test_a_series_and_its_band():
    svg = interrupted(series())
    assert len(re.findall("<circle", svg)) == 41 and svg.count('class="band"') == 1 and "visits &amp; calls" in svg
    assert "between −1 and 1" in svg and '"band"' not in interrupted(series(after=1))


def test_months_are_named_as_months():
    svg = interrupted(series(times=[str(v) for v in np.datetime64("2001-01") + np.arange(40)]))
    days = interrupted(series(times=[f"{v}-01" for v in np.datetime64("2001-01") + np.arange(40)]))
    assert "2001-01<" in svg and "2001-01<" in days and "2001-01-01<" not in days


def test_the_band_of_an_event_study():
    steps = [{"time": t, "estimate": 0.1 * t, "low": 0.1 * t - 1, "high": 0.1 * t + 1,
              "joint": (0.1 * t - 2, 0.1 * t + 2)} for t in (-2, -1, 0, 1)]
    svg = event_study(steps[::-1], 0.95)
    assert svg.count('class="band"') == 1 and "all of them together with 95%" in svg
    assert 'class="band"' not in event_study([s | {"joint": None} for s in steps], 0.95)
    assert set(KINDS) >= {"double", "interrupted", "discontinuity"}
