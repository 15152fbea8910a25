"""Tokens and descriptions: what the text says about each column."""

from __future__ import annotations

import pytest

from whence.studies.words import descriptions, stem, tokens


@pytest.mark.parametrize(("a", "b"), [
    ("quitting", "quit"), ("smoking", "smoke"), ("earnings", "earn"), ("enrolled", "enroll"), ("policies", "policy"),
    ("trainee", "trained"),
])
def test_word_forms_share_a_stem(a: str, b: str) -> None:
    assert stem(a) == stem(b)


def test_column_names_are_split() -> None:
    assert tokens("jobTraining_1982") == (stem("job"), stem("training"), "1982")
    assert tokens("the effect of") == ()


def test_lines_with_a_colon_describe_columns() -> None:
    about = ("Data on workers.\nre78: real earnings in 1978\n- treat: 1 if trained, 0 otherwise\n"
             "age, education: in years\n")
    found = descriptions(about, ["re78", "treat", "age", "education", "black"])
    assert found["re78"].text == "real earnings in 1978"
    assert found["treat"].text == "1 if trained, 0 otherwise"
    assert found["education"].text == "in years"
    assert "black" not in found


def test_running_text_describes_columns() -> None:
    about = ("The study followed patients. The 'stress_level' measures self-reported stress. "
             "Finally, 'final_score' is the score after therapy.")
    found = descriptions(about, ["stress_level", "final_score"])
    assert found["stress_level"].text.startswith("measures self-reported stress")
    assert "after therapy" in found["final_score"].text


def test_a_name_inside_another_word_is_not_a_mention() -> None:
    assert descriptions("The average wage is high.", ["age"]) == {}


@pytest.mark.parametrize(("about", "text"), [
    ("dose - milligrams a day", "milligrams a day"), ("* **dose** - milligrams a day", "milligrams a day"),
    ("| dose | milligrams a day |", "milligrams a day"), ("1. dose = milligrams a day", "milligrams a day"),
    ("We hold age (years), dose (milligrams a day) and more.", "milligrams a day"),
    ("We know the milligrams a day ('dose') of each.", "We know the milligrams a day"),
    ("age: in years, dose: milligrams a day", "milligrams a day"), ("dosse_mg: unused\ndose: milligrams a day",
                                                                    "milligrams a day"),
    ("dose (mg): milligrams a day", "milligrams a day (mg)"), ("dose, age: milligrams a day", "milligrams a day"),
])
def test_forms_of_a_description(about: str, text: str) -> None:
    assert descriptions(about, ["age", "dose"])["dose"].text == text


def test_names_misspelt_in_a_list_or_with_spaces_and_runs_of_numbers() -> None:
    assert descriptions("polarchy_index: from 0 to 1", ["polyarchy_index"])["polyarchy_index"].text == "from 0 to 1"
    assert "milligrams" in descriptions("The daily dose is in milligrams.", ["daily_dose"])["daily_dose"].text
    runs = descriptions("The confounders (x1-x3) are measured at birth.", ["x1", "x2", "x3", "x4"])
    assert set(runs) == {"x1", "x2", "x3"}


@pytest.mark.parametrize("about", ["", ":::", "x: \ny:", "|x|y|\n|-|-|", "x1-x99999999", "(((", "does " * 3000])
def test_odd_texts_are_read_quickly_and_quietly(about: str) -> None:
    assert set(descriptions(about, ["x", "a(b", "[", " ", ""])) <= {"x"}
