"""When an order of people may be judged, and when not: RATE, uplift and what ranks them."""

from __future__ import annotations

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import Refused, to_plain
from whence.estimation.heterogeneity.rate import rate
from whence.estimation.heterogeneity.sequential import by_earlier_folds
from whence.estimation.heterogeneity.uplift import uplift


@pytest.fixture
def people() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    tau = rng.normal(1, 1, 800)
    return tau + rng.normal(size=800), tau


def test_a_good_order_and_its_reverse(people: tuple[np.ndarray, np.ndarray]) -> None:
    scores, tau = people
    found, back = rate(scores, tau), rate(scores, -tau)
    assert found.autoc.p_value < 1e-6
    assert found.autoc.estimate > 0 > back.autoc.estimate
    assert found.toc.value[-1] == pytest.approx(0, abs=1e-12)
    assert found.toc.joint_low[-1] == found.toc.joint_high[-1] == pytest.approx(0, abs=1e-12)
    assert (found.toc.joint_low <= found.toc.low + 1e-12).all()
    assert found.average.estimate == pytest.approx(scores.mean())


def test_the_same_for_the_same_seed_and_any_monotone_scale(people: tuple[np.ndarray, np.ndarray]) -> None:
    scores, tau = people
    assert to_plain(rate(scores, tau, seed=3)) == to_plain(rate(scores, np.exp(tau), seed=3))
    assert rate(scores, tau, seed=3).autoc.standard_error != rate(scores, tau, seed=4).autoc.standard_error


def test_constant_priorities_are_refused(people: tuple[np.ndarray, np.ndarray]) -> None:
    scores, tau = people
    for judge in (rate, uplift):
        found = judge(scores, np.ones(800))
        assert isinstance(found, Refused)
        assert found.code == "constant_priorities"
    same = rate(np.ones(800), tau)
    assert isinstance(same, Refused)
    assert same.code == "constant_scores"


def test_a_fold_without_an_order_is_left_out_and_named(people: tuple[np.ndarray, np.ndarray]) -> None:
    scores, tau = people
    folds = np.arange(800) % 4
    found = rate(scores, np.where(folds == 2, 0.0, tau), folds=folds)
    assert (found.folds, found.n) == (3, 600)
    assert [r.code for r in found.remarks] == ["constant_priorities"]


def test_too_few_rows_or_clusters(people: tuple[np.ndarray, np.ndarray]) -> None:
    scores, tau = people
    few = rate(scores[:30], tau[:30], folds=np.arange(30) % 2)
    assert isinstance(few, Refused)
    assert few.code == "too_few_rows"
    clustered = rate(scores, tau, clusters=np.arange(800) % 4)
    assert isinstance(clustered, Refused)
    assert clustered.evidence == {"clusters": 4}
    assert isinstance(rate(scores[:0], tau[:0]), Refused)


@pytest.mark.parametrize(
    ("code", "changed"),
    [("bad_weights", {"weights": np.append(-1.0, np.ones(799))}), ("bad_weights", {"weights": np.zeros(800)}),
     ("bad_shape", {"weights": np.ones(3)}), ("bad_shape", {"folds": np.ones(3)}), ("bad_draws", {"draws": 2}),
     ("clusters_split", {"folds": np.arange(800) % 2, "clusters": np.arange(800) // 20})],
)
def test_what_cannot_be_used(people: tuple[np.ndarray, np.ndarray], code: str, changed: dict) -> None:
    with pytest.raises(WhenceError) as caught:
        rate(*people, **changed)
    assert caught.value.code == code


def test_missing_numbers_are_refused(people: tuple[np.ndarray, np.ndarray]) -> None:
    scores, tau = people
    for broken in ((np.append(np.nan, scores[1:]), tau), (scores, np.append(np.inf, tau[1:]))):
        with pytest.raises(WhenceError, match="finite"):
            rate(*broken)


def test_uplift_with_a_cost(people: tuple[np.ndarray, np.ndarray]) -> None:
    scores, tau = people
    free, dear = uplift(scores, tau), uplift(scores, tau, cost=1.5)
    share = free.gain.share
    assert dear.gain.value == pytest.approx(free.gain.value - 1.5 * share)
    assert dear.gain.high - dear.gain.low == pytest.approx(free.gain.high - free.gain.low)
    assert dear.everybody.estimate == pytest.approx(scores.mean() - 1.5)
    assert dear.best_share == pytest.approx((tau > 1.5).mean(), abs=0.15)
    assert uplift(scores, tau, cost=100.0).best_share == 0
    assert dear.area == free.area
    with pytest.raises(WhenceError) as caught:
        uplift(scores, tau, cost=np.nan)
    assert caught.value.code == "bad_cost"


def test_each_fold_is_ranked_by_earlier_folds_only() -> None:
    folds = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 5])
    seen = []

    def learn(old: np.ndarray, new: np.ndarray) -> np.ndarray:
        seen.append((old.tolist(), new.tolist()))
        return new.astype(float)

    out = by_earlier_folds(learn, folds)
    assert seen == [([0, 3, 6], [1, 4, 7]), ([0, 1, 3, 4, 6, 7], [2, 5, 8]), (list(range(9)), [9])]
    assert out.rows.tolist() == out.priorities.tolist() == [1, 2, 4, 5, 7, 8, 9]
    assert out.folds.tolist() == [1, 2, 1, 2, 1, 2, 5]
