"""Questions in plain words: phrases, matches, and honesty about close calls."""

from __future__ import annotations

import pytest

from whence.studies.question import phrases, randomised, read_question
from whence.studies.words import descriptions

ABOUT = """coffee_cups: cups of coffee drunk each morning
heart_rate: resting heart rate in beats per minute
prior_heart_rate: resting heart rate one year before
older: 1 if over 60
"""
COLUMNS = ["coffee_cups", "heart_rate", "prior_heart_rate", "older"]


@pytest.mark.parametrize(("question", "treatment", "outcome"), [
    ("What is the effect of drinking coffee on heart rate?", "drinking coffee", "heart rate"),
    ("Does drinking coffee raise the heart rate?", "drinking coffee", "the heart rate"),
    ("How does coffee affect heart rate?", "coffee", "heart rate"),
    ("How much heart rate does coffee add?", "coffee", "heart rate"),
    ("What happens to heart rate when people drink coffee?", "people drink coffee", "heart rate"),
    ("What effect does coffee have on heart rate?", "coffee", "heart rate"),
    ("What is the relationship between coffee and heart rate?", "coffee", "heart rate"),
])
def test_phrases(question: str, treatment: str, outcome: str) -> None:
    assert phrases(question) == (treatment, outcome)
    reading = read_question(question, COLUMNS, descriptions(ABOUT, COLUMNS), ABOUT)
    assert reading.treatment is not None
    assert reading.treatment.column == "coffee_cups"
    assert reading.outcome is not None
    assert reading.outcome.column == "heart_rate"


def test_nothing_that_fits_is_said() -> None:
    reading = read_question("Does tea cause insomnia?", COLUMNS, descriptions(ABOUT, COLUMNS), ABOUT)
    assert reading.treatment is None
    assert reading.outcome is None


def test_two_columns_that_fit_alike_are_close() -> None:
    reading = read_question("Does coffee raise blood pressure?", ["coffee", "blood_pressure_left",
                                                                  "blood_pressure_right"], {})
    assert reading.outcome is not None
    assert reading.outcome.close


def test_the_order_of_the_columns_does_not_matter() -> None:
    question = "Does coffee raise the heart rate?"
    a = read_question(question, COLUMNS, descriptions(ABOUT, COLUMNS), ABOUT)
    b = read_question(question, COLUMNS[::-1], descriptions(ABOUT, COLUMNS[::-1]), ABOUT)
    assert a == b


def test_roles_given_by_the_user_win() -> None:
    reading = read_question("Does coffee raise the heart rate?", COLUMNS, {}, outcome="older")
    assert reading.outcome is not None
    assert reading.outcome.column == "older"
    assert not reading.outcome.close


@pytest.mark.parametrize(("text", "expected"), [
    ("Villages were randomly assigned to the programme.", True),
    ("A randomised trial of 300 patients.", True),
    ("Places were drawn by lot.", True),
    ("The programme was not randomly assigned.", False),
    ("A non-randomised comparison.", False),
    ("People chose the programme themselves.", False),
])
def test_randomised_reads_negation(text: str, expected: bool) -> None:
    assert (randomised(text) is not None) is expected


@pytest.mark.parametrize("question", ["", "?", "a", "effect of on", "(((", "Does [x reduce y?", "日本語",
                                      "does " * 2000, "Among , does x affect y?", "If x, y?"])
def test_odd_questions_are_read_quickly_and_quietly(question: str) -> None:
    reading = read_question(question, ["x", "a(b", "", "2020"], {}, levels={"x": [0, None, "x", 2.5]})
    assert reading.lag is None
