"""Treatment that starts at some time for some, in its usual codings, and tables over time without it."""

from __future__ import annotations

from typing import Any

import numpy as np

from whence.data.load import read
from whence.studies.evidence.evidence import Evidence
from whence.studies.evidence.panel import over_time
from whence.studies.evidence.sheet import make_sheet

RNG = np.random.default_rng(6)
UNITS, TIMES = 60, 6
UNIT, YEAR = (a.ravel() for a in np.meshgrid(np.arange(UNITS), 2001 + np.arange(TIMES), indexing="ij"))
START = np.where(np.arange(UNITS) % 3 == 0, 9999, 2002 + np.arange(UNITS) % 4)


def look(columns: dict[str, Any]) -> Evidence:
    table = read({**columns, "y": RNG.normal(size=len(columns["d"])), "x": RNG.normal(size=len(columns["d"]))})
    [evidence] = over_time(make_sheet(table, "d", "y", {}))
    return evidence


def test_a_status_that_switches_on() -> None:
    found = look({"state": UNIT, "year": YEAR, "d": (START[UNIT] <= YEAR) * 1})
    assert found.strength > 5
    assert found.columns == {"time": ("year",), "unit": ("state",)}


def test_people_sampled_anew_in_states_that_adopt() -> None:
    who = RNG.integers(0, len(UNIT), 4000)
    state, year = UNIT[who], YEAR[who]
    found = look({"state": state, "year": year, "d": (year >= START[state]) * 1})
    assert found.strength > 3
    assert found.columns["unit"] == ("state",)


def test_a_flag_beside_before_and_after() -> None:
    post, flag = np.repeat([0, 1], 300), np.tile(RNG.integers(0, 2, 300), 2)
    found = look({"post": post, "d": flag})
    assert found.strength > 2
    assert found.columns["time"] == ("post",)
    with_product = look({"post": post, "d": flag, "both": post * flag})
    assert with_product.strength > found.strength


def test_the_product_of_flag_and_post() -> None:
    post, flag = np.repeat([0, 1], 300), np.tile(RNG.integers(0, 2, 300), 2)
    found = look({"post": post, "group": flag, "d": post * flag})
    assert found.strength > 3
    assert found.columns["post"] == ("post",)


def test_a_date_of_adoption() -> None:
    start = np.where(START == 9999, 0, START)[UNIT]
    found = look({"state": UNIT, "year": YEAR, "d": start})
    assert found.strength > 3
    assert "starts" in found.text


def test_a_flag_of_units_followed_without_a_start() -> None:
    found = look({"state": UNIT, "year": YEAR, "d": (START[UNIT] < 9999) * 1})
    assert 0 < found.strength < 2


def test_a_dose_and_a_coin_over_time_are_no_adoption() -> None:
    assert look({"state": UNIT, "year": YEAR, "d": RNG.normal(size=len(UNIT))}).strength < 0
    assert look({"state": UNIT, "year": YEAR, "d": RNG.integers(0, 2, len(UNIT))}).strength < 2


def test_two_values_called_by_a_week_are_no_period() -> None:
    arm, d = RNG.integers(0, 2, 500), RNG.integers(0, 2, 500)
    assert look({"four_weeks": arm, "full_time": RNG.integers(0, 2, 500), "d": d}).strength < 0


def test_without_times_there_is_no_comparison_over_time() -> None:
    assert look({"d": RNG.integers(0, 2, 200)}).strength <= -3
