"""The wild restricted efficient bootstrap against samples built, and two-stage least squares fitted, one at a time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from whence.core.result import Refused
from whence.data.table import Column
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.spec import Contrast, Spec
from whence.stats.wild_bootstrap import SIX
from whence.stats.wild_instruments import wild_two_stage

RNG = np.random.default_rng(51)
N, G = 60, 4
GROUPS = np.arange(N) % G
X = np.column_stack([np.ones(N), RNG.normal(size=N)])
HIDDEN, SHARED = RNG.normal(size=N), RNG.normal(size=G)[GROUPS]
Z = RNG.normal(size=(N, 2)) + 0.5 * RNG.normal(size=(G, 2))[GROUPS]
D = Z @ [1.0, 0.5] + HIDDEN + X[:, 1] + SHARED
Y = 0.4 * D + X[:, 1] + HIDDEN + 0.5 * SHARED + RNG.normal(size=N)
SPEC = Spec("iv", ("d",), ("y",), "LATE", controls=("x",), instruments=("z0", "z1"), cluster="g")


def t_value(y, d, z, null):
    """By the whole design: the treatment's coefficient less the null over its error by cluster."""
    regressors, instruments = np.column_stack([X, d]), np.column_stack([X, z])
    fitted = instruments @ np.linalg.lstsq(instruments, regressors, rcond=None)[0]
    bread = np.linalg.inv(fitted.T @ regressors)
    beta = bread @ fitted.T @ y
    scores = np.array([(fitted * (y - regressors @ beta)[:, None])[g == GROUPS].sum(axis=0) for g in range(G)])
    return (beta[-1] - null) / np.sqrt((bread @ scores.T @ scores @ bread.T)[-1, -1])


def p_value(z, null):
    """Davidson and MacKinnon's steps: restricted structural fit, first stage with its residual, samples, t values."""
    gamma = np.linalg.lstsq(X, Y - null * D, rcond=None)[0]
    u = Y - null * D - X @ gamma
    design = np.column_stack([X, z, u])
    first = np.linalg.lstsq(design, D, rcond=None)[0]
    by_instruments = design[:, :-1] @ first[:-1]
    v = D - by_instruments
    actual, beyond, count = abs(t_value(Y, D, z, null)), 0, 0
    for signs in itertools.product(SIX, repeat=G):
        w = np.array(signs)[GROUPS]
        d = by_instruments + w * v
        beyond += abs(t_value(null * d + X @ gamma + w * u, d, z, null)) >= actual * (1 - 1e-8)
        count += 1
    return beyond / count


@pytest.mark.parametrize("instruments", [1, 2])
def test_every_combination_of_signs(instruments):
    z = Z[:, :instruments]
    base = np.linalg.qr(X)[0]
    left = [v - base @ (base.T @ v) for v in (Y, D, z)]
    found = wild_two_stage(*left, base, GROUPS, 0.95, 9999, np.random.default_rng(0))
    assert found.complete and found.draws == 6**G and found.weights == "webb"
    assert found.p_value == pytest.approx(p_value(z, 0.0), abs=1e-9)


def strong(make_table, groups, rows=160):
    rng = np.random.default_rng(52)
    g, (x, hidden, z, noise) = np.arange(rows) % groups, rng.normal(size=(4, rows))
    d = 6 * z + hidden + x + rng.normal(size=groups)[g]
    y = 0.4 * d + hidden + x + rng.normal(size=groups)[g] + noise
    return make_table({"d": d, "y": y, "x": x, "z0": z, "z1": z + rng.normal(size=rows), "g": g}, g="count")


def test_the_interval_holds_what_is_not_rejected(make_table):
    table, spec = strong(make_table, 8), SPEC.replace(instruments=("z0",))
    effect = estimate(table, spec, covariance="wild", bootstrap_draws=1999)
    assert isinstance(effect, Effect) and effect.own_interval and "wild cluster bootstrap" in effect.errors
    low, high = effect.interval
    assert low < effect.estimate < high and effect.diagnostics["wild_bootstrap"]["draws"] == 1999
    for end, inside in ((low, 1), (high, -1)):
        inner, outer = (estimate(table.replace(Column("y", "continuous", table.numeric("y") - (end + step) *
                                                      table.numeric("d"))), spec, covariance="wild",
                                 bootstrap_draws=1999).p_value for step in (0.002 * inside, -0.002 * inside))
        assert outer < 0.05 <= inner
    doubled = estimate(table, spec.replace(contrast=Contrast(2.0, 0.0)), covariance="wild", bootstrap_draws=1999)
    assert doubled.interval == pytest.approx([2 * low, 2 * high])


def test_what_the_bootstrap_cannot_answer(make_table):
    other = estimate(strong(make_table, 8), SPEC, covariance="wild", estimator="liml")
    several = estimate(strong(make_table, 8), SPEC.replace(treatments=("d", "x"), controls=()), covariance="wild")
    few = estimate(strong(make_table, 3), SPEC.replace(instruments=("z0",)), covariance="wild", level=0.98)
    for found, code in ((other, "errors_not_available"), (several, "errors_not_available"),
                        (few, "too_few_clusters")):
        assert isinstance(found, Refused) and found.code == code and found.remedy
