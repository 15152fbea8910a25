"""Coding of treatments and contrasts."""

from __future__ import annotations

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.estimation.treatment import affirmative, canonical, code_treatment, find_level
from whence.identification.spec import Contrast


def coded(make_table, values, kind, contrast=None, **more):
    column = make_table({"t": values}, t=kind).column("t")
    answer = code_treatment(column, np.arange(len(values)), contrast, **more)
    return answer if isinstance(answer, Refused) else answer[0]


@pytest.mark.parametrize(("values", "arms"), [
    ([0, 1, 1], ("0", "1")), ([1.0, 2.0, 2.0], ("1", "2")), ([False, True, True], ("False", "True")),
    (["yes", "no", "no"], ("no", "yes")), (["control", "drug", "drug"], ("control", "drug")),
    (["placebo", "active", "active"], ("placebo", "active")), (["treated", "zebra", "zebra"], ("zebra", "treated")),
    (["a", "b", "b"], ("a", "b")),
])
def test_which_of_two_is_treated(make_table, values, arms):
    assert coded(make_table, values, "binary").arms == arms


@pytest.mark.parametrize("treated", [1, 1.0, "1", True, "1.0", "true"])
def test_contrast_matches_however_it_is_written(make_table, treated):
    t = coded(make_table, [0.0, 1.0, 0.0, 1.0], "binary", Contrast(treated, None))
    assert t.arms == ("0", "1") and t.codes.tolist() == [0, 1, 0, 1]


def test_contrast_can_turn_the_arms_round(make_table):
    t = coded(make_table, [0, 1, 0, 1], "binary", Contrast(0, 1))
    assert t.arms == ("1", "0") and t.codes.tolist() == [1, 0, 1, 0]
    assert coded(make_table, [0, 1, 1], "binary", Contrast(None, 1)).arms == ("1", "0")


def test_several_arms(make_table):
    values = ["low", "high", "none", "mid", "low"]
    t = coded(make_table, values, "categorical", Contrast("high", "low"))
    assert t.arms == ("low", "high", "mid", "none") and t.labels == ("high vs low", "mid vs low", "none vs low")
    assert coded(make_table, values, "categorical").arms[0] == "none"
    assert coded(make_table, values, "categorical", Contrast("high")).arms[:2] == ("none", "high")


def test_choices_that_were_not_clear_are_said(make_table):
    for values, kind, said in (([0, 1], "binary", 0), (["a", "b"], "binary", 1), (["x", "y", "z"], "categorical", 1)):
        column = make_table({"t": values}, t=kind).column("t")
        answer = code_treatment(column, np.arange(len(values)), None)
        assert not isinstance(answer, Refused) and len(answer[1]) == said


def test_doses(make_table):
    values = [1.0, 2.5, 4.0, 4.0]
    assert coded(make_table, values, "continuous").step == 1
    dose = coded(make_table, values, "continuous", Contrast(16, 12))
    assert not dose.discrete and dose.step == 4 and dose.labels == ("+4 units",)
    grades = [1, 2, 3, 3]
    assert not coded(make_table, grades, "ordinal").discrete
    assert coded(make_table, grades, "ordinal", arms=True).arms == ("1", "2", "3")
    assert coded(make_table, grades, "ordinal", Contrast(3, 1)).arms == ("1", "3", "2")


@pytest.mark.parametrize(("values", "kind", "code"), [
    ([1, 1, 1], "binary", "treatment_constant"), ([2.0, 2.0], "continuous", "treatment_constant"),
    (list(range(25)), "categorical", "too_many_arms"),
])
def test_refusals(make_table, values, kind, code):
    answer = coded(make_table, values, kind)
    assert isinstance(answer, Refused) and answer.code == code and answer.remedy and answer.evidence


@pytest.mark.parametrize(("values", "kind", "contrast", "code"), [
    ([0, 1], "binary", Contrast(2, 0), "unknown_level"), ([0, 1], "binary", Contrast(1, 1), "bad_contrast"),
    ([0.0, 1.0, 2.0], "continuous", Contrast("a", "b"), "bad_contrast"),
    ([0.0, 1.0, 2.0], "continuous", Contrast(1, 1), "bad_contrast"),
])
def test_errors(make_table, values, kind, contrast, code):
    with pytest.raises(WhenceError) as error:
        coded(make_table, values, kind, contrast)
    assert error.value.code == code


def test_levels_prefer_the_exact_match():
    assert find_level("t", "A", ["a", "A"]) == 1
    assert find_level("t", "1.0", ["1", "1.0"]) == 1
    assert canonical(" TRUE ") == 1.0 and canonical("Yes") == "yes"
    assert affirmative(["yes", "no"]) == 0 and affirmative(["no", "yes"]) == 1 and affirmative([5, 7]) == 1
