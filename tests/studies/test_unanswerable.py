"""Ten questions that the data cannot answer: each is refused, with the right reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import whence
from whence.report.finding import Finding

N = 400
RNG = np.random.default_rng(8)
AGE = RNG.normal(40, 10, N).round()
COURSE = (RNG.random(N) < 1 / (1 + np.exp(-(AGE - 40) / 10))).astype(int)
WAGE = 10 + 0.1 * AGE + COURSE + RNG.normal(size=N)
DATA: dict[str, Any] = {"age": AGE, "course": COURSE, "wage": WAGE}
ABOUT = "age: age in years\ncourse: whether the worker took the course in 2005\nwage: hourly wage in 2008\n"
YEARS, FIRMS = 6, 40


def ask(question: str, changed: Mapping[str, Any] | None = None, about: str = ABOUT, **more: Any) -> Finding:
    return whence.study({**DATA, **(changed or {})}, question, about, **more).run()


def refused(finding: Finding) -> str:
    assert finding.effect is None
    assert finding.refused is not None
    assert finding.refused.remedy
    return finding.refused.code


def test_it_can_be_answered_as_it_stands() -> None:
    assert ask("Does the course raise the wage?").effect is not None


def test_outcome_not_in_the_table() -> None:
    finding = ask("Does the course reduce smoking?")
    assert refused(finding) == "question_unclear"
    assert "smoking" in str(finding.refused)


def test_treatment_not_in_the_table() -> None:
    finding = ask("Does a tax on sugar raise the wage?")
    assert refused(finding) == "question_unclear"
    assert "sugar" in str(finding.refused)


def test_everybody_was_treated() -> None:
    finding = ask("Does the course raise the wage?", {"course": np.ones(N, dtype=int)})
    assert refused(finding) == "treatment_constant"


def test_the_outcome_never_differs() -> None:
    assert refused(ask("Does the course raise the wage?", {"wage": np.full(N, 12.0)})) == "outcome_constant"


def test_the_cause_comes_after_the_effect() -> None:
    about = ABOUT.replace("hourly wage in 2008", "hourly wage in 1999")
    finding = ask("Does the course raise the wage?", about=about)
    assert refused(finding) == "cause_after_effect"
    assert "1999" in str(finding.refused)


def test_only_columns_from_after_the_treatment_could_be_adjusted_for() -> None:
    finding = ask("Does the course raise the wage?", graph="dag { talent [latent] talent -> course; talent -> wage; "
                  "course -> wage; course -> age; talent -> age }")
    assert refused(finding) == "not_identified"


def test_a_control_that_follows_from_the_treatment() -> None:
    finding = ask("Does the course raise the wage?", graph="course --> age; age --> wage; course --> wage",
                  controls=["age"])
    assert refused(finding) == "post_treatment_control"
    assert "age" in str(finding.refused)


def test_everybody_starts_at_once_and_nobody_is_left_to_compare_with() -> None:
    year = np.tile(np.arange(2000, 2000 + YEARS), FIRMS)
    data = {"firm": np.repeat([f"firm {i}" for i in range(FIRMS)], YEARS), "year": year,
            "law": (year >= 2003).astype(int), "wage": RNG.normal(10, 1, YEARS * FIRMS)}
    about = ("firm: name of the firm\nyear: year of observation\nlaw: whether the law is in force in that year\n"
             "wage: mean wage\nThe law came into force in 2003, and we compare before and after.\n")
    finding = whence.study(data, "Did the law raise the wage?", about).run()
    assert refused(finding) == "no_untreated"


def test_treatment_decided_by_a_control_leaves_no_one_alike() -> None:
    finding = ask("Does the course raise the wage?", {"course": (AGE > 40).astype(int)}, controls=["age"])
    assert refused(finding) == "no_overlap"


def test_the_words_name_a_cutoff_that_no_column_holds() -> None:
    about = ABOUT + "Workers with a score above 70 in the entrance test received the course.\n"
    chance = RNG.integers(0, 2, N)
    assert refused(ask("Does the course raise the wage?", {"course": chance}, about)) == "design_incomplete"


def test_a_name_is_no_outcome() -> None:
    finding = ask("Does the course raise the wage?", {"wage": [f"worker {i}" for i in range(N)]})
    assert refused(finding) == "question_unclear"
