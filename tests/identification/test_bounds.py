"""Bounds against closed forms, and against models with known response types."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import Refused, to_plain
from whence.identification.bounds import Bounded, instrument_bounds, monotone_bounds

SOLVER = 1e-7  # what the linear program promises


def bounded(answer: Bounded | Refused) -> Bounded:
    assert isinstance(answer, Bounded), str(answer)
    return answer


def from_types(shares: np.ndarray, weights: np.ndarray, shape: tuple[int, int, int]) -> tuple[np.ndarray, list[float]]:
    """The joint of (z, x, y) and the mean outcome under each treatment, unit type by unit type.

    shares: probability of each (treatment type, outcome type), in the order of ``itertools.product``.
    """
    nz, nx, ny = shape
    joint, means = np.zeros(shape), [0.0] * nx
    kinds = itertools.product(itertools.product(range(nx), repeat=nz), itertools.product(range(ny), repeat=nx))
    for share, (takes, has) in zip(shares.ravel(), kinds, strict=True):
        for z in range(nz):
            joint[z, takes[z], has[takes[z]]] += weights[z] * share
        for x in range(nx):
            means[x] += share * has[x]
    return joint, means


def random_model(rng: np.random.Generator, shape: tuple[int, int, int]) -> tuple[np.ndarray, list[float]]:
    nz, nx, ny = shape
    shares = rng.dirichlet(np.full(nx**nz * ny**nx, rng.choice((0.05, 0.3, 1.0))))
    return from_types(shares, rng.dirichlet(np.full(nz, 5.0)), shape)


def balke_pearl(joint: np.ndarray) -> tuple[float, float]:
    """The closed form for three binary variables (Balke and Pearl 1997); p[y, x, z] is P(y, x | z)."""
    p = (joint / joint.sum(axis=(1, 2), keepdims=True)).transpose(2, 1, 0)
    lower = max(
        p[1, 1, 1] + p[0, 0, 0] - 1, p[1, 1, 0] + p[0, 0, 1] - 1,
        p[1, 1, 0] - p[1, 1, 1] - p[1, 0, 1] - p[0, 1, 0] - p[1, 0, 0],
        p[1, 1, 1] - p[1, 1, 0] - p[1, 0, 0] - p[0, 1, 1] - p[1, 0, 1],
        -p[0, 1, 1] - p[1, 0, 1], -p[0, 1, 0] - p[1, 0, 0],
        p[0, 0, 1] - p[0, 1, 1] - p[1, 0, 1] - p[0, 1, 0] - p[0, 0, 0],
        p[0, 0, 0] - p[0, 1, 0] - p[1, 0, 0] - p[0, 1, 1] - p[0, 0, 1],
    )
    upper = min(
        1 - p[0, 1, 1] - p[1, 0, 0], 1 - p[0, 1, 0] - p[1, 0, 1],
        -p[0, 1, 0] + p[0, 1, 1] + p[0, 0, 1] + p[1, 1, 0] + p[0, 0, 0],
        -p[0, 1, 1] + p[1, 1, 1] + p[0, 0, 1] + p[0, 1, 0] + p[0, 0, 0],
        p[1, 1, 1] + p[0, 0, 1], p[1, 1, 0] + p[0, 0, 0],
        -p[1, 0, 1] + p[1, 1, 1] + p[0, 0, 1] + p[1, 1, 0] + p[1, 0, 0],
        -p[1, 0, 0] + p[1, 1, 0] + p[0, 0, 0] + p[1, 1, 1] + p[1, 0, 1],
    )
    return float(lower), float(upper)


def test_balke_pearl_closed_form() -> None:
    rng = np.random.default_rng(1)
    for _ in range(40):
        joint, _ = random_model(rng, (2, 2, 2))
        answer = bounded(instrument_bounds(joint))
        assert (answer.lower, answer.upper) == pytest.approx(balke_pearl(joint), abs=SOLVER)


@pytest.mark.parametrize("shape", [(2, 2, 2), (3, 2, 2), (2, 3, 2), (2, 2, 3), (3, 3, 2)])
def test_the_truth_is_inside_and_manski_contains_balke_pearl(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(sum(shape))
    for _ in range(8):
        joint, means = random_model(rng, shape)
        top = shape[1] - 1
        tight = bounded(instrument_bounds(joint, treated=top))
        loose = bounded(monotone_bounds(joint.sum(axis=0), treated=top))
        truth = means[top] - means[0]
        assert tight.lower - SOLVER <= truth <= tight.upper + SOLVER
        assert loose.lower - SOLVER <= tight.lower and tight.upper <= loose.upper + SOLVER
        for arm, mean in (("treated", means[top]), ("control", means[0])):
            low, high = tight.arms[arm]
            assert low - SOLVER <= mean <= high + SOLVER


def test_full_compliance_gives_the_point() -> None:
    joint = np.zeros((2, 2, 2))
    joint[0, 0], joint[1, 1] = (0.3, 0.2), (0.1, 0.4)
    answer = bounded(instrument_bounds(joint))
    assert (answer.lower, answer.upper) == pytest.approx((0.4, 0.4), abs=SOLVER)
    assert answer.sign == 1 and answer.width == pytest.approx(0, abs=SOLVER)


def test_the_instrumental_inequality_decides_when_all_is_binary() -> None:
    rng, verdicts = np.random.default_rng(2), []
    for _ in range(80):
        given = rng.dirichlet(np.full(4, 0.5), size=2).reshape(2, 2, 2)
        worst = max(sum(max(given[z, x, y] for z in (0, 1)) for y in (0, 1)) for x in (0, 1))
        answer = instrument_bounds(given)
        verdicts.append(bool(answer))
        assert bool(answer) == (worst <= 1 + 1e-9)
        if isinstance(answer, Refused):
            assert answer.code == "instrument_contradicted"
            assert max(answer.evidence["instrumental_inequality"]) == pytest.approx(worst)
            assert answer.evidence["smallest_change"] > 0
    assert 10 < sum(verdicts) < 70


def test_without_defiers_the_bounds_are_the_natural_ones() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        shares = rng.dirichlet(np.full(16, 0.5)).reshape(4, 4)
        shares[2] = 0  # takes 1 at z = 0 and 0 at z = 1
        joint, _ = from_types(shares / shares.sum(), np.array([0.4, 0.6]), (2, 2, 2))
        answer = bounded(instrument_bounds(joint, monotone=True))
        given = joint / joint.sum(axis=(1, 2), keepdims=True)
        arm = {x: (given[:, x, 1].max(), 1 - given[:, x, 0].max()) for x in (0, 1)}
        assert answer.lower == pytest.approx(arm[1][0] - arm[0][1], abs=SOLVER)
        assert answer.upper == pytest.approx(arm[1][1] - arm[0][0], abs=SOLVER)


def test_defiers_are_seen() -> None:
    joint = np.zeros((2, 2, 2))
    joint[0, 1, 0] = joint[1, 0, 0] = 0.5  # the instrument lowers everybody's treatment
    assert isinstance(instrument_bounds(joint), Bounded)
    answer = instrument_bounds(joint, monotone=True)
    assert isinstance(answer, Refused)
    assert "moves nobody's treatment down" in answer.reason


def test_an_instrument_level_that_never_occurs_is_left_out() -> None:
    joint, _ = random_model(np.random.default_rng(4), (2, 2, 2))
    padded = np.insert(joint, 1, 0.0, axis=0)
    one, other = bounded(instrument_bounds(joint)), bounded(instrument_bounds(padded))
    assert (one.lower, one.upper) == pytest.approx((other.lower, other.upper), abs=SOLVER)


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_the_unit_of_the_outcome_does_not_matter(unit: float) -> None:
    joint, *_ = random_arms(np.random.default_rng(6), 2)
    plain, other = (bounded(monotone_bounds(joint, values=(0, u), response="increasing")) for u in (1, unit))
    assert other.upper == pytest.approx(unit * plain.upper, rel=SOLVER)
    assert plain.sign == other.sign == 0


def test_an_outcome_that_never_changes_has_no_effect() -> None:
    answer = bounded(monotone_bounds(np.array([[3], [4]]), values=(7.0,)))
    assert (answer.lower, answer.upper) == (0.0, 0.0)
    assert answer.arms["treated"] == (7.0, 7.0)


def test_values_scale_and_shift() -> None:
    joint, _ = random_model(np.random.default_rng(5), (2, 2, 2))
    plain = bounded(instrument_bounds(joint))
    scaled = bounded(instrument_bounds(joint, values=(10.0, 14.0)))
    assert (scaled.lower, scaled.upper) == pytest.approx((4 * plain.lower, 4 * plain.upper), abs=1e-6)
    counts = bounded(instrument_bounds(np.round(joint * 1e7)))
    assert counts.lower == pytest.approx(plain.lower, abs=1e-5)


# Without an instrument


def random_arms(rng: np.random.Generator, levels: int, ordered: bool = False) -> tuple[np.ndarray, ...]:
    """The joint of (treatment, binary outcome), P(treatment), P(outcome = 1 | treatment)."""
    share, mean = rng.dirichlet(np.full(levels, 3.0)), rng.uniform(0.05, 0.95, levels)
    mean = np.sort(mean) if ordered else mean
    return np.column_stack([share * (1 - mean), share * mean]), share, mean


def manski_pepper(share: np.ndarray, mean: np.ndarray, t: int, response: bool, selection: bool) -> tuple[float, float]:
    """Bounds on E[Y(t)] when the outcome lies in [0, 1] (Manski 1990, 1997; Manski and Pepper 2000), by loops."""
    low = high = 0.0
    for u in range(len(share)):
        under, over = (0.0, 1.0) if u != t else (mean[t], mean[t])
        if u < t:
            under = max(under, mean[u] if response else 0.0)
            over = min(over, mean[t] if selection else 1.0)
        if u > t:
            under = max(under, mean[t] if selection else 0.0)
            over = min(over, mean[u] if response else 1.0)
        low, high = low + share[u] * under, high + share[u] * over
    return low, high


@pytest.mark.parametrize("response", [False, True])
@pytest.mark.parametrize("selection", [False, True])
@pytest.mark.parametrize("levels", [2, 3, 4])
def test_manski_and_pepper_closed_forms(response: bool, selection: bool, levels: int) -> None:
    rng = np.random.default_rng(levels)
    for _ in range(10):
        joint, share, mean = random_arms(rng, levels, ordered=response and selection)
        top = levels - 1
        answer = bounded(monotone_bounds(
            joint, treated=top, control=0, response="increasing" if response else None,
            selection="increasing" if selection else None,
        ))
        (low1, high1), (low0, high0) = (manski_pepper(share, mean, t, response, selection) for t in (top, 0))
        assert answer.upper == pytest.approx(high1 - low0, abs=SOLVER)
        assert answer.lower == pytest.approx(0.0 if response else low1 - high0, abs=SOLVER)
        assert answer.arms["treated"] == pytest.approx((low1, high1), abs=SOLVER)
        assert answer.arms["control"] == pytest.approx((low0, high0), abs=SOLVER)
        assert len(answer.assumptions) == response + selection


def test_no_assumption_bounds_of_two_arms_have_width_one() -> None:
    joint, share, mean = random_arms(np.random.default_rng(9), 2)
    answer = bounded(monotone_bounds(joint))
    assert answer.width == pytest.approx(1.0)
    assert answer.lower == pytest.approx(share[1] * mean[1] - share[0] * mean[0] - share[1])
    assert answer.method == "no-assumption bounds" and answer.sign == 0
    assert "Nothing is assumed." in str(answer)


def test_a_falling_outcome_is_a_rising_one_turned_over() -> None:
    joint, *_ = random_arms(np.random.default_rng(10), 3)
    down = bounded(monotone_bounds(joint, treated=2, response="decreasing"))
    up = bounded(monotone_bounds(joint[:, ::-1], treated=2, response="increasing"))
    assert (down.lower, down.upper) == pytest.approx((-up.upper, -up.lower), abs=SOLVER)


def test_directions_the_data_contradict_are_refused() -> None:
    joint = np.array([[0.1, 0.4], [0.4, 0.1]])  # the treated fare worse
    answer = monotone_bounds(joint, response="increasing", selection="increasing")
    assert isinstance(answer, Refused)
    assert answer.code == "monotonicity_contradicted"
    assert answer.evidence["mean_outcome_by_treatment"] == pytest.approx({"0": 0.8, "1": 0.2})
    assert isinstance(monotone_bounds(joint, response="increasing", selection="decreasing"), Bounded)


def test_an_arm_nobody_took_may_hold_anything() -> None:
    joint = np.array([[0.5, 0.5], [0.0, 0.0]])
    answer = bounded(monotone_bounds(joint))
    assert (answer.lower, answer.upper) == pytest.approx((-0.5, 0.5), abs=SOLVER)


def test_wider_limits_give_wider_bounds() -> None:
    joint, *_ = random_arms(np.random.default_rng(12), 2)
    assert bounded(monotone_bounds(joint, limits=(-1.0, 2.0))).width == pytest.approx(3.0)


def test_it_is_plain_and_frozen() -> None:
    answer = bounded(monotone_bounds(np.full((2, 2), 5)))
    plain: Any = to_plain(answer)
    assert plain["lower"] == pytest.approx(-0.5) and plain["arms"]["treated"] == pytest.approx([0.25, 0.75])
    with pytest.raises(AttributeError):
        answer.lower = 0.0  # type: ignore[misc]


def test_it_says_whether_it_is_sharp_and_shows_itself_in_a_notebook() -> None:
    answer = bounded(monotone_bounds(np.full((2, 2), 5)))
    assert answer and answer.sharp and "narrowest" not in str(answer)
    other = replace(answer, sharp=False, note="Two districts <are> open.", assumptions=("a < b",))
    assert "perhaps not the narrowest" in str(other) and str(other).endswith("Two districts <are> open.")
    page = other._repr_html_()
    assert "a &lt; b" in page and "&lt;are&gt;" in page and "<b>-0.5</b>" in page


@pytest.mark.parametrize(("change", "code"), [
    ({"joint": np.ones((2, 2, 2))}, "bad_joint"), ({"joint": -np.ones((2, 2))}, "bad_joint"),
    ({"joint": np.zeros((2, 2))}, "bad_joint"), ({"joint": np.full((2, 2), np.nan)}, "bad_joint"),
    ({"treated": 2}, "bad_level"), ({"treated": 0}, "bad_level"), ({"treated": True}, "bad_level"),
    ({"values": (1.0,)}, "bad_values"), ({"values": (0.0, np.inf)}, "bad_values"),
    ({"limits": (0.5, 1.0)}, "bad_limits"), ({"response": "up"}, "unknown_direction"),
])
def test_bad_input_without_an_instrument(change: dict[str, Any], code: str) -> None:
    with pytest.raises(WhenceError) as error:
        monotone_bounds(**({"joint": np.ones((2, 2))} | change))
    assert error.value.code == code


@pytest.mark.parametrize(("change", "code"), [
    ({"joint": np.ones((2, 2))}, "bad_joint"), ({"joint": np.ones((6, 6, 2))}, "too_many_types"),
    ({"control": -1}, "bad_level"), ({"values": "ab"}, "bad_values"),
])
def test_bad_input_with_an_instrument(change: dict[str, Any], code: str) -> None:
    with pytest.raises(WhenceError) as error:
        instrument_bounds(**({"joint": np.ones((2, 2, 2))} | change))
    assert error.value.code == code
