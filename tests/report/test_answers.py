"""Curves of answers: every point is drawn, in order, where the axes say; one number has no curve."""

from __future__ import annotations

import re

import numpy as np
import pytest

from whence.estimation.estimate import estimate
from whence.identification.spec import Spec
from whence.report.answers import answer_picture
from whence.report.prose import answer_sentence
from whence.studies.study import study

QUICK = {"outcome_learner": "quadratic", "treatment_learner": "quadratic", "n_splits": 1}


@pytest.fixture(scope="module")
def table(make_table):
    rng = np.random.default_rng(3)
    u, v = rng.standard_normal((2, 900))
    t = (rng.random(900) < 1 / (1 + np.exp(-0.6 * u))).astype(int)
    dose = 0.7 * u - 0.4 * v + rng.standard_normal(900)
    return make_table({"u": u, "v": v, "t": t, "dose": dose, "y": dose + t * (1 + 0.5 * rng.random(900)) + u},
                      t="binary")


def test_a_dose_response_is_drawn_with_its_band(table):
    effect = estimate(table, Spec("adjustment", ("dose",), ("y",), controls=("u", "v")), "dose_response", **QUICK)
    drawn = answer_picture(effect)
    curve = effect.diagnostics["curve"]
    line = re.search(r'class="whisker main" d="M([^"]+)"', drawn)[1]
    points = np.array([[float(c) for c in p.split()] for p in line.split("L")])
    assert len(points) == len(curve["dose"]) and (np.diff(points[:, 0]) > 0).all()
    assert np.corrcoef(points[:, 1], curve["outcome"])[0, 1] < -0.999  # up the page is down in its coordinates
    assert drawn.count('class="whisker dashed"') == 2 and drawn.count('class="band"') == 1
    assert drawn.count("<circle") == 2 and "holds the whole curve with 95% confidence" in drawn


def test_quantile_effects_are_drawn_in_order(table):
    effect = estimate(table, Spec("adjustment", ("t",), ("y",), "QTE", controls=("u", "v")))
    drawn = answer_picture(effect)
    at = [float(x) for x in re.findall(r'<circle class="estimate main" cx="([\d.]+)"', drawn)]
    assert len(at) == 5 and at == sorted(at)
    shown = [c for _, c in sorted(zip((0.5, 0.1, 0.25, 0.75, 0.9), effect.comparisons, strict=True),
                                  key=lambda pair: pair[0])]
    heights = [float(y) for y in re.findall(r'<circle class="estimate main" cx="[\d.]+" cy="([\d.]+)"', drawn)]
    assert np.corrcoef(heights, [c.estimate for c in shown])[0, 1] < -0.999
    one = estimate(table, Spec("adjustment", ("t",), ("y",), "QTE", controls=("u", "v")), quantiles="0.5")
    mean = estimate(table, effect.spec.replace(quantity="ATE"), "ipw")
    assert answer_picture(one) == "" and answer_picture(mean) == ""


@pytest.mark.parametrize("quantity", ["QTE", "ATO"])
def test_a_study_compares_only_what_gives_the_quantity(table, quantity):
    finding = study(table, spec=Spec("adjustment", ("t",), ("y",), quantity, controls=("u", "v"))).run()
    assert not [w for w in finding.warnings if w.code == "alternative_refused"]
    (plain,) = finding.alternatives
    assert plain.spec.controls == () and plain.quantity == {"QTE": "QTE", "ATO": "ATE"}[quantity]


def test_a_study_of_a_dose(table):
    spec = Spec("adjustment", ("dose",), ("y",), controls=("u", "v"))
    finding = study(table, spec=spec, method="dose_response", parameters=QUICK).run()
    assert not [w for w in finding.warnings if w.code == "alternative_refused"]
    assert [a.method for a in finding.alternatives] == ["regression"]
    assert re.search(r"setting dose to 0\.\d+ rather than −0\.\d+", answer_sentence(finding))
