"""Sentence patterns: cause, outcome, comparison, population, what is held fixed."""

from __future__ import annotations

import pytest

from whence.studies.grammar import phrases, read_phrases, weigh
from whence.studies.stems import stem


@pytest.mark.parametrize(("question", "treatment", "outcome"), [
    ("Did the minimum wage increase affect jobs?", "the minimum wage increase", "jobs"),
    ("Does number of siblings have an effect on years of schooling?", "number of siblings", "years of schooling"),
    ("Does a rise in trust causally increase support for parks?", "trust", "support for parks"),
    ("Did the ban lead to a reduction in (log) burglaries compared to towns without it?", "the ban",
                                          "(log) burglaries"),
    ("Do pupils who get a tablet have better grades?", "get a tablet", "better grades"),
    ("Are voters more likely to trust the count when they vote by mail?", "they vote by mail", "trust the count"),
    ("Are women more likely to take early retirement?", "women", "take early retirement"),
    ("Do landlords respond differently to foreign names?", "foreign names", "landlords respond"),
    ("Did sales rise after the campaign?", "the campaign", "sales"),
    ("How does rainfall shape migration?", "rainfall", "migration"),
    ("Is later start of school effective at raising sleep?", "later start of school", "sleep"),
    ("Can the new rule speed up approvals?", "the new rule", "approvals"),
    ("What difference does tutoring make to reading scores?", "tutoring", "reading scores"),
    ("Does it matter for survival whether surgery is early?", "surgery is early", "survival"),
    ("How important is sleep for memory?", "sleep", "memory"),
    ("I want to know whether coffee raises blood pressure.", "coffee", "blood pressure"),
    ("Could offering classes result in less anxiety among adults?", "offering classes", "less anxiety"),
    ("Does lowering tariffs improve the amount of goods imported?", "lowering tariffs", "the amount of goods imported"),
    ("Among women, what is the effect of aspirin on stroke?", "aspirin", "stroke"),
])
def test_phrases(question: str, treatment: str, outcome: str) -> None:
    assert phrases(question) == (treatment, outcome)


def test_the_other_parts() -> None:
    read = read_phrases("How does being offered a voucher, compared to a leaflet, affect enrolment among girls while "
                        "controlling for age?")
    assert (read.treatment, read.outcome) == ("being offered a voucher", "enrolment")
    assert read.comparison == "compared to a leaflet"
    assert read.population == ("among girls",)
    assert read.held.startswith("while controlling for age")


def test_nothing_fits() -> None:
    read = read_phrases("Coffee and heart rate?")
    assert not read.fits
    assert read.treatment == read.outcome


def test_the_head_weighs_most_and_words_of_quantity_least() -> None:
    weights = weigh("the rate of home ownership in poor districts")
    assert weights[stem("ownership")] > weights[stem("home")] > weights[stem("rate")]
    assert weights[stem("home")] > weights[stem("districts")]
