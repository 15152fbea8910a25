"""Roles that a description gives to columns."""

from __future__ import annotations

import pytest

from whence.studies.mentions import described_roles

ABOUT = """Families won or lost a lottery for a place in the centre. The main outcome of interest is the reading score.
Pupils with an entry mark above 70 qualified for the programme.
won: whether the family was randomly assigned a place
went: whether the child actually attended the centre
reading: reading score at follow-up
income0: income at baseline
entry: the entry mark
year: Year of observation
hid: unique identifier of the household
w: survey weight
rainy: rainfall, used as an instrument
area: cluster of villages
"""
COLUMNS = ["won", "went", "reading", "income0", "entry", "year", "hid", "w", "rainy", "area"]


@pytest.mark.parametrize(("column", "role"), [
    ("won", "assignment"), ("went", "take_up"), ("reading", "outcome"), ("reading", "post_treatment"), ("income0",
                                                                                                        "control"),
    ("entry", "running"), ("entry", "cutoff value"), ("year", "time"), ("hid", "unit"), ("w", "weight"),
    ("rainy", "instrument"), ("area", "cluster"),
])
def test_roles(column: str, role: str) -> None:
    found = {(m.column, m.role): m for m in described_roles(ABOUT, COLUMNS)}
    assert (column, role) in found
    assert 0 < found[column, role].strength <= 1
    if role == "cutoff value":
        assert found[column, role].value == 70


def test_strongest_first_and_nothing_from_nothing() -> None:
    strengths = [m.strength for m in described_roles(ABOUT, COLUMNS)]
    assert strengths == sorted(strengths, reverse=True)
    assert described_roles("", ["a", "b"]) == []


@pytest.mark.parametrize("words", ["Treatment × Post indicator", "treat x post", "treated * after the reform",
                                   "treatment interacted with period"])
def test_the_product_of_treated_and_after_is_a_treatment(words: str) -> None:
    found = described_roles(f"dd: {words}\nincome: yearly income", ["dd", "income"])
    assert any(m.column == "dd" and m.role == "treatment" and m.strength >= 0.9 for m in found)
