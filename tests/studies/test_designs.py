"""Designs that the words speak of and the table cannot carry stop a study; the user's own choice overrides it."""

from __future__ import annotations

import numpy as np
import pytest

import whence

RNG = np.random.default_rng(1)
DATA = {"grant": RNG.integers(0, 2, 200), "grades": RNG.normal(size=200), "age": RNG.normal(size=200)}
ABOUT = ("grant: whether the pupil got the grant\ngrades: final grades\n"
         "Pupils with scores above 70 received the grant.\n")


def test_a_design_without_its_column_stops_and_says_why() -> None:
    refused = whence.study(DATA, "Does the grant raise grades?", ABOUT).plan.refused
    assert refused is not None
    assert refused.code == "design_incomplete"
    assert "cutoff" in refused.reason
    assert "above 70" in refused.reason


@pytest.mark.parametrize("override", [
    {"controls": ["age"]}, {"graph": "age --> grant; age --> grades; grant --> grades"},
])
def test_controls_or_a_graph_override_it(override: dict) -> None:
    assert whence.study(DATA, "Does the grant raise grades?", ABOUT, **override).plan.spec is not None


def test_with_its_column_the_cutoff_is_the_design() -> None:
    score = RNG.uniform(40, 100, 600)
    grant = (score > 70).astype(int)
    data = {"score": score, "grant": grant, "grades": 0.02 * score + grant + RNG.normal(size=600)}
    plan = whence.study(data, "Does the grant raise grades?", ABOUT + "score: points in the entrance test\n").plan
    assert plan.spec is not None
    assert (plan.spec.strategy, plan.spec.running_variable, plan.spec.controls) == ("rdd", "score", ())
    assert plan.spec.cutoff == pytest.approx(70, abs=0.5)


def test_a_randomised_study_measured_before_and_after_is_an_experiment() -> None:
    words = "were randomly assigned and tested before and after"
    about = ABOUT.replace("with scores above 70 received the grant", words)
    plan = whence.study(DATA, "Does the grant raise grades?", about).plan
    assert plan.spec is not None
    assert plan.spec.strategy == "rct"
