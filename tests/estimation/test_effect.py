"""Effects add and subtract with their joint variance; they show themselves in notebooks."""

from __future__ import annotations

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import Remark
from whence.estimation.effect import summarise
from whence.estimation.estimate import estimate
from whence.identification.spec import Condition


def test_an_effect_minus_itself_is_zero(sample, spec):
    effect = estimate(sample(200, 1).table, spec(), "regression")
    nothing = effect - effect
    assert nothing.estimate == 0 and nothing.standard_error == 0 and nothing.p_value == 1
    twice = effect + effect
    assert twice.standard_error == pytest.approx(2 * effect.standard_error)


def test_disjoint_rows_are_independent(sample, spec):
    table = sample(300, 2).table
    low, high = (estimate(table, spec(population=(Condition("x0", op, 0.0),)), "regression") for op in ("<", ">="))
    gap = high - low
    assert gap.n == 300 and gap.estimate == pytest.approx(high.estimate - low.estimate)
    assert gap.standard_error == pytest.approx(np.hypot(low.standard_error, high.standard_error))
    assert gap.df == min(low.df, high.df)


def test_difference_of_methods_against_the_bootstrap(sample, spec):
    s = sample(300, 3)
    table = s.table
    gap = estimate(table, spec(), "ipw", degree=1) - estimate(table, spec(), "regression", degree=1, interactions=False)
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(150):
        part = table.take(rng.integers(0, 300, 300))
        a = estimate(part, spec(), "ipw", degree=1)
        b = estimate(part, spec(), "regression", degree=1, interactions=False)
        draws.append(a.estimate - b.estimate)
    # 150 draws give a standard deviation to about 6 %; the influence values are first order.
    assert gap.standard_error == pytest.approx(np.std(draws), rel=0.2)
    assert gap.method == "ipw minus regression"
    assert set(gap.provenance.parameters) == {"first", "second"}


def test_clusters_that_straddle_two_samples_count_once(sample, spec):
    s = sample(300, 4, clusters=30)
    halves = [estimate(s.table, spec(cluster="c", population=(Condition("x0", op, 0.0),)), "regression", degree=1)
              for op in ("<", ">=")]
    total = np.zeros(300)
    for effect, sign in zip(halves, (-1, 1), strict=True):
        total[effect.rows] += sign * effect.influence / effect.n
    sums = np.array([total[s.clusters == c].sum() for c in range(30)])
    assert (halves[1] - halves[0]).standard_error == pytest.approx(np.sqrt(sums @ sums))


def test_what_cannot_be_combined(sample, spec):
    effect = estimate(sample(200, 5, clusters=20).table, spec(), "regression")
    with pytest.raises(WhenceError) as error:
        effect - estimate(sample(200, 6).table, spec(), "regression")
    assert error.value.code == "different_data"
    with pytest.raises(WhenceError) as error:
        effect - estimate(sample(200, 5, clusters=20).table, spec(cluster="c"), "regression")
    assert error.value.code == "different_clusters"


def test_words_and_html(sample, spec):
    import dataclasses

    effect = estimate(sample(200, 7).table, spec(), "regression")
    assert str(effect).startswith("ATE t: 1 vs 0: ")
    noted = dataclasses.replace(effect, warnings=(Remark("x", "a < b & c"),))
    html = noted._repr_html_()
    assert "a &lt; b &amp; c" in html and f"{effect.estimate:.4g}" in html and html.count("<tr>") == 7


def test_summaries_against_known_quantiles():
    interval, p_value = summarise(1.0, 0.5)
    assert interval == pytest.approx((1 - 0.5 * 1.959964, 1 + 0.5 * 1.959964)) and p_value == pytest.approx(0.0455003)
    interval, p_value = summarise(2.0, 1.0, 0.95, 10)  # t quantile .975 with 10 df is 2.228139
    assert interval == pytest.approx((2 - 2.228139, 2 + 2.228139)) and p_value == pytest.approx(0.0733880)
    assert summarise(0.0, 0.0) == ((0.0, 0.0), 1.0)
