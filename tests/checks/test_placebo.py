from __future__ import annotations

import numpy as np
import pytest

from whence.checks.placebo import placebo, placebos, shuffles


def rng(seed=0):
    return np.random.default_rng(seed)


def test_rows_are_shuffled_without_clusters():
    d = np.arange(20.0)
    draw, kind = shuffles(d, None, rng())
    drawn = draw(50)
    assert kind == "rows" and (np.sort(drawn, axis=1) == d).all()
    assert len({tuple(row) for row in drawn}) == 50


def test_whole_clusters_are_shuffled_when_the_treatment_is_theirs():
    clusters = np.repeat([7, 3, 9, 4], [2, 3, 4, 5])
    d = np.repeat([0.0, 1.0, 1.0, 0.0], [2, 3, 4, 5])
    draw, kind = shuffles(d, clusters, rng())
    assert kind == "clusters"
    for row in draw(30):
        values = [set(row[clusters == c]) for c in (7, 3, 9, 4)]
        assert all(len(v) == 1 for v in values) and sum(v == {1.0} for v in values) == 2


def test_rows_stay_in_their_cluster_when_it_holds_both_arms():
    clusters, d = rng(1).integers(0, 5, 60), rng(2).integers(0, 2, 60).astype(float)
    draw, kind = shuffles(d, clusters, rng())
    assert kind == "within"
    for row in draw(30):
        for c in range(5):
            assert row[clusters == c].sum() == d[clusters == c].sum()


@pytest.mark.parametrize("clustered", [False, True])
def test_every_shuffle_is_a_full_regression(clustered):
    """Each replicate equals least squares run from scratch on that shuffled treatment."""
    n = 80
    x, d, y = rng(3).normal(size=(n, 2)), rng(4).integers(0, 2, n).astype(float), rng(5).normal(size=n)
    weights, clusters = rng(6).uniform(0.5, 2, n), np.repeat(np.arange(20), 4)
    if clustered:
        d = d[::4].repeat(4)
    groups = clusters if clustered else None
    found, _ = placebos(y, d, x, 25, rng(9), weights, groups)
    drawn = shuffles(d, groups, rng(9))[0](25)
    root = np.sqrt(weights)
    for estimate, error, column in zip(found.estimates, found.errors, drawn, strict=True):
        design = np.column_stack([column, np.ones(n), x])
        beta = np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0]
        bread = np.linalg.inv(design.T @ (design * weights[:, None]))
        score, factor = design * (weights * (y - design @ beta))[:, None], 1.0
        if not clustered:
            score /= (1 - np.diag(design @ bread @ (design * weights[:, None]).T))[:, None]
        else:
            score = np.array([score[clusters == c].sum(axis=0) for c in range(20)])
            factor = 20 / 19 * (n - 1) / (n - 4)
        assert estimate == pytest.approx(beta[0])
        assert error == pytest.approx(np.sqrt(factor * (bread @ score.T @ score @ bread)[0, 0]))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("unit", [1.0, 1e25])
def test_large_tables_in_single_precision(unit, weighted):
    """From 2,000 rows on, one permutation serves sixteen times: each a full regression, to a hundred-thousandth."""
    n = 2500
    x, d = rng(3).normal(size=(n, 3)), rng(4).integers(0, 2, n).astype(float)
    y = unit * (x[:, 0] + rng(5).normal(size=n) * np.exp(x[:, 1]))
    weights = rng(6).uniform(0.5, 2, n) if weighted else None
    found, kind = placebos(y, d, x, 40, rng(9), weights)
    again = rng(9)
    order = again.permutation(n)
    back = np.argsort(order)  # the table is shuffled once before the treatment is
    drawn = shuffles(d[order], None, again)[0](40)[:, back]
    assert kind == "rows" and (drawn.sum(axis=1) == d.sum()).all() and len({tuple(row) for row in drawn}) == 40
    w = np.ones(n) if weights is None else weights
    for j in (0, 15, 16, 39):
        design = np.column_stack([drawn[j], np.ones(n), x])
        bread = np.linalg.inv(design.T @ (design * w[:, None]))
        beta = bread @ design.T @ (w * y)
        room = 1 - np.einsum("ij,jk,ik->i", design, bread, design * w[:, None])
        score = design * (w * (y - design @ beta) / room)[:, None]
        error = np.sqrt((bread @ score.T @ score @ bread)[0, 0])
        assert found.errors[j] == pytest.approx(error, rel=1e-5)
        assert found.estimates[j] == pytest.approx(beta[0], abs=1e-5 * error)


def test_shuffles_turned_round_are_uniform_and_uncorrelated():
    """Against fixed numbers, sums over shuffles have the variance of permutations and no correlation within a turn."""
    numbers = rng(1).permutation(np.cumsum(rng(1).normal(size=2000)))
    values = rng(2).normal(size=2000)
    sums = np.stack([shuffles(values, None, rng(seed))[0](16) @ (numbers - numbers.mean()) for seed in range(400)])
    expected = values.var() * numbers.var() * 2000**2 / 1999
    assert sums.var() == pytest.approx(expected, rel=0.06)  # 6,400 sums: Monte Carlo error .018
    assert abs(np.corrcoef(sums.T)[~np.eye(16, dtype=bool)].mean()) < 0.015
    assert abs(np.corrcoef((sums.T - sums.mean()) ** 2)[~np.eye(16, dtype=bool)].mean()) < 0.02


def test_small_batches_give_the_same_kind_of_answer(monkeypatch):
    from whence.checks import placebo as module

    x, d, y = rng(3).normal(size=(80, 2)), rng(4).integers(0, 2, 80).astype(float), rng(5).normal(size=80)
    whole, _ = placebos(y, d, x, 40, rng(9))
    monkeypatch.setattr(module, "BATCH", 80 * 7)
    parts, _ = placebos(y, d, x, 40, rng(9))
    assert np.allclose(whole.estimates, parts.estimates)


@pytest.mark.parametrize("method", ["difference", "regression", "ipw", "aipw"])
def test_nothing_comes_out_of_nothing(confounded, effect_of, method):
    found = placebo(confounded, effect_of(confounded, ["x1", "x2", "group"], method))
    assert found.verdict == "pass", found.saw
    numbers = found.numbers
    assert abs(numbers["centre"]) < 4 * numbers["centre_error"] and numbers["as_large"] == 0
    # 499 intervals that miss zero 5 % of the time: Monte Carlo error .0098, three of them allowed.
    assert abs(numbers["false_alarms"] - 0.05) < 0.03
    assert sum(found.figure["counts"]) == 499


def test_no_score_is_reused(confounded, effect_of):
    """A refuter that weights shuffled treatments by the old propensity scores is far from zero here; ours is not.

    Strong confounding: the reused inverse weights mix the old arms, so the stale placebo is biased.
    """
    effect = effect_of(confounded, ["x1", "x2", "group"], "ipw")
    y, e, d = confounded.numeric("y") + 20, effect.propensity, confounded.numeric("d")
    stale = []
    for _ in range(200):
        shuffled = rng(len(stale)).permutation(d)
        stale.append(np.mean(shuffled * y / e - (1 - shuffled) * y / (1 - e)))
    found = placebo(confounded, effect)
    assert abs(np.mean(stale)) > 1
    assert abs(found.numbers["centre"]) < 4 * found.numbers["centre_error"] < 0.05


def test_worries_when_a_handful_of_treated_rows_make_intervals_too_narrow(table_of, effect_of):
    y = rng(0).standard_t(3, 400)
    d = np.zeros(400)
    d[[3, 200, 301]] = 1
    table = table_of({"d": d, "y": y, "x": rng(1).normal(size=400)})
    found = placebo(table, effect_of(table, ["x"], "regression", interactions=False, covariance="HC1"))
    assert found.verdict == "worry" and found.numbers["false_alarms"] > 0.1
    assert "too narrow" in found.saw


def test_worries_when_the_interval_claims_more_than_shuffling_supports(table_of, effect_of):
    """Two treated rows, close together by luck: a tiny standard error, but shuffles do as well."""
    y = rng(2).normal(size=200)
    d = np.zeros(200)
    d[:2] = 1
    y[:2] = [0.5, 0.51]
    table = table_of({"d": d, "y": y, "x": rng(1).normal(size=200)})
    effect = effect_of(table, ["x"], "regression", interactions=False, covariance="HC1")
    assert effect.interval[0] > 0
    found = placebo(table, effect)
    assert found.verdict == "worry" and "claims more" in found.saw


def test_clusters_that_differ_pass_for_no_effect(table_of, effect_of):
    """Treated more often in clusters with high outcomes: shuffling within clusters must still centre at zero."""
    g = np.repeat(np.arange(30), 20)
    level = rng(3).normal(size=30)
    d = (rng(4).random(600) < 1 / (1 + np.exp(-level[g]))).astype(float)
    table = table_of({"d": d, "y": 2 * d + 3 * level[g] + rng(5).normal(size=600), "g": g.astype(str).astype(object)})
    found = placebo(table, effect_of(table, [], "regression", cluster="g"))
    assert abs(found.numbers["centre"]) < 4 * found.numbers["centre_error"]
    assert "within clusters of 'g'" in found.saw


def test_two_clusters_are_too_few(table_of, effect_of):
    d = np.tile([0.0, 1.0], 20)
    table = table_of({"d": d, "y": rng(5).normal(size=40), "g": np.repeat(["a", "b"], 20).astype(object)})
    assert not placebo(table, effect_of(table, [], "difference", cluster="g")).applies


def test_a_dose_and_no_controls(table_of, effect_of):
    dose = rng(6).normal(size=300)
    table = table_of({"d": dose, "y": dose + rng(7).normal(size=300)})
    found = placebo(table, effect_of(table, []))
    assert found.verdict == "pass" and found.numbers["actual"] == pytest.approx(1, abs=0.2)


def test_an_effect_that_is_not_there_agrees_with_its_interval(table_of, effect_of):
    table = table_of({"d": np.tile([0.0, 1.0], 100), "y": rng(8).normal(size=200)})
    found = placebo(table, effect_of(table, [], "difference"))
    assert found.verdict == "pass" and "includes zero" in found.saw


def test_seed_decides_and_column_order_does_not(confounded, effect_of):
    controls = ["x1", "x2", "group"]
    first = placebo(confounded, effect_of(confounded, controls), seed=4)
    turned = confounded.select(confounded.names[::-1])
    assert placebo(turned, effect_of(turned, controls[::-1]), seed=4).numbers == first.numbers
    assert placebo(confounded, effect_of(confounded, controls), seed=5).numbers["centre"] != first.numbers["centre"]
