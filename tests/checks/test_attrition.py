"""Missing outcomes of an experiment: equal losses pass, unequal ones worry, in number and in kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from whence.checks.check import Check
from whence.checks.run import check
from whence.data.load import read
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

SPEC = Spec("rct", ("t",), ("y",))


def trial(n: int = 600, seed: int = 0, more: float = 0.0, kind: float = 0.0, **extra: Any) -> dict[str, Any]:
    """One in ten outcomes missing, ``more`` of the treated's, and ``kind`` more of the treated's with a large x."""
    rng = np.random.default_rng(seed)
    t, x = rng.permutation(n) % 2, rng.normal(size=n)
    y = 0.5 * t + x + rng.normal(size=n)
    y[rng.random(n) < 0.1 + more * t + kind * t * np.sign(x)] = np.nan
    return {"t": t, "x": x, "y": y} | {k: v(rng, n) for k, v in extra.items()}


def seen(columns: Any, spec: Spec = SPEC, method: str = "auto", **kinds: str) -> Check:
    table = read(columns, kinds=kinds)
    effect = estimate(table, spec, method)
    assert isinstance(effect, Effect), effect
    return check(table, effect, "attrition")[0]


def test_equal_losses_pass_and_say_what_is_not_shown() -> None:
    found = seen(trial(), SPEC.replace(controls=("x",)))
    assert found.verdict == "pass" and "do not prove" in found.cannot_show
    n = found.numbers
    assert n["lower"] < n["upper"] and n["bounds_low"] < n["lower"] and n["controls_p"] > 0.05


def test_more_losses_in_one_arm_worry() -> None:
    found = seen(trial(more=0.15))
    assert found.verdict == "worry" and "the arms lost different shares" in found.saw
    columns = trial(more=0.15)
    gone, t = np.isnan(columns["y"]), columns["t"]
    assert found.numbers["rate_treated"] == pytest.approx(gone[t == 1].mean())
    assert found.numbers["difference"] == pytest.approx(gone[t == 1].mean() - gone[t == 0].mean())


def test_other_people_lost_in_one_arm_worry() -> None:
    """The same share of both arms, but of the treated those with a large x."""
    found = seen(trial(2000, kind=0.09), SPEC.replace(controls=("x",)))
    assert found.verdict == "worry" and "different kinds of people" in found.saw
    assert found.numbers["difference_p"] > 0.05


def test_false_alarms_are_rare() -> None:
    """100 sound trials, 5 % each: Monte Carlo error 2.2 %."""
    worries = sum(seen(trial(300, seed), SPEC.replace(controls=("x",))).verdict == "worry" for seed in range(100))
    assert worries <= 11


def test_no_losses() -> None:
    columns = trial()
    found = seen(columns | {"y": np.nan_to_num(columns["y"])})
    assert found.verdict == "pass" and found.numbers == {"missing": 0, "rows": 600}


def test_strata_with_their_own_shares_are_weighted_alike() -> None:
    """Two strata that treat 20 % and 80 %, and lose 5 % and 45 % in both arms: no difference within them."""
    rng = np.random.default_rng(3)
    s = np.repeat([0, 1], 1000)
    t = np.concatenate([rng.permutation(1000) < 200, rng.permutation(1000) < 800]).astype(int)
    y = t + s + rng.normal(size=2000)
    y[rng.random(2000) < np.where(s == 1, 0.45, 0.05)] = np.nan
    assert seen({"s": s, "t": t, "y": y}).verdict == "worry"
    found = seen({"s": s, "t": t, "y": y}, SPEC.replace(strata=("s",)))
    assert found.verdict == "pass" and abs(found.numbers["difference"]) < 0.05


def test_words_for_outcomes_clusters_and_missing_controls() -> None:
    columns = trial(400)
    answer = np.where(np.isnan(columns["y"]), None, np.where(columns["y"] > 0, "yes", "no"))
    x = columns["x"].copy()
    x[:30] = np.nan
    data = {"t": np.repeat(columns["t"][:100], 4), "y": answer, "x": x, "c": np.repeat(np.arange(100), 4)}
    found = seen(data, SPEC.replace(controls=("x",), cluster="c"), y="binary")
    assert found.numbers["rows"] == 400 and -1 <= found.numbers["lower"] <= found.numbers["upper"] <= 1


def test_does_not_apply_without_a_lot() -> None:
    columns = trial()
    assert not seen(columns, SPEC.replace(strategy="adjustment", controls=("x",)), "regression").applies
    assert not seen(columns | {"t": columns["x"]}).applies
