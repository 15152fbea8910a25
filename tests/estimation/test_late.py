"""The effect on compliers: truth, weak and one-sided instruments, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear", "n_splits": 1}
SPEC = Spec("iv", ("d",), ("y",), "LATE", controls=("x",), instruments=("z",))


def columns(n=4000, seed=0, compliers=0.5, always=0.2):
    """Compliers' effect is 1; never- and always-takers differ from them and would have effects of 5."""
    rng = np.random.default_rng(seed)
    x, kind = rng.normal(size=n), rng.random(n)
    z = (rng.random(n) < 1 / (1 + np.exp(-x))).astype(int)
    follows = kind < compliers
    d = np.where(follows, z, kind < compliers + always).astype(int)
    y = d * np.where(follows, 1.0, 5.0) + 2 * follows + x + rng.normal(size=n)
    return {"z": z, "d": d, "y": y, "x": x}


def test_truth_and_the_share_of_compliers(make_table):
    effect = estimate(make_table(columns(), d="binary", z="binary"), SPEC, "late", **LINEAR)
    assert abs(effect.estimate - 1) < 4 * effect.standard_error < 0.8 and effect.quantity == "LATE"
    found = effect.diagnostics
    assert abs(found["compliers"] - 0.5) < 4 * found["first_stage"]["standard_error"]
    assert {"compliers"} <= {w.code for w in effect.warnings} and found["fieller"] == pytest.approx(
        list(effect.interval), rel=0.05)
    everybody = estimate(make_table(columns(), d="binary", z="binary"), SPEC.replace(quantity="ATE"), "late", **LINEAR)
    assert "local_effect" in {w.code for w in everybody.warnings} and everybody.estimate == effect.estimate


def test_defaults_find_crooked_shapes(make_table):
    rng = np.random.default_rng(5)
    n = 3000
    x, w = rng.uniform(-2, 2, size=(2, n))
    step = ((x > 0) & (w > 0)).astype(float)
    z = (rng.random(n) < 0.3 + 0.4 * step).astype(int)
    d = np.where(rng.random(n) < 0.6, z, rng.random(n) < 0.5).astype(int)
    table = make_table({"z": z, "d": d, "y": d + 4 * step + rng.normal(size=n), "x": x, "w": w}, d="binary", z="binary")
    spec = SPEC.replace(controls=("x", "w"))
    bent, straight = (estimate(table, spec, "late", **given) for given in ({"n_splits": 1}, LINEAR))
    assert abs(bent.estimate - 1) < 4 * bent.standard_error
    assert abs(straight.estimate - 1) > 4 * straight.standard_error


@pytest.mark.parametrize(("always", "word"), [(0.0, "on the treated"), (0.5, "on the untreated")])
def test_one_sided_noncompliance_is_said(make_table, always, word):
    effect = estimate(make_table(columns(always=always), d="binary", z="binary"), SPEC, "late", **LINEAR)
    assert word in next(w.text for w in effect.warnings if w.code == "one_sided")


def test_a_weak_instrument_has_fiellers_interval(make_table):
    found = [estimate(make_table(columns(1500, seed, 0.12), d="binary", z="binary"), SPEC, "late", **LINEAR)
             for seed in range(6)]
    weak = [e for e in found if isinstance(e, Effect) and "weak_instruments" in {w.code for w in e.warnings}]
    assert weak
    for effect in weak:
        assert list(effect.interval) == effect.diagnostics["fieller"]
        low, high = effect.interval
        assert high - effect.estimate > 1.02 * (effect.estimate - low) or effect.estimate - low > 1.02 * (
            high - effect.estimate)


def test_an_instrument_that_works_backwards(make_table):
    given = columns()
    effect = estimate(make_table(given, d="binary", z="binary"), SPEC, "late", **LINEAR)
    turned = estimate(make_table(given | {"z": 1 - given["z"]}, d="binary", z="binary"), SPEC, "late", **LINEAR)
    assert turned.estimate == pytest.approx(effect.estimate, abs=0.1 * effect.standard_error)
    assert turned.diagnostics["compliers"] == pytest.approx(effect.diagnostics["compliers"], abs=0.01)


def planted(code):
    given = columns(800)
    rng = np.random.default_rng(0)
    changes = {
        "weak_instrument": {"z": rng.integers(0, 2, 800)}, "instrument_not_binary": {"z": rng.normal(size=800)},
        "treatment_not_binary": {"d": rng.normal(size=800)}, "no_overlap": {"z": given["x"] > 0.1},
        "instrument_constant": {"z": np.ones(800)}, "small_arm": {"z": np.arange(800) < 6},
        "treatment_constant": {"d": np.ones(800)},
    }[code]
    return given | changes


@pytest.mark.parametrize("code", ["weak_instrument", "instrument_not_binary", "treatment_not_binary", "no_overlap",
                                  "instrument_constant", "small_arm", "treatment_constant"])
def test_refusals(make_table, code):
    given = planted(code)
    kinds = {name: "binary" for name in ("d", "z") if len(np.unique(given[name])) == 2}
    if code == "weak_instrument":
        given["d"] = (np.random.default_rng(1).random(800) < 0.5).astype(int)
    answer = estimate(make_table(given, **kinds), SPEC, "late", **LINEAR)
    assert isinstance(answer, Refused) and answer.code == code and answer.remedy


def test_other_designs_and_several_instruments(make_table):
    given = columns(400)
    table = make_table(given | {"z2": 1 - given["z"]}, d="binary", z="binary", z2="binary")
    answer = estimate(table, SPEC.replace(instruments=("z", "z2")), "late")
    assert isinstance(answer, Refused) and answer.code == "several_instruments" and "'iv'" in answer.remedy
    answer = estimate(table, SPEC.replace(strategy="adjustment", instruments=(), quantity="ATE"), "late")
    assert isinstance(answer, Refused) and answer.code == "other_design"
    answer = estimate(table, SPEC.replace(controls=()), "late")
    assert isinstance(answer, Refused) and answer.code == "no_controls"


def test_a_learner_without_probabilities(make_table):
    from sklearn.linear_model import LinearRegression

    with pytest.raises(WhenceError, match="predict_proba"):
        estimate(make_table(columns(400), d="binary", z="binary"), SPEC, "late", treatment_learner=LinearRegression())
