"""For whom a question asks, as conditions on columns; and logarithms, lags and arms."""

from __future__ import annotations

from typing import Any

import pytest

from whence.identification.spec import Condition
from whence.studies.question import Reading, read_question
from whence.studies.subpopulation import codes
from whence.studies.words import descriptions

ABOUT = """pill: whether the person took the pill (1 = yes, 0 = no)
pain: pain on a scale from 0 to 10
male: 1 = male, 0 = female
region: part of the country
age: age in years
propensity: predicted propensity to seek care
kids: number of children
smoker: smoking status, 1 if the person smokes, 0 otherwise
dose: 0 = placebo, 1 = low dose, 2 = high dose
"""
COLUMNS = ["pill", "pain", "male", "region", "age", "propensity", "kids", "smoker", "dose"]
LEVELS: dict[str, list[Any]] = {"pill": [0, 1], "male": [0, 1], "region": ["North", "South", "West"], "smoker": [0, 1],
                                "dose": [0, 1, 2]}


def read(question: str) -> Reading:
    return read_question(question, COLUMNS, descriptions(ABOUT, COLUMNS), ABOUT, ["pill", "male", "smoker"],
                                                         levels=LEVELS)


@pytest.mark.parametrize(("whom", "conditions"), [
    ("among women", [Condition("male", "==", 0)]), ("for men", [Condition("male", "==", 1)]),
    ("among people in the South", [Condition("region", "==", "South")]),
    ("among people older than 40", [Condition("age", ">", 40.0)]),
    ("among adults aged 25 to 64", [Condition("age", ">=", 25.0), Condition("age", "<=", 64.0)]),
    ("for households with at least 2 children", [Condition("kids", ">=", 2.0)]),
    ("among those with a propensity of at most 0.68", [Condition("propensity", "<=", 0.68)]),
    ("among smokers", [Condition("smoker", "==", 1)]),
    ("among non-smokers", [Condition("smoker", "!=", 1)]),
    ("among men older than 40", [Condition("age", ">", 40.0), Condition("male", "==", 1)]),
])
def test_conditions(whom: str, conditions: list[Condition]) -> None:
    for question in (f"What is the effect of the pill on pain {whom}?",
                     f"{whom.capitalize()}, does the pill reduce pain?".replace("Among people", "among people")):
        asked = read(question).subpopulation
        assert asked is not None, question
        assert set(asked.conditions) == set(conditions)
        assert asked.score > 0.5


@pytest.mark.parametrize("whom", ["", "among patients", "among people with high blood pressure",
                         "for children in care"])
def test_no_condition_without_a_column_that_decides_it(whom: str) -> None:
    assert read(f"What is the effect of the pill on pain {whom}?").subpopulation is None


def test_those_who_took_it_are_the_treated() -> None:
    reading = read("What is the effect of the pill on pain for people who actually took the pill?")
    assert reading.on_the_treated
    assert reading.subpopulation is None


def test_codes_of_a_description() -> None:
    assert codes("1 = male, 0 = female") == {1.0: ("male", False), 0.0: ("female", False)}
    assert codes("whether the home is urban (1) or rural (0)")[0.0] == ("rural", False)
    assert codes("1 if the person smokes, 0 otherwise")[1.0] == ("the person smokes", False)
    assert codes("smoker (1) or not (0)")[0.0][1]


def test_logarithm_lag_and_arms() -> None:
    assert read("Does the pill reduce (log) pain?").transform == {"outcome": "log"}
    assert read("Does the pill reduce pain?").transform is None
    assert read("Does the pill reduce pain two years later?").lag == 2
    assert read("How does the pill in the previous year affect pain?").lag == 1
    assert read("What is the effect of a high dose on pain compared to a placebo?").contrast == (2, 0)
    assert read("Does the pill reduce pain?").contrast is None
