"""Random assignment is recognised on the whole, by clusters and within strata, and told from choice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from whence.data.load import read
from whence.studies.evidence.chance import chance
from whence.studies.evidence.evidence import Evidence
from whence.studies.evidence.sheet import make_sheet


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def look(columns: dict[str, Any], moved: bool = False) -> tuple[Evidence, ...]:
    table = read({**columns, "y": np.random.default_rng(1).normal(size=len(columns["d"]))})
    return chance(make_sheet(table, "d", "y", {}), moved)


def test_a_draw_and_a_choice(rng: np.random.Generator) -> None:
    x = rng.normal(size=(1000, 4))
    columns = {f"x{i}": x[:, i] for i in range(4)}
    [drawn] = look({**columns, "d": rng.integers(0, 2, 1000)})
    assert drawn.strength > 2
    [chosen] = look({**columns, "d": (x[:, 0] + 2 * rng.normal(size=1000) > 0) * 1})
    assert chosen.strength < -2
    assert look({**columns, "d": rng.integers(0, 2, 1000)}, moved=True) == ()


def test_balance_in_a_small_table_says_less(rng: np.random.Generator) -> None:
    def strength(n: int) -> float:
        return look({"a": rng.normal(size=n), "b": rng.normal(size=n), "d": np.arange(n) % 2})[0].strength

    assert strength(40) < strength(4000)
    assert strength(40) < 1.5


def test_a_draw_of_villages_is_judged_by_villages(rng: np.random.Generator) -> None:
    village = np.repeat(np.arange(40), 50)
    wealth = rng.normal(size=40)[village] + 0.3 * rng.normal(size=2000)
    d = rng.permutation(np.arange(40) % 2)[village]
    [found] = look({"village_id": village, "wealth": wealth, "age": rng.normal(size=2000), "d": d})
    assert found.columns["cluster"] == ("village_id",)
    assert found.strength > -1
    [naive] = look({"wealth": wealth, "age": rng.normal(size=2000), "d": d})
    assert naive.strength < found.strength


def test_a_draw_within_strata_is_recognised(rng: np.random.Generator) -> None:
    site = rng.integers(0, 5, 2000)
    d = rng.binomial(1, np.array([0.2, 0.35, 0.5, 0.65, 0.8])[site])
    columns = {"site": site, "a": rng.normal(size=2000) + 0.3 * site, "b": rng.integers(0, 2, 2000), "d": d}
    [found] = look(columns)
    assert found.strength > 0
    assert found.columns["strata"] == ("site",)


def test_a_treatment_in_words_is_judged_by_its_levels(rng: np.random.Generator) -> None:
    a = rng.normal(size=900)
    arm = np.where(a + rng.normal(size=900) > 1, "pill", np.where(rng.integers(0, 2, 900), "talk", "none"))
    assert look({"a": a, "b": rng.normal(size=900), "d": arm})[0].strength < -2
