"""The joint test of balance: its covariance over every lot, its level, and a lot that was not kept to."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy import stats

from whence.checks.assignment import centred, covariance, omnibus
from whence.checks.check import Check
from whence.checks.run import check
from whence.data.load import read
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec
from whence.stats.assignment import Draws

SPEC = Spec("rct", ("t",), ("y",), controls=("x0", "x1", "x2"))


def trial(n: int = 200, seed: int = 0, lean: float = 0.0) -> dict[str, Any]:
    """``lean``: how much a large x0 helped to be treated."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    t = np.argsort(np.argsort(rng.normal(size=n) + lean * x[:, 0])) >= n // 2
    return {"t": t.astype(int), "y": t + x[:, 0] + rng.normal(size=n), **{f"x{j}": x[:, j] for j in range(3)}}


def seen(columns: Any, spec: Spec = SPEC) -> Check:
    table = read(columns)
    effect = estimate(table, spec, "regression" if spec.strategy == "adjustment" else "auto")
    assert isinstance(effect, Effect), effect
    return check(table, effect, "assignment")[0]


def test_covariance_over_every_lot() -> None:
    rng = np.random.default_rng(0)
    strata = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1])
    draws = Draws(strata, np.array([1, 0, 0, 0, 1, 1, 0, 0, 0]).astype(bool))
    x = centred(draws, rng.normal(size=(9, 2)) + strata[:, None])
    sums = [x[list(a) + list(b)].sum(axis=0) for a in itertools.combinations(range(4), 1)
            for b in itertools.combinations(range(4, 9), 2)]
    assert np.mean(sums, axis=0) == pytest.approx(np.zeros(2), abs=1e-12)
    assert covariance(draws, x) == pytest.approx(np.cov(np.transpose(sums), bias=True))


def test_one_column_is_a_squared_z_value() -> None:
    columns = trial()
    t, x = columns["t"] == 1, columns["x0"]
    found = omnibus(Draws(np.zeros(200, dtype=int), t), x[:, None])
    z = (x[t].mean() - x[~t].mean()) / np.sqrt(x.var(ddof=1) * (1 / t.sum() + 1 / (~t).sum()))
    assert found is not None and found[0] == pytest.approx(z**2) and found[1] == 1
    assert found[2] == pytest.approx(2 * stats.norm.sf(abs(z)))


def test_a_fair_lot_passes_and_says_what_is_not_shown() -> None:
    found = seen(trial())
    assert found.verdict == "pass" and "may differ in others" in found.cannot_show
    assert found.numbers["redrawn"] == 999 and found.numbers["df"] == 3


def test_redrawn_lots_agree_with_chi_squared() -> None:
    """600 rows: within four Monte Carlo errors of 1.6 %."""
    found = seen(trial(600, 3))
    assert found.numbers["p_value"] == pytest.approx(stats.chi2.sf(found.numbers["statistic"], 3), abs=0.065)


def test_a_lot_not_kept_to_worries() -> None:
    found = seen(trial(lean=0.7))
    assert found.verdict == "worry" and "was the lot kept to?" in found.saw


def test_level() -> None:
    """100 fair lots of 40: p below 20 % in about 20 % of them, Monte Carlo error 4 %."""
    p = [seen(trial(40, seed)).numbers["p_value"] for seed in range(100)]
    assert 0.11 <= np.mean(np.array(p) < 0.2) <= 0.29


def test_strata_with_their_own_shares_are_fair() -> None:
    rng = np.random.default_rng(5)
    s = np.repeat([0, 1], 150)
    t = np.concatenate([rng.permutation(150) < 30, rng.permutation(150) < 120]).astype(int)
    columns = {"s": s, "t": t, "y": rng.normal(size=300) + t, "x0": rng.normal(size=300) + 2 * s}
    assert seen(columns, SPEC.replace(controls=("x0",))).verdict == "worry"
    assert seen(columns, SPEC.replace(controls=("x0",), strata=("s",))).verdict == "pass"


def test_clusters_are_the_units() -> None:
    columns = trial(400)
    c = np.arange(400) // 10
    columns["t"] = columns["t"][c]
    found = seen(columns | {"c": c}, SPEC.replace(cluster="c"))
    assert found.numbers["units"] == 40 and "40 clusters" in found.saw
    assert not seen(trial(400) | {"c": c}, SPEC.replace(cluster="c")).applies


def test_does_not_apply_without_lot_or_controls() -> None:
    assert not seen(trial(), SPEC.replace(strategy="adjustment")).applies
    assert not seen(trial(), SPEC.replace(controls=())).applies
