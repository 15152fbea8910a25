"""Limits under hidden causes: against a linear program, the plain estimate at one, a planted cause, words, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from whence.checks.marginal_sensitivity import Side, marginal_sensitivity, model, yardsticks
from whence.checks.run import check
from whence.checks.setting import propensity, setting
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

SPEC = Spec("adjustment", ("t",), ("y",), controls=("a", "b"))


def drawn(n, seed, strength=1.0, effect=1.0):
    """Odds of treatment exp(0.5 a - 0.3 b) on average over u given the controls; u multiplies or divides them by up to
    ``strength`` and adds to the outcome."""
    rng = np.random.default_rng([seed, n])
    a, b, noise = rng.standard_normal((3, n))
    e = 1 / (1 + np.exp(-0.5 * a + 0.3 * b))
    # Of half the people the odds are times ``strength``; those of the rest follow, as the mean over u is e.
    high = e * strength / (e * strength + 1 - e)
    low = 2 * e - high
    fair = (low > 0) & (low / (1 - low) * strength * (1 - e) / e >= 1)
    u = rng.random(n) < 0.5
    t = rng.random(n) < np.where(fair, np.where(u, high, low), e)
    return {"t": t.astype(int), "y": effect * t + a + 0.5 * b + 1.0 * u * fair + noise, "a": a, "b": b}


def test_extremes_are_those_of_a_linear_program():
    rng = np.random.default_rng(0)
    for m in (5, 30):
        r = np.sort(rng.standard_normal(m))[::-1]
        fixed, moving = rng.random(m), rng.random(m) * 3
        side = Side(np.arange(m), r, fixed, moving, 1.0)
        for gamma in (1.0, 1.3, 4.0):
            low, high = fixed + moving / gamma, fixed + moving * gamma
            # Charnes and Cooper: v = w / sum(w), s = 1 / sum(w); low s <= v <= high s, sum(v) = 1.
            bounds = np.vstack([np.column_stack([-np.eye(m), low]), np.column_stack([np.eye(m), -high])])
            for greatest in (True, False):
                c = np.append(-r if greatest else r, 0.0)
                best = linprog(c, bounds, np.zeros(2 * m), np.append(np.ones(m), 0.0)[None, :], [1.0], (0, None))
                assert side.extreme(gamma, greatest)[0] == pytest.approx(r @ best.x[:m], abs=1e-9)


@pytest.mark.parametrize("quantity", ["ATE", "ATT", "ATC"])
def test_without_hidden_causes_both_ends_are_the_augmented_weighted_mean(make_table, quantity):
    columns = drawn(400, 1)
    table = make_table(columns, t="binary")
    effect = estimate(table, SPEC.replace(quantity=quantity), "ipw", degree=1)
    s = setting(table, effect)
    made, e, t, y = model(s), propensity(s), columns["t"] == 1, columns["y"]
    x = np.column_stack([np.ones(400), s.controls])
    fits = {b: x @ np.linalg.lstsq(x[t == b], y[t == b], rcond=None)[0] for b in (True, False)}
    h = {"ATE": np.ones(400), "ATT": e, "ATC": 1 - e}[quantity]
    asked = {"ATE": np.ones(400, bool), "ATT": t, "ATC": ~t}[quantity]
    means = {b: fits[b][asked].mean() + np.average(y[t == b] - fits[b][t == b], weights=(h / p)[t == b])
             for b, p in ((True, e), (False, 1 - e))}
    for greatest in (True, False):
        assert made.end(1.0, greatest)[0] == pytest.approx(means[True] - means[False], abs=1e-9)
    assert made.end(1.0, True)[1] == pytest.approx(effect.standard_error, rel=0.2)


def test_limits_hold_the_truth_when_the_hidden_cause_is_no_stronger(make_table):
    """u doubles the odds: the plain estimate is off, the limits at 2 are not, those at 1.1 are."""
    table = make_table(drawn(40_000, 2, strength=2.0), t="binary")
    effect = estimate(table, SPEC, "regression")
    made = model(setting(table, effect))
    assert effect.interval[0] > 1.05
    assert made.end(2.0, False)[0] < 1 < made.end(2.0, True)[0]
    assert made.end(1.02, False)[0] > 1
    assert made.end(3.0, False)[0] < made.end(2.0, False)[0] < made.end(1.5, False)[0]


def test_the_error_is_that_of_repeated_samples(make_table):
    ends = []
    for seed in range(120):
        table = make_table(drawn(400, seed), t="binary")
        ends.append(model(setting(table, estimate(table, SPEC, "regression", degree=1))).end(1.5, True))
    values, errors = np.array(ends).T
    assert errors.mean() == pytest.approx(values.std(), rel=0.15)  # two Monte Carlo errors of 120 are 13 %


def test_verdicts_and_words(make_table):
    table = make_table(drawn(2000, 3, effect=1.0), t="binary")
    strong = marginal_sensitivity(table, estimate(table, SPEC, "regression"))
    assert strong.verdict == "pass" and strong.numbers["gamma"] > strong.numbers["gamma_interval"] > 1.5
    assert strong.numbers["strongest"] == "a" and "'a'" in strong.saw and strong.cannot_show
    table = make_table(drawn(2000, 4, effect=0.3), t="binary")
    weak = marginal_sensitivity(table, estimate(table, SPEC, "regression"))
    assert weak.verdict == "worry" and 1 < weak.numbers["gamma_interval"] < 1.25
    table = make_table(drawn(300, 5, effect=0.0), t="binary")
    none = marginal_sensitivity(table, estimate(table, SPEC, "regression"))
    assert none.verdict == "informational" and none.numbers["gamma_interval"] == 1 and "includes zero" in none.saw
    negative = make_table(drawn(2000, 3, effect=1.0) | {"y": -drawn(2000, 3, effect=1.0)["y"]}, t="binary")
    mirrored = marginal_sensitivity(negative, estimate(negative, SPEC, "regression"))
    assert mirrored.numbers["gamma"] == pytest.approx(strong.numbers["gamma"], rel=1e-6)


def test_yardsticks_are_near_the_fit_without_the_control(make_table):
    from whence.stats.logit import logit

    table = make_table(drawn(3000, 6), t="binary")
    s = setting(table, estimate(table, SPEC, "regression", degree=1))
    ones = np.ones(s.n)
    whole = logit(np.column_stack([ones, s.controls]), s.treatment)
    for j, name in enumerate(("a", "b")):
        without = logit(np.column_stack([ones, np.delete(s.controls, j, axis=1)]), s.treatment)
        change = np.log(whole.probabilities[:, 1] / whole.probabilities[:, 0]) - np.log(
            without.probabilities[:, 1] / without.probabilities[:, 0])
        assert yardsticks(s)[name] == pytest.approx(np.exp(np.quantile(np.abs(change), 0.9)), rel=0.05)


def test_where_it_does_not_apply(make_table):
    columns = drawn(300, 7)
    table = make_table(columns, t="binary")
    trial = estimate(table, SPEC.replace(strategy="rct"))
    dose = estimate(make_table(columns), Spec("adjustment", ("a",), ("y",), controls=("b",)))
    overlap = estimate(table, SPEC.replace(quantity="ATO"))
    for source, effect in ((table, trial), (make_table(columns), dose), (table, overlap)):
        found = marginal_sensitivity(source, effect)
        assert not found.applies and found.saw
    assert not marginal_sensitivity(table, estimate(table, SPEC, "ipw"), most_rows=100).applies
    assert "marginal_sensitivity" in {c.name for c in check(table, estimate(table, SPEC, "ipw"))}


def test_without_controls_and_with_clusters_and_weights(make_table):
    columns = drawn(400, 8) | {"g": np.arange(400) // 8, "w": 1 + np.arange(400) % 3}
    table = make_table(columns, t="binary")
    bare = marginal_sensitivity(table, estimate(table, SPEC.replace(controls=())))
    assert "no control to compare" in bare.saw
    full = marginal_sensitivity(table, estimate(table, SPEC.replace(cluster="g", weights="w"), "regression"))
    assert full.numbers["estimate"] == pytest.approx(full.numbers["effect"], abs=0.1)
