"""Columns that move the treatment from outside: offers, arms, surroundings; and those that only follow it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from whence.data.load import read
from whence.studies.evidence.evidence import Evidence
from whence.studies.evidence.offers import offers
from whence.studies.evidence.sheet import make_sheet, nesting
from whence.studies.words import descriptions

N = 900


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def look(columns: dict[str, Any], about: str = "", treatment: str = "d") -> Evidence:
    rng = np.random.default_rng(8)
    extra = {"y": rng.normal(size=N), "age": rng.integers(18, 80, N), "height": rng.normal(size=N)}
    table = read({**columns, **extra})
    return offers(make_sheet(table, treatment, "y", descriptions(about, table.names)))[0]


def test_a_one_sided_offer(rng: np.random.Generator) -> None:
    z = rng.integers(0, 2, N)
    found = look({"z": z, "d": z * rng.integers(0, 2, N)})
    assert found.columns["instruments"] == ("z",)
    assert found.strength > 1.5
    assert found.measured["nested"]


def test_words_make_a_weak_offer_count(rng: np.random.Generator) -> None:
    z = rng.integers(0, 2, N)
    columns = {"z": z, "d": rng.binomial(1, 0.4 + 0.15 * z)}
    silent = look(columns).strength
    said = look(columns, "z: whether the household was randomly invited\nd: whether it attended the course\n")
    assert said.strength > silent + 1
    assert said.strength > 2


def test_not_being_in_the_control_group_is_an_offer(rng: np.random.Generator) -> None:
    control = rng.integers(0, 2, N)
    columns = {"control_group": control, "d": (1 - control) * rng.integers(0, 2, N)}
    assert look(columns).measured["nested"]


def test_what_only_the_treated_have_follows_the_treatment(rng: np.random.Generator) -> None:
    d = rng.integers(0, 2, N)
    assert look({"opened": d * rng.integers(0, 2, N), "d": d}).strength < 1


def test_levels_of_one_variable_are_no_instruments_of_each_other(rng: np.random.Generator) -> None:
    where = rng.integers(0, 4, N)
    assert look({"east": (where == 1) * 1, "west": (where == 2) * 1, "d": (where == 0) * 1}).strength < 1


def test_arms_of_an_experiment_are_several_instruments(rng: np.random.Generator) -> None:
    arm = rng.integers(1, 4, N)
    columns = {"arm": arm, "low": (arm == 2) * 1, "high": (arm == 3) * 1, "d": rng.poisson(2 + 3 * arm)}
    about = "arm: experimental group, 1 control, 2 low pay, 3 high pay\nd: number of visits bought\n"
    assert look(columns, about).columns["instruments"] == ("high", "low")


def test_an_amount_is_moved_by_what_surrounds_people(rng: np.random.Generator) -> None:
    supply = rng.normal(size=N)
    columns = {"clinic_density": supply, "d": 20 + supply + 2 * rng.normal(size=N)}
    assert look(columns).columns["instruments"] == ("clinic_density",)
    assert look(columns).strength > 2


def test_without_a_first_stage_there_is_no_instrument(rng: np.random.Generator) -> None:
    assert look({"z": rng.integers(0, 2, N), "d": rng.integers(0, 2, N)}).strength < 0


def test_logic_needs_enough_rows() -> None:
    z = np.array([1.0] * 4 + [0.0] * 4)
    t = np.array([1.0] * 2 + [0.0] * 6)
    assert nesting(z, t) == 0
    assert nesting(np.tile(z, 20), np.tile(t, 20)) == 1
    assert nesting(np.tile(t, 20), np.tile(z, 20)) == -1
    assert nesting(np.tile(1 - z, 20), np.tile(t, 20)) == 2
