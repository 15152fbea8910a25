"""Matched pairs, tipping points, negative controls, the specification curve, and the contours of the linear check."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from scipy.stats import binomtest, wilcoxon

from whence.checks.hidden import adjusted, contour, critical_f, interval_contour
from whence.checks.negative_control import negative_control
from whence.checks.robustness import robustness
from whence.checks.rosenbaum import SHOWN, critical_gamma, rosenbaum, signed_scores
from whence.checks.run import check
from whence.checks.specification_curve import specification_curve, subsets
from whence.checks.tipping_point import tipping_point
from whence.core.errors import WhenceError
from whence.core.rng import generator
from whence.report.figures import draw
from whence.stats.pairs import pairs

RNG = np.random.default_rng(3)


@pytest.fixture(scope="module")
def effect(confounded, effect_of):
    return effect_of(confounded, ["x1", "x2", "group"])


def test_pairs_are_within_the_caliper_and_used_once():
    score, treated = RNG.normal(size=300), RNG.random(300) < 0.6
    found = {o: pairs(score, treated, 0.1, o) for o in (True, False)}
    for made in found.values():
        assert treated[made[:, 0]].all() and not treated[made[:, 1]].any()
        assert len(np.unique(made)) == made.size
        assert np.abs(score[made[:, 0]] - score[made[:, 1]]).max() <= 0.1
    assert len(found[True]) >= len(found[False]) > 0.8 * len(found[True])


def test_optimal_pairs_by_trying_all():
    """Six treated, seven untreated: no other matching has more pairs, or as many that are closer."""
    score, treated = np.random.default_rng(1).normal(size=13), np.arange(13) < 6
    made = pairs(score, treated, 0.4, True)
    best = (0, 0.0)
    for others in itertools.permutations(range(6, 13), 6):
        gaps = np.abs(score[:6] - score[list(others)])
        near = gaps[gaps <= 0.4]
        best = min(best, (-len(near), float(near.sum())))
    total = np.abs(score[made[:, 0]] - score[made[:, 1]]).sum()
    assert (-len(made), total) == pytest.approx(best)


@pytest.mark.parametrize("statistic", ["wilcoxon", "sign", "huber"])
@pytest.mark.parametrize("gamma", [1.0, 1.5, 3.0])
def test_largest_p_value_by_listing_all_signs(statistic, gamma):
    """Every pattern of signs of 12 pairs with its probability when each is positive with gamma / (1 + gamma)."""
    d = np.round(np.random.default_rng(2).normal(0.6, 1, 12), 1)
    found = signed_scores(d, statistic)
    d = d[d != 0]
    p = gamma / (1 + gamma)
    total = sum(p ** sum(signs) * (1 - p) ** (len(d) - sum(signs))
                for signs in itertools.product((0, 1), repeat=len(d))
                if np.dot(signs, found.scores) >= found.total - 1e-9)
    assert found.p_value(gamma) == pytest.approx(total, abs=1e-12 if statistic != "huber" else 0.05)


def test_without_a_hidden_cause_they_are_the_usual_tests():
    d = np.random.default_rng(4).normal(0.3, 1, 40)
    assert 2 * signed_scores(d, "wilcoxon").p_value(1) == pytest.approx(wilcoxon(d, method="exact").pvalue)
    positive = max(int((d > 0).sum()), int((d < 0).sum()))
    assert signed_scores(d, "sign").p_value(2.0) == pytest.approx(
        binomtest(positive, 40, 2 / 3, alternative="greater").pvalue)
    many = np.random.default_rng(5).normal(0.3, 1, 400)
    assert 2 * signed_scores(many, "wilcoxon").p_value(1) == pytest.approx(
        wilcoxon(many, method="approx", correction=False).pvalue, rel=1e-6)


def test_critical_gamma_is_where_significance_is_lost():
    found = signed_scores(np.random.default_rng(6).normal(0.5, 1, 80), "wilcoxon")
    gamma = critical_gamma(found, 0.05)
    assert gamma > 1 and 2 * found.p_value(gamma) == pytest.approx(0.05, abs=1e-6)
    assert critical_gamma(signed_scores(np.tile([1.0, -1.0], 40), "sign"), 0.05) == 1


def test_rosenbaum_check(confounded, effect):
    found = rosenbaum(confounded, effect)
    n = found.numbers
    assert found.applies and n["gamma"] > 1 and found.verdict in ("pass", "worry")
    assert n["both"] == pytest.approx(n["gamma"] + np.sqrt(n["gamma"] ** 2 - 1))
    assert [r["gamma"] for r in found.figure["rows"]] == list(SHOWN)
    # a hidden cause that multiplies both odds by ``both`` is one of gamma: (b^2 + 1) / (2 b)
    assert (n["both"] ** 2 + 1) / (2 * n["both"]) == pytest.approx(n["gamma"])
    strict = rosenbaum(confounded, effect, weak=n["gamma"] + 1)
    assert strict.verdict == "worry" and "size" in strict.cannot_show
    none = rosenbaum(confounded, effect, most_rows=100)
    assert not none.applies and "most_rows" in none.saw


def test_no_effect_leaves_nothing_to_explain(table_of, effect_of):
    columns = {"d": RNG.integers(0, 2, 200), "y": RNG.normal(size=200), "x": RNG.normal(size=200)}
    table = table_of(columns)
    effect = effect_of(table, ["x"])
    assert rosenbaum(table, effect).verdict == "informational"
    assert tipping_point(table, effect).verdict == "informational"


def test_tipping_point_by_adding_the_hidden_cause(table_of, effect_of):
    """Data in which a hidden U has exactly the effect and the imbalance the check names: adjusting for it ends the
    effect."""
    n = 20_000
    d = np.arange(n) % 2
    u = (np.arange(n) // 2 % 10 < np.where(d == 1, 5, 3)).astype(float)  # 20 points more common among the treated
    noise = np.random.default_rng(7).normal(size=n)
    noise -= np.where(d == 1, noise[d == 1].mean(), noise[d == 0].mean())
    x = np.random.default_rng(8).normal(size=n)
    table = table_of({"d": d, "y": 1.5 * u + 0.1 * noise, "x": x, "u": u})
    effect = effect_of(table, ["x"], degree=1, interactions=False)
    found = tipping_point(table, effect)
    assert found.numbers["needed"] == pytest.approx(1.5, rel=0.01)
    assert effect_of(table, ["x", "u"], degree=1, interactions=False).estimate == pytest.approx(0, abs=0.01)
    seen = tipping_point(table, effect_of(table, ["x", "u"], degree=1, interactions=False)).numbers["controls"]
    of_u = next(c for c in seen if c["control"] == "u")
    assert of_u["effect"] == pytest.approx(1.5, abs=0.01) and of_u["difference"] == pytest.approx(0.2, abs=1e-3)
    assert of_u["bias"] == pytest.approx(0.3, abs=0.01)


def test_tipping_point_worries_when_a_control_like_that_would_do(confounded, effect):
    found = tipping_point(confounded, effect)
    n = found.numbers
    assert n["strongest"] == "x1" and n["strongest_bias"] > 0.2
    assert (found.verdict == "worry") == (abs(n["strongest_bias"]) >= n["limit"])
    assert n["limit"] == pytest.approx(effect.interval[0])
    assert "not whether there is one" in found.cannot_show


def test_negative_controls(table_of, effect_of):
    rng = np.random.default_rng(9)
    n = 2000
    u, x = rng.normal(size=(2, n))
    d = (rng.random(n) < 1 / (1 + np.exp(-x - u))).astype(float)
    table = table_of({"d": d, "y": d + x + u + rng.normal(size=n), "x": x, "tainted": u + x + rng.normal(size=n),
                      "clean": x + rng.normal(size=n), "exposure": u + x + rng.normal(size=n)})
    effect = effect_of(table, ["x"])
    assert negative_control(table, effect, outcome="tainted").verdict == "worry"
    clean = negative_control(table, effect, outcome="clean")
    assert clean.verdict == "pass" and "no evidence" in clean.cannot_show
    assert negative_control(table, effect, exposure="exposure").verdict == "worry"
    silent = negative_control(table, effect)
    assert not silent.applies and "named" in silent.saw
    for params, code in (({"outcome": "y"}, "role_conflict"), ({"outcome": "no"}, "unknown_column"),
                         ({"outcome": "clean", "exposure": "exposure"}, "two_negative_controls")):
        with pytest.raises(WhenceError) as caught:
            negative_control(table, effect, **params)
        assert caught.value.code == code
    (through,) = check(table, effect, "negative_control", parameters={"negative_control": {"outcome": "tainted"}})
    assert through.verdict == "worry"
    with pytest.raises(WhenceError) as caught:
        check(table, effect, parameters={"negative_control": {"outcom": "tainted"}})
    assert caught.value.code == "unknown_parameter"
    was = negative_control(table, effect_of(table, ["x", "clean"]), outcome="clean")
    assert was.numbers["was_control"] and "left out" in was.saw


def test_specification_curve_by_fitting_each(confounded, effect_of):
    effect = effect_of(confounded, ["x1", "x2", "group"], degree=1, interactions=False)
    found = specification_curve(confounded, effect)
    expected = []
    for size in range(4):
        for chosen in itertools.combinations(["x1", "x2", "group"], size):
            one = effect_of(confounded, list(chosen), degree=1, interactions=False)
            expected.append((one.estimate, one.standard_error))
    expected = np.array(sorted(expected))
    np.testing.assert_allclose(found.figure["estimates"], expected[:, 0], rtol=1e-9)
    half = (np.array(found.figure["high"]) - found.figure["low"]) / 2 / 1.959964
    np.testing.assert_allclose(half, expected[:, 1], rtol=0.03)  # leverage of all controls
    n = found.numbers
    assert n["specifications"] == 8 and n["all"] and n["matters_most"] == "x1"
    assert n["full"] == pytest.approx(effect.estimate)


def test_specification_curve_with_powers_and_a_sample(table_of, effect_of):
    x = RNG.normal(size=(300, 12))
    d = (x[:, 0] + RNG.normal(size=300) > 0).astype(float)
    table = table_of({"d": d, "y": d + x[:, 0] + RNG.normal(size=300)} | {f"x{k}": x[:, k] for k in range(12)})
    effect = effect_of(table, [f"x{k}" for k in range(12)], interactions=False)
    found = [specification_curve(table, effect, most=100, seed=s) for s in (0, 0, 1)]
    assert found[0].numbers == found[1].numbers != found[2].numbers
    assert found[0].numbers["specifications"] == 100 and not found[0].numbers["all"]
    assert found[0].numbers["full"] == pytest.approx(effect.estimate)  # the effect's own design has squares


def test_subsets():
    assert sorted(map(tuple, subsets(3, 8, generator(0, "s")).tolist())) == sorted(
        itertools.product([False, True], repeat=3))
    drawn = subsets(40, 500, generator(0, "s"))
    assert len(np.unique(drawn, axis=0)) == 500 and drawn[0].all() and not drawn[-1].any()
    assert np.bincount(drawn.sum(axis=1))[1:40].min() > 0


def test_a_sign_that_turns_with_half_of_the_controls_is_a_worry(table_of, effect_of):
    rng = np.random.default_rng(0)
    n = 2000
    x1, x2, x3 = rng.normal(size=(3, n))
    d = (rng.random(n) < 1 / (1 + np.exp(-2 * x1))).astype(float)
    table = table_of({"d": d, "y": -0.5 * d + 2 * x1 + rng.normal(size=n), "x1": x1, "x2": x2, "x3": x3})
    found = specification_curve(table, effect_of(table, ["x1", "x2", "x3"]))
    assert found.verdict == "worry" and found.numbers["opposed"] > 0 and found.numbers["matters_most"] == "x1"


def test_a_thousand_specifications_are_quick(table_of, effect_of):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(10_000, 20))
    d = (x[:, 0] + rng.normal(size=10_000) > 0).astype(float)
    table = table_of({"d": d, "y": d + x[:, 0] + rng.normal(size=10_000)} | {f"x{k}": x[:, k] for k in range(20)})
    effect = effect_of(table, [f"x{k}" for k in range(20)], degree=1)
    spent = []
    for _ in range(2):
        start = time.process_time()
        specification_curve(table, effect, most=1000)
        spent.append(time.process_time() - start)
    assert min(spent) < 2.0  # about 0.4 s on one free core


def test_contours_are_the_closed_form():
    """Every point of a contour, put into the bias formula, gives the estimate it stands for."""
    t, freedom, error = 4.2, 783, 0.0233
    estimate = t * error
    x = np.linspace(0.005, 0.4, 40)
    for share in (0.0, 0.25, 0.5, 0.75):
        for a, b in zip(x, contour(x, (1 - share) * t, freedom), strict=True):
            if b <= 1:
                assert adjusted(estimate, error, freedom, a, b)[0] == pytest.approx(share * estimate, abs=1e-12)
    half = critical_f(freedom, 0.05) * np.sqrt(freedom - 1)
    for a, b in zip(x, interval_contour(x, t, freedom, 0.05), strict=True):
        if 0 < b < 1:
            moved, wider = adjusted(estimate, error, freedom, a, b)
            assert moved - half * wider == pytest.approx(0, abs=1e-10)


def test_contours_in_the_check(darfur, effect_of):
    controls = "age farmer_dar herder_dar pastvoted hhsize_darfur female village".split()
    effect = effect_of(darfur, controls, treatments=("directlyharmed",), outcomes=("peacefactor",), degree=1,
                       interactions=False)
    found = robustness(darfur, effect)
    n = found.numbers
    assert n["estimate"] == pytest.approx(0.0973, abs=5e-5)
    assert n["partial_r2"] == pytest.approx(0.0219, abs=5e-5)
    assert n["robustness_value"] == pytest.approx(0.139, abs=5e-4)
    assert n["robustness_value_interval"] == pytest.approx(0.076, abs=5e-4)
    levels = found.figure["levels"]
    assert [level["estimate"] for level in levels] == pytest.approx([0.0243, 0.0486, 0.0730], abs=1e-4)
    rv = n["robustness_value_interval"]  # on the diagonal the curve of the interval passes through its robustness value
    x, y = np.array(found.figure["interval"]).T
    assert np.interp(rv, x, y) == pytest.approx(rv, rel=0.01)


def test_figures_are_drawn(confounded, effect):
    for found in (rosenbaum(confounded, effect), tipping_point(confounded, effect),
                  specification_curve(confounded, effect), robustness(confounded, effect)):
        svg = draw(found.figure)
        assert svg.startswith("<svg") and "<desc" in svg and "nan" not in svg, found.name
