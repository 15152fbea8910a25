"""Tan's model: the closed form against a linear program, its ends, and a confounder that attains them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from whence.core.errors import WhenceError
from whence.identification.bounds import monotone_bounds
from whence.identification.marginal_sensitivity import greatest_mean, marginal_sensitivity_bounds


def program(joint: np.ndarray, values: np.ndarray, gamma: float, arm: int, target: np.ndarray, sign: int) -> float:
    """Mean under ``arm`` of those at other levels, weighted by ``target`` per stratum: one program per stratum."""
    total = 0.0
    for seen, mass in zip(joint[:, arm], target, strict=True):
        p = seen / seen.sum()
        found = linprog(-sign * p * values, A_eq=[p], b_eq=[1], bounds=(1 / gamma, gamma), method="highs")
        total += mass * -sign * found.fun
    return total


@pytest.mark.parametrize("quantity", ["ATE", "ATT", "ATC"])
def test_equals_a_linear_program_in_every_stratum(quantity: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(6):
        joint = rng.dirichlet(np.ones(3 * 2 * 4)).reshape(3, 2, 4)
        values, gamma = rng.normal(size=4), 1 + rng.exponential(2)
        found = marginal_sensitivity_bounds(joint, gamma, quantity=quantity, values=values.tolist())
        ends = []
        for sign in (-1, 1):
            means = {}
            for arm, flip in ((1, sign), (0, -sign)):
                others = joint[:, 1 - arm].sum(axis=1)
                unseen = program(joint, values, gamma, arm, others, flip)
                own = float((joint[:, arm] @ values).sum())
                means[arm] = {"ATE": own + unseen, "ATT": own if arm == 1 else unseen,
                              "ATC": own if arm == 0 else unseen}[quantity]
            mass = {"ATE": 1.0, "ATT": joint[:, 1].sum(), "ATC": joint[:, 0].sum()}[quantity]
            ends.append((means[1] - means[0]) / mass)
        assert np.allclose((found.lower, found.upper), ends, atol=1e-9, rtol=0)


def test_one_gives_the_adjusted_point_and_infinity_gives_no_assumption_bounds() -> None:
    joint = np.random.default_rng(4).dirichlet(np.ones(2 * 2 * 3)).reshape(2, 2, 3)
    point = sum(s.sum() * (s[1] @ range(3) / s[1].sum() - s[0] @ range(3) / s[0].sum()) for s in joint)
    found = marginal_sensitivity_bounds(joint, 1)
    assert found.lower == pytest.approx(point, abs=1e-12) and found.upper == pytest.approx(point, abs=1e-12)
    manski = monotone_bounds(joint.sum(axis=0))
    for gamma, slack in ((np.inf, 1e-9), (1e9, 1e-6)):
        far = marginal_sensitivity_bounds(joint, gamma)
        assert far.lower == pytest.approx(manski.lower, abs=slack)  # type: ignore[union-attr]
        assert far.upper == pytest.approx(manski.upper, abs=slack)  # type: ignore[union-attr]
    widths = [marginal_sensitivity_bounds(joint, g).width for g in (1, 1.2, 2, 5, 50, np.inf)]
    assert (np.diff(widths) > 0).all()


def test_a_confounder_that_obeys_the_factor_has_its_truth_inside() -> None:
    rng = np.random.default_rng(5)
    for _ in range(300):
        strata, gamma = 2, 1 + rng.exponential(1.5)
        e = rng.uniform(0.2, 0.8, strata)
        odds = e / (1 - e)
        # U has two values, with odds of treatment at the two ends of what is allowed and mean e.
        high, low = gamma * odds / (1 + gamma * odds), odds / gamma / (1 + odds / gamma)
        share = (e - low) / (high - low)
        x = rng.dirichlet(np.ones(strata))
        py = rng.dirichlet(np.ones(3), size=(strata, 2, 2))  # [x, u, a]
        joint, truth = np.zeros((strata, 2, 3)), 0.0
        for s in range(strata):
            for u, pu, pt in ((1, share[s], high[s]), (0, 1 - share[s], low[s])):
                joint[s, 1] += x[s] * pu * pt * py[s, u, 1]
                joint[s, 0] += x[s] * pu * (1 - pt) * py[s, u, 0]
                truth += x[s] * pu * float((py[s, u, 1] - py[s, u, 0]) @ range(3))
        found = marginal_sensitivity_bounds(joint, gamma)
        assert found.lower - 1e-12 <= truth <= found.upper + 1e-12


def test_a_binary_confounder_attains_the_upper_end_of_the_effect() -> None:
    """Among the treated U marks the top 1 / (1 + gamma) of the outcomes, among the controls all but the bottom."""
    rng = np.random.default_rng(6)
    gamma, e, n = 3.0, 0.3, 4  # a quarter of equally likely outcomes is exactly 1 / (1 + gamma)
    treated, control = np.sort(rng.normal(size=n)), np.sort(rng.normal(size=n))
    values = np.concatenate([treated, control])
    joint = np.zeros((1, 2, 2 * n))
    joint[0, 1, :n], joint[0, 0, n:] = e / n, (1 - e) / n
    p_u = {1: e / (1 + gamma) + (1 - e) * gamma / (1 + gamma)}
    p_u[0] = 1 - p_u[1]
    mean = {(1, 1): treated[-1], (0, 1): treated[:-1].mean(), (1, 0): control[1:].mean(), (0, 0): control[0]}
    truth = sum(p_u[u] * (mean[u, 1] - mean[u, 0]) for u in (0, 1))
    for u, part in ((1, 1 / (1 + gamma)), (0, gamma / (1 + gamma))):
        odds = e * part / (p_u[u] - e * part)
        assert odds / (e / (1 - e)) == pytest.approx(1 / gamma if u == 1 else gamma)
    found = marginal_sensitivity_bounds(joint, gamma, values=values.tolist())
    assert found.upper == pytest.approx(truth, abs=1e-12)


def test_a_level_that_never_occurs_in_a_stratum_leaves_the_limits() -> None:
    joint = np.array([[[0.2, 0.2], [0.1, 0.1]], [[0.2, 0.2], [0.0, 0.0]]])
    found = marginal_sensitivity_bounds(joint, 1.0, limits=(-1, 2))
    assert found.arms["treated"] == pytest.approx((0.6 * 0.5 - 0.4, 0.6 * 0.5 + 0.8))
    assert found.lower < found.upper


def test_scores_have_the_value_for_mean() -> None:
    rng = np.random.default_rng(7)
    y, p = rng.normal(size=9), rng.dirichlet(np.ones(9))
    found = greatest_mean(y, p, 2.5)
    assert p @ found.scores == pytest.approx(found.value) and found.value > p @ y


@pytest.mark.parametrize("gamma", [0.9, -1, float("nan"), "2", True, None])
def test_a_bad_factor_is_refused(gamma: object) -> None:
    with pytest.raises(WhenceError) as caught:
        marginal_sensitivity_bounds(np.ones((1, 2, 2)), gamma)  # type: ignore[arg-type]
    assert caught.value.code == "bad_gamma"


@pytest.mark.parametrize("change, code", [
    ({"joint": np.ones((2, 2))}, "bad_joint"), ({"joint": -np.ones((1, 2, 2))}, "bad_joint"),
    ({"values": [1.0]}, "bad_values"), ({"limits": (0.5, 2)}, "bad_limits"), ({"quantity": "LATE"}, "unknown_quantity"),
    ({"treated": 4}, "bad_level"), ({"treated": 0}, "bad_level"),
])
def test_bad_input_is_named(change: dict, code: str) -> None:
    with pytest.raises(WhenceError) as caught:
        marginal_sensitivity_bounds(**({"joint": np.ones((1, 2, 2)), "gamma": 2.0} | change))
    assert caught.value.code == code
