"""Joint intervals against Dunnett's test, against Sidak's formula, and by how often they hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.estimation.simultaneous import holm, largest_of
from whence.identification.spec import Spec

SPEC = Spec("rct", ("arm",), ("y",))
ARMS = np.array(["control", "mail", "phone", "visit"])


def trial(n: int, seed: int, effects: Any = (0, 0, 0, 0)) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    code = rng.permutation(np.arange(n) % 4)
    return {"arm": ARMS[code], "y": np.asarray(effects, dtype=float)[code] + rng.normal(size=n)}


def answered(columns: Any, **params: Any) -> Effect:
    effect = estimate(columns, SPEC, **params)
    assert isinstance(effect, Effect)
    return effect


def test_close_to_dunnett() -> None:
    """Dunnett pools the variances; with 1,000 rows an arm that hardly matters. Monte Carlo error of a p-value 0.2 %."""
    columns = trial(4000, 1, (0, 0.05, 0.09, 0.12))
    effect = answered(columns)
    groups = [columns["y"][columns["arm"] == a] for a in ARMS]
    known = stats.dunnett(*groups[1:], control=groups[0])
    assert [c.adjusted_p_value for c in effect.comparisons] == pytest.approx(known.pvalue.tolist(), abs=0.01)
    interval = known.confidence_interval(0.95)
    for c, low, high in zip(effect.comparisons, interval.low, interval.high, strict=True):
        assert c.joint_interval == pytest.approx((low, high), abs=0.005)


def test_independent_comparisons_are_sidaks() -> None:
    largest = largest_of(np.eye(5), 0)
    assert np.quantile(largest, 0.95) == pytest.approx(stats.norm.ppf(0.5 + 0.95**0.2 / 2), abs=0.015)


def test_identical_comparisons_need_no_adjustment() -> None:
    largest = largest_of(np.ones((3, 3)), 0)
    assert np.quantile(largest, 0.95) == pytest.approx(stats.norm.ppf(0.975), abs=0.02)


def test_holm_is_the_known_one() -> None:
    p = np.random.default_rng(0).random(12) ** 3
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def test_intervals_and_p_values_agree_and_lie_between_one_and_all() -> None:
    for seed in range(30):
        effect = answered(trial(80, seed, (0, 0.5, 0.8, 0)))
        for c in effect.comparisons:
            assert c.joint_interval is not None and c.adjusted_p_value is not None
            assert c.p_value <= c.adjusted_p_value <= min(1, 3 * c.p_value)
            assert c.joint_interval[0] < c.interval[0] and c.joint_interval[1] > c.interval[1]
            if abs(c.adjusted_p_value - 0.05) > 0.003:
                assert (c.adjusted_p_value < 0.05) == (not c.joint_interval[0] <= 0 <= c.joint_interval[1])


def test_all_joint_intervals_hold_together() -> None:
    """500 trials of 60 rows in four arms: 95 %, two Monte Carlo errors of 1 %."""
    hits = sum(all(c.joint_interval and c.joint_interval[0] <= 0 <= c.joint_interval[1]
                   for c in answered(trial(60, seed)).comparisons) for seed in range(500))
    assert 0.93 <= hits / 500 <= 0.97


def test_an_arm_without_spread_leaves_holm() -> None:
    columns = {"arm": np.repeat(["a", "b", "c"], 4), "y": [1.0] * 4 + [2.0] * 4 + [1, 2, 3, 4]}
    effect = answered(columns)
    assert all(c.joint_interval is None for c in effect.comparisons)
    assert [c.adjusted_p_value for c in effect.comparisons] == pytest.approx(
        multipletests([c.p_value for c in effect.comparisons], method="holm")[1].tolist())


def test_shown_with_the_effect() -> None:
    effect = answered(trial(80, 0))
    assert str(effect).count("(joint") == 6  # three arms with the control and three with each other
    assert effect.to_dict()["comparisons"][2]["joint_interval"]
