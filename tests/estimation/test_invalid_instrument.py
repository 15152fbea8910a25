"""An instrument with an effect of its own: what is refused, what is said, and coverage."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest

from whence.core.result import Refused
from whence.data.load import read
from whence.data.table import Column, Table
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec
from whence.report.html import render
from whence.studies.study import study

LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear", "n_splits": 1}
SPEC = Spec("iv", ("a",), ("y",), controls=("x1", "x2"), instruments=("z",))


def logistic(eta):
    return 1 / (1 + np.exp(-eta))


def draw(rng, n, one_sided=False, shift=0.3, direct=1.0):
    """Effect 1 + x1 / 2 (average 1); the instrument raises the chance of treatment by ``shift`` and has its own."""
    x, u = rng.uniform(-1, 1, (n, 2)), rng.uniform(-1, 1, n)
    z = rng.random(n) < logistic(0.3 * x[:, 0] - 0.3 * x[:, 1])
    chance = 0.12 + shift * z + 0.08 * x[:, 0] + 0.1 * u
    a = rng.random(n) < (chance * z if one_sided else chance)
    y = (1 + 0.5 * x[:, 0]) * a + direct * z + x[:, 1] + 1.5 * u + rng.normal(size=n)
    return {"x1": x[:, 0], "x2": x[:, 1], "z": z.astype(float), "a": a.astype(float), "y": y}


def dose(rng, n):
    """Hard: a dose, curves, spreads that grow with x1, an instrument that goes with the controls, groups of five."""
    x, u = rng.uniform(-1, 1, (n, 2)), rng.uniform(-1, 1, n)
    g = np.repeat(rng.normal(size=n // 5), 5)
    z = rng.random(n) < logistic(0.8 * x[:, 0])
    a = x[:, 0] ** 2 + u + z + 0.5 * g + (0.7 + 0.8 * z) * np.exp(0.2 * x[:, 0]) * rng.normal(size=n)
    y = (1 + 0.5 * x[:, 1]) * a + z * (1 + x[:, 0]) + x[:, 1] ** 2 + 1.5 * u + g + rng.normal(size=n)
    return {"x1": x[:, 0], "x2": x[:, 1], "z": z.astype(float), "a": a, "y": y, "g": np.arange(n) // 5}


def table_of(columns):
    made = {name: Column(name, "continuous", np.asarray(values, dtype=float)) for name, values in columns.items()}
    return Table(MappingProxyType(made), len(columns["y"]))


def codes(effect):
    return {w.code for w in effect.warnings}


def test_what_is_assumed_and_about_whom():
    effect = estimate(table_of(draw(np.random.default_rng(0), 4000)), SPEC, "invalid_instrument", **LINEAR)
    assert effect.quantity == "ATE" and "own_effect" in codes(effect)
    assert not any("only through the treatment" in sentence for sentence in effect.assumptions)
    assert "may affect the outcome by itself" in effect.assumptions[0]


def test_one_sided_uptake_is_refused():
    """The planted violation: nobody without the instrument is treated."""
    answer = estimate(table_of(draw(np.random.default_rng(1), 8000, one_sided=True)), SPEC, "invalid_instrument")
    assert isinstance(answer, Refused) and answer.code == "one_sided_uptake"
    assert min(answer.evidence["variance_by_instrument"]) == 0 and "late" in answer.remedy


def test_eligibility_for_a_pension_is_one_sided(cases):
    frame = pd.read_csv(cases / "effects" / "pension.csv")
    controls = tuple(c for c in ("age", "inc", "fsize", "educ", "marr", "twoearn", "pira", "hown") if c in frame)
    spec = Spec("iv", ("p401",), ("net_tfa",), controls=controls, instruments=("e401",))
    answer = estimate(read(frame), spec, "invalid_instrument")
    assert isinstance(answer, Refused) and answer.code == "one_sided_uptake" and "e401" in answer.reason


@pytest.mark.parametrize(("code", "changes"), [
    ("weak_heteroscedasticity", {"a": np.random.default_rng(3).normal(size=1000)}),
    ("several_instruments", {"spec": SPEC.replace(instruments=("z", "x2"), controls=("x1",))}),
    ("instrument_not_binary", {"spec": SPEC.replace(instruments=("x2",), controls=("x1",))}),
    ("instrument_constant", {"z": np.ones(1000)}),
    ("small_arm", {"z": (np.arange(1000) < 6).astype(float)}),
    ("too_few_clusters", {"g": np.r_[np.zeros(990), np.arange(10)], "z": (np.arange(1000) < 990).astype(float) * (
        np.arange(1000) % 2), "spec": SPEC.replace(cluster="g")}),
    ("no_overlap", {"x1": np.arange(1000) / 500 - 1,
                    "z": (np.arange(1000) + 60 * np.sin(np.arange(1000)) > 500) * 1.0}),
])
def test_refusals(code, changes):
    given = draw(np.random.default_rng(2), 1000) | {k: v for k, v in changes.items() if k != "spec"}
    answer = estimate(table_of(given), changes.get("spec", SPEC), "invalid_instrument", **LINEAR)
    assert isinstance(answer, Refused) and answer.code == code and answer.remedy


def test_several_arms(make_table):
    given = draw(np.random.default_rng(2), 300) | {"a": np.array(["a", "b", "c"])[np.arange(300) % 3]}
    answer = estimate(make_table(given, a="categorical"), SPEC, "invalid_instrument", **LINEAR)
    assert isinstance(answer, Refused) and answer.code == "several_arms"


def test_what_weakens_the_answer_is_said():
    rng = np.random.default_rng(5)
    weak = draw(rng, 1500)
    weak["a"] = weak["x1"] + (1 + 0.1 * weak["z"]) * rng.normal(size=1500)
    rare = draw(rng, 6000)
    rare["a"] = ((rare["z"] == 1) & (rng.random(6000) < 0.4) | (rng.random(6000) < 0.02)).astype(float)
    flat = draw(rng, 4000)
    flat["a"] = flat["x1"] + (1 + flat["z"] * np.maximum(flat["x1"], 0) * 2) * rng.normal(size=4000)
    for given, code in ((weak, "weak_heteroscedasticity"), (rare, "nearly_one_sided"), (flat, "change_raised")):
        effect = estimate(table_of(given), SPEC, "invalid_instrument", **LINEAR)
        assert code in (codes(effect) if effect else {effect.code}), code


def test_a_study_and_its_report_say_what_was_relaxed():
    found = study(table_of(draw(np.random.default_rng(6), 3000)), spec=SPEC, method="invalid_instrument",
                  parameters=LINEAR).run()
    text = render(found)
    assert "may affect" in text and "affects y in no other way" not in text
    assert not [c for c in found.checks if "error" in c.numbers]


def coverage(make, n, spec, sets, **params):
    found = []
    for seed in range(sets):
        effect = estimate(table_of(make(np.random.default_rng([seed, n]), n)), spec, "invalid_instrument", seed,
                          **(LINEAR | params))
        found.append((effect.interval[0] <= 1 <= effect.interval[1], effect.estimate, effect.standard_error))
    hits, estimates, errors = np.array(found).T
    print(f"{n}: {hits.mean():.3f}, mean {estimates.mean():.3f}, "  # noqa: T201
          f"error {errors.mean():.3f} for a spread of {estimates.std():.3f}")
    return hits.mean()


def test_coverage_quick():
    """60 sets; three Monte Carlo errors (2.8 %)."""
    assert coverage(draw, 2000, SPEC, 60) >= 0.95 - 0.085


BENT = {"outcome_learner": "quadratic", "treatment_learner": "quadratic"}


@pytest.mark.slow
@pytest.mark.parametrize(("make", "n", "spec", "params"), [
    (draw, 2000, SPEC, {}), (draw, 8000, SPEC, {}), (dose, 3000, SPEC.replace(cluster="g"), BENT)])
def test_coverage(make, n, spec, params):
    """300 sets (1.26 % Monte Carlo error). Errors on the wide side are allowed: the tails of the scores are long."""
    assert 0.925 <= coverage(make, n, spec, 300, **params) <= 0.99
