"""Phrases find their columns: by name, description, synonym, abbreviation, acronym, and in spite of a misspelling."""

from __future__ import annotations

import pytest

from whence.studies.matching import Vocabulary
from whence.studies.words import descriptions

ABOUT = """The variables:
hhinc: total monthly household income
food_exp: monthly household expenditure on food
EV: 1 if electronic, 0 if paper
votesharechange: change since the last race
mort: deaths per 1,000 people
educ: years of schooling
will_pay: willingness to pay for water
"""
COLUMNS = ["hhinc", "food_exp", "EV", "votesharechange", "mort", "educ", "will_pay"]


@pytest.mark.parametrize(("phrase", "column"), [
    ("household earnings", "hhinc"), ("spending on food", "food_exp"), ("electronic voting", "EV"),
    ("the change in the mayor's vote share", "votesharechange"), ("mortality", "mort"), ("education", "educ"),
    ("dying", "mort"), ("expendititure on food", "food_exp"), ("will_pay", "will_pay"), ("the hhinc column", "hhinc"),
])
def test_phrases_find_their_column(phrase: str, column: str) -> None:
    scores = Vocabulary(COLUMNS, descriptions(ABOUT, COLUMNS)).scores(phrase)
    assert max(scores, key=lambda c: (scores[c], c)) == column


def test_what_fits_nothing_scores_nothing() -> None:
    assert Vocabulary(COLUMNS, {}).scores("quantum gravity") == {}


def test_the_order_of_the_columns_does_not_matter() -> None:
    told = descriptions(ABOUT, COLUMNS)
    assert Vocabulary(COLUMNS, told).scores("food costs") == Vocabulary(COLUMNS[::-1], told).scores("food costs")
