"""Words of designs, their denial, and the columns and numbers that a sentence about a cutoff names."""

from __future__ import annotations

import pytest

from whence.studies.evidence.evidence import totals
from whence.studies.evidence.phrases import words_of_design
from whence.studies.words import descriptions


@pytest.mark.parametrize(("about", "design"), [
    ("Villages were randomly assigned to a clinic or to none.", "rct"),
    ("The clinic was not randomly assigned; families chose it.", "adjustment"),
    ("This observational study follows nurses from several hospitals.", "adjustment"),
    ("Some growers were randomly selected and offered insurance. Not all who were offered took it up.", "iv"),
    ("Parents were encouraged by letter to have their child vaccinated; some did not comply.", "iv"),
    ("Rainfall serves as an instrument for harvests.", "iv"),
    ("Pupils with a score of 60 or higher received the grant.", "rdd"),
    ("Firms with more than 50 workers are required to report.", "rdd"),
    ("The running variable is the date of birth.", "rdd"),
    ("States adopted the law at different times.", "did"),
    ("late: whether the visit took place before (0) or after (1) the reform", "did"),
    ("The effect runs entirely through hours of practice, the mediator.", "frontdoor"),
    ("A list of schools with their size.", "adjustment"),
])
def test_words(about: str, design: str) -> None:
    assert next(iter(totals(words_of_design("", about)))) == design


def test_a_subpopulation_in_a_question_is_no_rule() -> None:
    found = words_of_design("Among adults with an income above 40, what is the effect of receiving loans?", "")
    assert "rdd" not in {e.design for e in found}


def test_the_running_variable_and_the_cutoff_are_named() -> None:
    about = "need_score: points given by the office\nFamilies with a need score above 12.5 qualified for the subsidy.\n"
    columns = ("subsidy", "need_score", "age")
    evidence = {e.design: e for e in words_of_design("", about, columns, descriptions(about, columns))}["rdd"]
    assert evidence.columns["running_variable"][0] == "need_score"
    assert evidence.cutoff == 12.5
    assert "qualified" in evidence.quote
