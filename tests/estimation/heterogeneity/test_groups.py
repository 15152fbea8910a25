"""Group effects, levels, traits and the projection on planted violations."""

from __future__ import annotations

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import Refused, to_plain
from whence.estimation.heterogeneity.best_linear_projection import best_linear_projection
from whence.estimation.heterogeneity.groups import classification, group_effects, level_effects


@pytest.fixture
def people() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(1000, 3))
    return 1 + x[:, 0] + rng.normal(size=1000), x


def test_groups_of_a_good_order(people: tuple[np.ndarray, np.ndarray]) -> None:
    scores, x = people
    found = group_effects(scores, x[:, 0])
    assert found.in_order
    assert not found.remarks
    assert found.top_against_bottom.p_value < 1e-6
    assert found.equal.p_value < 1e-6
    assert sum(found.shares) == pytest.approx(1)
    assert all(lo < c.estimate < hi for c in found.groups for lo, hi in [c.joint_interval])
    traits = classification(x, ["a", "b", "c"], found.codes)
    assert [t.difference.adjusted_p_value < 0.01 for t in traits] == [True, False, False]
    assert to_plain(found)["groups"][0]["label"] == "group 1 of 5, least affected"


def test_units_of_columns_do_not_matter(people: tuple[np.ndarray, np.ndarray]) -> None:
    """Columns in units 1e9 apart keep joint intervals; what is the same for everybody differs by exactly nothing."""
    scores, x = people
    codes = group_effects(scores, x[:, 0]).codes
    far = np.column_stack([x * [1e-9, 1.0, 1e9], np.full(1000, 0.1)])
    near, scaled = classification(x, ["a", "b", "c"], codes), classification(far, ["a", "b", "c", "d"], codes)
    for one, other in zip(near, scaled, strict=False):
        assert one.difference.adjusted_p_value == pytest.approx(other.difference.adjusted_p_value, rel=1e-6)
    assert scaled[3].difference.estimate == scaled[3].difference.standard_error == 0
    assert scaled[3].difference.p_value == 1
    line, steep = (best_linear_projection(scores, m, ["a", "b", "c"]) for m in (x, far[:, :3]))
    for one, other in zip(line.slopes, steep.slopes, strict=True):
        assert one.adjusted_p_value == pytest.approx(other.adjusted_p_value, rel=1e-6)
        assert other.joint_interval[0] < other.interval[0]


def test_rearrangement_is_said(people: tuple[np.ndarray, np.ndarray]) -> None:
    scores, x = people
    found = group_effects(scores, -x[:, 0])
    assert not found.in_order
    assert [r.code for r in found.remarks] == ["not_in_order"]
    assert list(found.rearranged) == sorted(c.estimate for c in found.groups)
    assert found.rearranged != tuple(c.estimate for c in found.groups)


def test_ties_that_leave_a_group_empty(people: tuple[np.ndarray, np.ndarray]) -> None:
    scores, x = people
    for order in (np.zeros(1000), (x[:, 0] > 0).astype(float)):
        found = group_effects(scores, order)
        assert isinstance(found, Refused)
        assert found.code == "empty_group"
    two = group_effects(scores, (x[:, 0] > 0).astype(float), groups=2)
    assert (two.codes == (x[:, 0] > 0)).all()
    folds = np.arange(1000) % 5
    some = group_effects(scores, np.where(folds == 0, 0.0, x[:, 0]), folds=folds)
    assert (some.folds, some.n) == (4, 800)
    assert [r.code for r in some.remarks] == ["empty_group"]


def test_too_few_rows(people: tuple[np.ndarray, np.ndarray]) -> None:
    scores, x = people
    small = group_effects(scores[:40], x[:40, 0])
    one_cluster = group_effects(scores, x[:, 0], clusters=np.zeros(1000))
    line = best_linear_projection(scores[:4], x[:4], ["a", "b", "c"])
    levels = level_effects(scores[:9], np.zeros(9, dtype=int), ["all"])
    nobody = classification(x, ["a", "b", "c"], np.full(1000, -1))
    for found in (small, one_cluster, line, levels, nobody):
        assert isinstance(found, Refused)
        assert found.code == "too_few_rows"


@pytest.mark.parametrize("which", ["groups", "projection", "levels", "traits"])
def test_negative_weights(people: tuple[np.ndarray, np.ndarray], which: str) -> None:
    scores, x = people
    weights = np.append(-1.0, np.ones(999))
    codes = np.arange(1000) % 2
    calls = {"groups": lambda: group_effects(scores, x[:, 0], weights=weights),
             "projection": lambda: best_linear_projection(scores, x, ["a", "b", "c"], weights=weights),
             "levels": lambda: level_effects(scores, codes, ["u", "v"], weights=weights),
             "traits": lambda: classification(x, ["a", "b", "c"], codes, weights=weights)}
    with pytest.raises(WhenceError) as caught:
        calls[which]()
    assert caught.value.code == "bad_weights"


def test_what_cannot_be_used(people: tuple[np.ndarray, np.ndarray]) -> None:
    scores, x = people
    for code, call in (
        ("bad_groups", lambda: group_effects(scores, x[:, 0], groups=1)),
        ("bad_shape", lambda: best_linear_projection(scores, x, ["a"])),
        ("bad_shape", lambda: classification(x, ["a"], np.zeros(1000))),
        ("bad_shape", lambda: group_effects(scores[:, None], x[:, 0])),
        ("not_finite", lambda: best_linear_projection(scores, np.where(x > 2, np.nan, x), ["a", "b", "c"])),
    ):
        with pytest.raises(WhenceError) as caught:
            call()
        assert caught.value.code == code


def test_small_and_missing_levels_are_named(people: tuple[np.ndarray, np.ndarray]) -> None:
    scores, _ = people
    codes = np.repeat([0, 1, 2, -1], [500, 480, 5, 15])
    found = level_effects(scores, codes, ["u", "v", "rare"], column="site")
    assert [c.label for c in found.levels] == ["u", "v"]
    assert found.n == 980
    assert [r.code for r in found.remarks] == ["small_levels", "no_level"]
    assert "rare" in found.remarks[0].text


def test_projection_drops_what_others_determine_whatever_the_order(people: tuple[np.ndarray, np.ndarray]) -> None:
    scores, x = people
    more = np.column_stack([x, x[:, 0] + x[:, 1], np.full(1000, 1e6)])
    names = ["a", "b", "c", "sum", "same"]
    found = best_linear_projection(scores, more, names)
    assert found.dropped == ("same", "sum")
    back = best_linear_projection(scores, more[:, ::-1], names[::-1])
    assert to_plain(found) == to_plain(back)
    nothing = best_linear_projection(scores, np.ones((1000, 1)), ["same"])
    assert isinstance(nothing, Refused)
    assert nothing.code == "constant_features"


def test_projection_far_from_zero_is_as_exact(people: tuple[np.ndarray, np.ndarray]) -> None:
    scores, x = people
    near, far = (best_linear_projection(scores, x[:, :1] + shift, ["a"]) for shift in (0.0, 1e7))
    assert far.slopes[0].estimate == pytest.approx(near.slopes[0].estimate, rel=1e-6)
    assert far.slopes[0].standard_error == pytest.approx(near.slopes[0].standard_error, rel=1e-6)


def test_more_features_than_clusters_leave_no_joint_test(people: tuple[np.ndarray, np.ndarray]) -> None:
    scores, x = people
    found = best_linear_projection(scores, x, ["a", "b", "c"], clusters=np.arange(1000) % 3)
    assert found.none is None
    assert [r.code for r in found.remarks] == ["no_joint_test"]
