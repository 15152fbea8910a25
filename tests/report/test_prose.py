"""The words come from the numbers: change a number of the effect and the sentence changes with it."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.estimation.effect import summarise
from whence.report import numbers, prose
from whence.report.finding import Finding
from whence.report.ground import causal_ground
from whence.report.html import render
from whence.report.text import plain

_SPEC = importlib.util.spec_from_file_location("report_examples", Path(__file__).with_name("examples.py"))
assert _SPEC is not None and _SPEC.loader is not None
examples = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(examples)

NUMBER = re.compile(r"−?\d[\d,]*(?:\.\d+)?")


def test_the_answer_names_treatment_outcome_contrast_quantity_and_interval() -> None:
    assert prose.answer_sentence(examples.smoking()) == (
        "Under the assumptions stated, setting qsmk to 1 rather than 0 raises weight by 3.44 on average over everybody "
        "in the data (95% interval 2.48 to 4.40).")


def test_an_interval_across_zero_is_compatible_with_no_effect() -> None:
    said = prose.answer_sentence(examples.no_effect())
    assert "compatible with no effect of qsmk on weight" in said
    assert "+0.44" in said and "−0.75 to 1.64" in said
    assert "raises" not in said
    assert "not evidence that the effect is zero" in prose.points(examples.no_effect())[0].text


def test_a_randomised_design_says_so_and_names_the_population() -> None:
    finding = examples.experiment()
    said = prose.answer_sentence(finding)
    assert said.startswith("As treat was assigned at random, setting treat to 1 rather than 0 raises earnings by 1,794")
    assert "everybody in the data with age ≥ 18" in said
    assert "assigned at random" in plain(causal_ground(finding.effect))
    assert "nobody measured" not in prose.carried(finding)


def test_a_probability_is_said_in_percentage_points_of_those_concerned() -> None:
    said = prose.answer_sentence(examples.probability())
    assert "lowers the probability that ill is yes by 8.3 percentage points" in said
    assert "on average over those with vaccine = given" in said
    assert "5.9 to 10.7" in said


def test_a_dose_and_a_tiny_effect() -> None:
    said = prose.answer_sentence(examples.dose())
    assert "one more unit of dose raises weight" not in said
    assert "one more unit of dose raises response by 2.13 × 10⁻⁷" in said


def test_a_step_down_of_a_dose() -> None:
    finding = examples.dose()
    effect = dataclasses.replace(finding.effect, contrast="dose: -2.5 units")
    assert "2.5 fewer units of dose" in prose.answer_sentence(dataclasses.replace(finding, effect=effect))


def test_what_the_interval_carries_and_what_it_does_not() -> None:
    said = prose.carried(examples.smoking())
    assert "sampling error" in said
    assert "nobody measured" in said and "choice of the graph" in said


def test_worries_lead_the_verdict() -> None:
    said = prose.sureness(examples.smoking())
    assert "one of the five checks gives reason to worry" in said
    assert "not assigned by chance" in said


def test_a_refusal_has_a_sentence_and_a_remedy() -> None:
    finding = examples.not_identified()
    assert prose.answer_sentence(finding) == (
        "These data do not answer the question: no set of measured columns blocks the path through ability.")
    assert prose.sureness(finding).startswith("Measure ability")
    assert prose.answer_sentence(Finding(None, None, "x", None)) == "There is no answer."


def test_other_methods_inside_and_outside_the_interval() -> None:
    inside = next(p for p in prose.points(examples.smoking()) if p.title == "Other methods")
    assert inside.leaning == "for" and "+3.32 to +3.46" in inside.text and "+2.54" in inside.text
    far = dataclasses.replace(examples.smoking(), alternatives=(examples.effect(9.0, 0.4, method="ipw"),))
    outside = next(p for p in prose.points(far) if p.title == "Other methods")
    assert outside.leaning == "against" and "outside our interval" in outside.text


def _with(estimate: float, error: float) -> Finding:
    finding = examples.smoking(alternatives=(), checks=(), warnings=())
    interval, p = summarise(estimate, error)
    effect = dataclasses.replace(finding.effect, estimate=estimate, standard_error=error, interval=interval, p_value=p,
                                 n=1234, warnings=())
    return dataclasses.replace(finding, effect=effect)


def _answer_numbers(finding: Finding) -> list[str]:
    """Every number in the answer and the reasons, with figures and tags taken out."""
    page = render(finding)
    part = page[page.index('<section id="answer"') : page.index('<section id="graph"')]
    words = re.sub(r"<svg.*?</svg>|<var>.*?</var>|<[^>]+>", " ", part, flags=re.DOTALL)
    return NUMBER.findall(words)


@given(st.floats(-500, 500), st.floats(0.01, 100))
def test_every_number_in_the_answer_is_a_value_of_the_object(estimate: float, error: float) -> None:
    finding = _with(estimate, error)
    effect = finding.effect
    written = prose.effect_scale(finding)
    known = {written.number(v) for v in (effect.estimate, *effect.interval, effect.standard_error)}
    known |= {written.size(v) for v in (effect.estimate, *effect.interval)}
    known |= {"1,234", "95", *NUMBER.findall(numbers.p_value(effect.p_value))}
    found = _answer_numbers(finding)
    assert set(found) <= known
    assert written.size(effect.estimate) in {f.lstrip("−") for f in found}


@pytest.mark.parametrize("change", [{"estimate": 4.06}, {"interval": (1.11, 5.77)}, {"p_value": 0.0172},
                                    {"standard_error": 0.61}, {"n": 1400}])
def test_changing_a_number_changes_the_page(change: dict) -> None:
    finding = _with(3.44, 0.48)
    other = dataclasses.replace(finding, effect=dataclasses.replace(finding.effect, **change))
    assert _answer_numbers(finding) != _answer_numbers(other)


def test_an_interval_without_zero_never_seems_to_touch_it() -> None:
    finding = _with(3.44, 0.48)
    effect = dataclasses.replace(finding.effect, interval=(0.003, 6.87), standard_error=1.75)
    said = prose.answer_sentence(dataclasses.replace(finding, effect=effect))
    assert "0.003 to 6.870" in said
