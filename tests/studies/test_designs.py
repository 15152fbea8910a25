"""Words that point to a design that cannot be estimated yet stop a study found from words alone."""

from __future__ import annotations

import numpy as np
import pytest

import whence
from whence.studies.designs import other_design


@pytest.mark.parametrize(("text", "strategy"), [
    ("Pupils with a score above 70 received the scholarship.", "rdd"),
    ("We use a regression discontinuity at the border.", "rdd"),
    ("Farms of 5 hectares or more were eligible.", "rdd"),
    ("'late' says whether the visit took place before or after the reform.", "did"),
    ("The law was staggered over the states.", "did"),
    ("Rainfall is the instrumental variable.", "iv"),
    ("Some patients were encouraged by letter to get the vaccine.", "iv"),
    ("People choose the programme themselves; age and income were recorded.", None),
    ("A study of music lessons and instruments played at home.", None),
])
def test_cues(text: str, strategy: str | None) -> None:
    cue = other_design(text)
    assert (cue.strategy if cue else None) == strategy


RNG = np.random.default_rng(1)
DATA = {"grant": RNG.integers(0, 2, 200), "grades": RNG.normal(size=200), "age": RNG.normal(size=200)}
ABOUT = ("grant: whether the pupil got the grant\ngrades: final grades\n"
         "Pupils with scores above 70 received the grant.\n")


def test_a_study_from_words_stops_and_says_why() -> None:
    refused = whence.study(DATA, "Does the grant raise grades?", ABOUT).plan.refused
    assert refused is not None
    assert refused.code == "no_estimator"
    assert "discontinuity" in refused.reason
    assert "above 70" in refused.evidence["sentence"]


@pytest.mark.parametrize("override", [
    {"controls": ["age"]}, {"graph": "age --> grant; age --> grades; grant --> grades"},
])
def test_controls_or_a_graph_override_it(override: dict) -> None:
    assert whence.study(DATA, "Does the grant raise grades?", ABOUT, **override).plan.spec is not None


def test_a_randomised_study_measured_before_and_after_is_an_experiment() -> None:
    words = "were randomly assigned and tested before and after"
    about = ABOUT.replace("with scores above 70 received the grant", words)
    plan = whence.study(DATA, "Does the grant raise grades?", about).plan
    assert plan.spec is not None
    assert plan.spec.strategy == "rct"
