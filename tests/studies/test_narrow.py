"""Controls that all but determine treatment or outcome are narrowed to what people bring along; others are kept."""

from __future__ import annotations

import numpy as np

import whence
from whence.studies.narrow import determined, narrowed

N = 500


def columns(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    age, food, fuel = rng.normal(40, 10, N), rng.gamma(2, 10, N), rng.gamma(2, 5, N)
    grid = (rng.random(N) < 1 / (1 + np.exp(-(age - 40) / 10))).astype(int)
    return {"age": age, "grid": grid, "food": food, "fuel": fuel, "spending": food + fuel + grid,
            "hut": rng.integers(0, 9, N)}


def test_parts_of_the_outcome() -> None:
    table = whence.read(columns())
    assert determined(table, "grid", "spending", (), ("age", "food", "fuel", "hut")) == "spending"
    kept, said = narrowed(table, "grid", "spending", (), ("age", "food", "fuel", "hut"), {})
    assert kept == ("age",)
    assert said[0].about == ("food", "fuel", "hut")


def test_ordinary_controls_are_kept_and_nothing_is_said() -> None:
    table = whence.read(columns())
    assert narrowed(table, "grid", "spending", (), ("age", "food", "hut"), {}) == (("age", "food", "hut"), [])


def test_a_treatment_that_a_control_decides() -> None:
    data = columns()
    data["grid"] = (data["hut"] > 4).astype(int)
    table = whence.read(data, kinds={"hut": "categorical"})
    assert determined(table, "grid", "spending", (), ("age", "hut")) == "grid"
    assert narrowed(table, "grid", "spending", (), ("age", "hut"), {})[0] == ("age",)


def test_an_instrument_and_more_columns_than_rows() -> None:
    data = columns()
    data["offer"] = data["hut"] * 2.0
    table = whence.read(data)
    assert determined(table, "grid", "spending", ("offer",), ("age", "hut")) == "offer"
    rng = np.random.default_rng(1)
    wide = {"d": rng.integers(0, 2, 40), "y": rng.normal(size=40)} | {f"x{i}": rng.normal(size=40) for i in range(60)}
    assert determined(whence.read(wide), "d", "y", (), tuple(f"x{i}" for i in range(60))) == "d"


def test_a_plan_says_it() -> None:
    plan = whence.study(columns(), "Does the grid raise spending?").plan
    assert plan.spec is not None
    assert plan.spec.controls == ("age",)
    assert any(c.code == "controls_narrowed" and "spending" in c.text for c in plan.choices)
