"""Steps of the treatment along another column, and what looks like one and is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from whence.data.load import read
from whence.studies.evidence.sheet import make_sheet
from whence.studies.evidence.steps import best_place, cutoffs, steps
from whence.studies.words import descriptions

N = 1500


def found(columns: dict[str, Any], about: str = "") -> list[tuple[str, float, bool]]:
    table = read({**columns, "y": np.random.default_rng(9).normal(size=len(columns["d"]))})
    sheet = make_sheet(table, "d", "y", descriptions(about, table.names))
    return [(s.name, s.cutoff, s.sharp) for s in steps(sheet)]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_a_sharp_rule_and_its_cutoff(rng: np.random.Generator) -> None:
    r = rng.normal(50, 10, N)
    assert found({"r": r, "x": rng.normal(size=N), "d": (r >= 60) * 1}) == [("r", 60.0, True)]


def test_a_fuzzy_rule_and_its_cutoff(rng: np.random.Generator) -> None:
    r = rng.integers(0, 100, N).astype(float)
    d = rng.binomial(1, 0.2 + 0.5 * (r < 40))
    [(name, cutoff, sharp)] = found({"r": r, "x": rng.normal(size=N), "d": d})
    assert (name, cutoff, sharp) == ("r", 40.0, False)


@pytest.mark.parametrize("slope", [0.5, 2.0, 6.0, 15.0])
def test_a_smooth_propensity_is_no_step_however_steep(slope: float) -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=N)
        d = rng.binomial(1, 1 / (1 + np.exp(-slope * x)))
        assert found({"x": x, "d": d}) == []


def test_a_copy_a_dose_and_an_identifier_are_no_running_variables(rng: np.random.Generator) -> None:
    d = np.repeat([0, 1], N // 2)
    dose = d * rng.uniform(1, 5, len(d))
    columns = {"copy": d.copy(), "dose": dose, "row": np.arange(len(d)), "person_id": 5 + 3 * np.arange(len(d)), "d": d}
    assert found(columns) == []


def test_rows_of_one_year_share_more_than_a_curve_says(rng: np.random.Generator) -> None:
    year = rng.integers(0, 25, N)
    level = rng.normal(size=25).cumsum()[year]  # one value a year, as of a national total
    assert found({"total": level, "d": rng.binomial(1, 0.5, 25)[year]}) == []


def test_rows_left_out_at_the_cutoff_make_it_useless(rng: np.random.Generator) -> None:
    r = np.concatenate([rng.uniform(20, 35, N // 2), rng.uniform(45, 60, N // 2)])
    d = rng.binomial(1, 0.1 + 0.6 * (r < 40))
    table = read({"metres": r, "d": d, "y": rng.normal(size=len(d))})
    [evidence] = cutoffs(make_sheet(table, "d", "y", {}), (), ("metres",), 40.0)
    assert evidence.strength < 0
    assert evidence.measured["hole_in"] == "metres"


def test_the_place_is_the_one_of_the_best_regression(rng: np.random.Generator) -> None:
    x, t = rng.normal(size=80), rng.normal(size=80)
    order = np.sort(x)

    def rss(below: float) -> float:
        design = np.column_stack([np.ones(80), x, x > below])
        residual = t - design @ np.linalg.lstsq(design, t, rcond=None)[0]
        return float(residual @ residual)

    best = min(order[3:76], key=rss)
    place = best_place(x, t)
    assert place is not None
    assert place[0] == best
