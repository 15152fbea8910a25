"""The check of instruments: strength and chance, with violations planted."""

from __future__ import annotations

import numpy as np
import pytest

import whence
from whence.checks.check import Check
from whence.checks.instrument import explained
from whence.estimation.prepare import Prepared, prepare

N = 2000
SPEC = {"strategy": "iv", "treatments": ["d"], "outcomes": ["y"], "instruments": ["z"], "controls": ["age", "group"]}


def columns(strength: float = 1.0, tied: float = 0.0, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    age, u = rng.normal(40, 10, N), rng.standard_normal(N)
    z = tied * (age - 40) / 10 + rng.standard_normal(N)
    d = strength * z + u + rng.standard_normal(N)
    return {"age": age, "group": rng.choice(["a", "b", "c"], N), "z": z, "d": d, "y": d + 2 * u + 0.1 * age}


def seen(data: dict[str, np.ndarray], **spec: object) -> Check:
    table = whence.read(data)
    effect = whence.estimate(table, {**SPEC, **spec})
    assert isinstance(effect, whence.Effect), effect
    (found,) = whence.check(table, effect, "instrument")
    return found


def test_strong_and_left_to_chance() -> None:
    found = seen(columns())
    assert found.verdict == "pass"
    assert found.numbers["effective_f"] > 100
    assert found.numbers["p_values"]["z"] > 0.01


def test_one_that_goes_with_a_control() -> None:
    found = seen(columns(tied=0.2))
    assert found.verdict == "worry"
    assert "goes with the controls" in found.saw


def test_a_weak_one() -> None:
    found = seen(columns(strength=0.08, seed=2))
    assert found.verdict == "worry"
    assert found.numbers["effective_f"] < 10


def test_without_controls_only_the_strength_is_seen() -> None:
    found = seen(columns(), controls=[])
    assert (found.verdict, found.numbers["p_values"]) == ("pass", {})


def test_level_and_agreement_with_a_robust_test_by_hand() -> None:
    sm = pytest.importorskip("statsmodels.api")
    below = 0
    for seed in range(200):
        data = columns(seed=seed)
        table = whence.read(data)
        prepared = prepare(table, whence.Spec.from_dict(SPEC))
        assert isinstance(prepared, Prepared)
        p = explained(table, prepared)["z"]
        below += p < 0.05
        if seed < 3:
            dummies = np.column_stack([data["group"] == g for g in ("b", "c")]).astype(float)
            fit = sm.OLS(data["z"], sm.add_constant(np.column_stack([data["age"], dummies]))).fit(cov_type="HC0")
            test = fit.f_test(np.eye(4)[1:])
            assert p == pytest.approx(float(test.pvalue), abs=2e-3)
    assert 0.02 <= below / 200 <= 0.085  # Monte Carlo error 1.5 points


def test_not_for_other_designs() -> None:
    table = whence.read(columns())
    effect = whence.estimate(table, {**SPEC, "strategy": "adjustment", "instruments": []})
    assert not whence.check(table, effect, "instrument")[0].applies
