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
