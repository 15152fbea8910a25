"""Reports of real results: simulated data with a known effect, a learned graph, a graph that gives no answer."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

import whence
from whence.core.result import Refused
from whence.report.finding import Finding
from whence.report.html import fragment, render
from whence.report.prose import answer_sentence
from whence.simulate.treatments import kang_schafer

GRAPH = "z1 --> treated; z2 --> treated; z3 --> treated; z1 --> outcome; z2 --> outcome; z3 --> outcome; " \
        "z4 --> treated; z4 --> outcome; treated --> outcome"


@pytest.fixture(scope="module")
def sample() -> whence.Table:
    return kang_schafer(600, seed=5, effect=10.0).table


@pytest.fixture(scope="module")
def answered(sample: whence.Table) -> Finding:
    identified = whence.identify(GRAPH, "treated", "outcome")
    spec = identified.to_spec()
    effect = whence.estimate(sample, spec, "regression")
    others = [whence.estimate(sample, spec.replace(controls=()), "difference"), whence.estimate(sample, spec, "ipw")]
    checks = whence.check(sample, effect, graph=identified.graph)
    return Finding("Does treatment help?", None, "simulated", effect.spec, whence.profile(sample),
                   graph=identified.graph, identified=identified, effect=effect, alternatives=tuple(others),
                   checks=tuple(checks), warnings=effect.warnings, provenance={"rows": sample.n_rows, "seed": 0})


def test_every_check_and_its_figure_is_on_the_page(answered: Finding) -> None:
    page = render(answered)
    for check in answered.checks:
        assert check.title.replace("'", "&#39;") in page
    kinds = {c.figure.get("kind") for c in answered.checks if c.figure}
    assert {"balance", "overlap", "dropped", "placebo", "contour"} <= kinds
    pictures = re.findall(r'<svg xmlns="[^"]+" class="plot', page)
    assert len(pictures) == 2 + len(kinds - {"implications"})  # the interval, the methods, and one per check
    assert "nan" not in re.sub(r"<script>.*?</script>|<style>.*?</style>", "", page, flags=re.DOTALL).lower().split()


def test_the_reasons_and_the_formula_come_from_the_identification(answered: Finding) -> None:
    page = render(answered)
    assert "Each affects both treated and outcome" in page
    assert "P(outcome | do(treated))" in page
    assert "<td>treatment</td><td>binary</td>" in page


def test_the_answer_is_near_the_truth_and_says_what_the_effect_says(answered: Finding) -> None:
    effect = answered.effect
    assert effect is not None and abs(effect.estimate - 10.0) < 4 * effect.standard_error
    said = answer_sentence(answered)
    assert "setting treated to 1 rather than 0 raises outcome by" in said
    shown = re.search(r"by ([\d.]+) on average", said)
    assert shown and abs(float(shown[1]) - effect.estimate) < effect.standard_error / 9


def test_a_learned_graph_says_that_it_was_learned(sample: whence.Table) -> None:
    found = whence.discover(sample.select(["z1", "z2", "outcome"]), stability=10)
    page = render(Finding("What moves the outcome?", None, "simulated", None, graph=found.graph, discovery=found,
                          refused=Refused("question_unclear", "No column fits the words.")))
    assert "learned from the data" in page and "10 bootstrap samples" in page


def test_an_effect_that_is_not_identified_shows_the_open_path() -> None:
    graph = whence.graph("dag { u [latent]; u -> x; u -> y; x -> y }")
    no = whence.identify(graph, "x", "y")
    assert not no
    refused = Refused("not_identified", no.reason, {"witness": no.witness}, no.remedy)
    finding = Finding("Does x move y?", None, "nowhere", None, graph=graph, identified=no, refused=refused)
    page = render(finding)
    assert "<var>x</var> ← <var>u</var> → <var>y</var>" in page
    assert "The effect of <var>x</var> on <var>y</var>" in page
    assert no.remedy.replace("'", "&#39;").replace("<", "&lt;").replace(">", "&gt;") in page
    assert "not measured" in page
    assert "open" in fragment(finding)


def test_a_yes_or_no_outcome_is_told_in_percentage_points(sample: whence.Table) -> None:
    high = sample.numeric("outcome") > 215
    table = sample.replace(whence.data.table.Column("outcome", "binary", high.astype("int32"), (0, 1)))
    spec = whence.Spec("adjustment", ("treated",), ("outcome",), controls=("z1", "z2", "z3", "z4"))
    effect = whence.estimate(table, spec, "regression")
    finding = Finding(None, None, "simulated", spec, whence.profile(table), effect=effect)
    said = answer_sentence(finding)
    assert "the probability that outcome is 1" in said and "percentage points" in said
    assert f"{100 * abs(effect.estimate):.1f}" in said


def test_a_graph_without_room_for_an_effect_says_so(answered: Finding) -> None:
    graph = whence.graph("z1 --> treated; z1 --> outcome")
    identified = whence.identify(graph, "treated", "outcome")
    assert identified.no_effect
    page = render(dataclasses.replace(answered, graph=graph, identified=identified, checks=()))
    assert "no path leads there in the direction of the arrows" in page


def test_an_effect_by_the_front_door_shows_the_cut() -> None:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=800)
    x = (hidden + rng.normal(size=800) > 0).astype(int)
    m = (rng.random(800) < 0.2 + 0.5 * x).astype(int)
    data = {"x": x, "m": m, "y": m + hidden + rng.normal(size=800)}
    page = render(whence.study(data, "What is the effect of x on y?", graph="x --> m; m --> y; x <-> y").run())
    assert "After: x is set from outside" in page and "when the wire of the treatment is cut" in page
    plain = render(whence.study(data, "What is the effect of m on y?", graph="m --> y; x --> m; x --> y").run())
    assert "wire" not in plain
